import time
from typing import Any

import pytest

from skillyard.skills import Source
from skillyard.skills.checks import CHECKS, Answer
from skillyard.skills.checks.readability import lix, sentences

HARD = (
    "Notwithstanding the aforementioned provisions regarding termination, beneficiaries whose entitlement derives from supplementary "
    "arrangements concluded individually shall, without prejudice to outstanding contributions, receive compensation proportionate to "
    "their accumulated membership."
)
EASY = "You can end the plan. You still have to pay what you owe. Then you get some money back. The longer you paid in, the more you get."


LIMITS = {"easy": 35, "plain": 45}


def judged(name: str, found: str | None, text: str = "", **arguments: Any) -> list[str]:
    skill: Any = None
    return list(CHECKS[name](Answer(skill, {"text": found}, Source(text), {"level": "easy"}), field="text", **arguments))


@pytest.mark.parametrize(
    ("text", "n_sentences"),
    [
        ("Northwind Lamps Ltd. and Dr. Berg sign on 12. April.", 1),
        ("He asked us. We said no! Why? Nobody knows", 4),
        ("Kosten bzw. Preise, z. B. Fracht, stiegen 2024. Danach fielen sie.", 2),
        ("会議は火曜日です。場所は二階です。", 2),
        ("To bring:\n- a pen\n- a ruler", 3),
        ("Version 3.11.7 costs 1.50", 1),
        ("… 42 pages …", 1),
        ("", 0),
    ],
)
def test_sentences_are_counted(text: str, n_sentences: int) -> None:
    assert len(sentences(text)) == n_sentences


def test_one_sentence_is_one_line_and_ends_once() -> None:
    assert judged("one_sentence", "Dr. Berg of Northwind Lamps Ltd. asks for a new shade.") == []
    assert judged("one_sentence", None) == []
    assert judged("one_sentence", "A lamp broke. A new one is asked for.")
    assert judged("one_sentence", "Subject\nA new lamp")


def test_lix_is_words_a_sentence_and_the_share_of_long_words() -> None:
    twenty = "The cat sat on the mat today. It was a wonderful morning and all of us were very happy."
    assert lix(twenty) is None, "nineteen words"
    assert lix(twenty + " Yes.") == pytest.approx(20 / 3 + 100 * 2 / 20)
    assert lix("会議は火曜日です。" * 30) is None


@pytest.mark.parametrize(
    ("found", "text", "is_right"),
    [
        (HARD, HARD, False),
        (EASY, HARD, True),
        (EASY, EASY, True),
        (". ".join(part.capitalize() for part in HARD.split(", ")), HARD, True),
        (HARD, "", False),
        ("Too short to measure, notwithstanding supplementary arrangements.", HARD, True),
        (None, HARD, True),
    ],
)
def test_a_simplified_text_reads_easily_or_much_more_easily_than_before(found: str | None, text: str, is_right: bool) -> None:
    assert (judged("reads_easily", found, text, level="level", limits=LIMITS) == []) is is_right


def test_hostile_text_is_cut_into_sentences_at_once() -> None:
    started = time.process_time()
    for piece in ("a. ", ". ", "..", "! ", "\n ", "a.) ", "12. "):
        sentences((piece * 100_000)[:100_000])
    assert time.process_time() - started < 10
