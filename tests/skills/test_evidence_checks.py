"""Checks of verdicts and their proof."""

from typing import Any

import pytest

from skillyard.skills import Source
from skillyard.skills.checks import CHECKS, Answer

STATEMENT = "The lease ends on 31 December. Dr. Berg asks for an offer: 4,200 a month!\nShe signs on 1 October."
SENTENCES = ["The lease ends on 31 December.", "Dr. Berg asks for an offer: 4,200 a month!", "She signs on 1 October."]


def judged(name: str, value: dict[str, Any], inputs: dict[str, str] | None = None, **arguments: Any) -> list[str]:
    skill: Any = None
    return list(CHECKS[name](Answer(skill, value, Source("", inputs or {}), {}), **arguments))


def covered(*texts: str) -> list[str]:
    value = {"sentences": [{"text": text} for text in texts]}
    return judged("covers_input", value, {"statement": STATEMENT}, field="sentences.text", of="statement")


def test_sentences_that_make_up_the_input_cover_it() -> None:
    assert covered(*SENTENCES) == []
    assert covered(*(sentence.rstrip(".").upper() for sentence in SENTENCES)) == [], "only words count"


def test_a_statement_of_nothing_is_covered_by_no_sentences() -> None:
    assert judged("covers_input", {"sentences": []}, {"statement": ""}, field="sentences.text", of="statement") == []


@pytest.mark.parametrize(
    ("texts", "problem"),
    [
        (SENTENCES[:2], "'She signs on 1 October.' of the statement is left out"),
        ([], "is left out"),
        ([*SENTENCES, "She is the owner."], "'She is the owner.' does not occur in the statement"),
        ([SENTENCES[0].replace("31", "30"), *SENTENCES[1:]], "does not occur"),
        ([*SENTENCES, SENTENCES[0]], "stands twice or in another place"),
        (SENTENCES[::-1], "stands twice or in another place"),
    ],
)
def test_what_is_left_out_added_changed_or_doubled_is_named(texts: list[str], problem: str) -> None:
    assert problem in " ".join(covered(*texts))


def test_a_quote_is_due_in_each_item_by_its_own_verdict() -> None:
    arguments: dict[str, Any] = {"field": "sentences.quote", "label": "sentences.verdict", "values": ["not_found"]}
    sound = [{"verdict": "supported", "quote": "yes"}, {"verdict": "not_found", "quote": None}]
    assert judged("each_null_when", {"sentences": sound}, **arguments) == []
    broken = [{"verdict": "supported", "quote": None}, {"verdict": "not_found", "quote": "maybe"}]
    assert judged("each_null_when", {"sentences": broken}, **arguments) == [
        "sentences.0.quote is null, but sentences.verdict is 'supported'",
        "sentences.1.quote is given, but sentences.verdict is 'not_found'",
    ]


@pytest.mark.parametrize(
    ("winner", "a", "b", "is_sound"),
    [("a", True, False, True), ("b", True, False, False), ("tie", False, True, False), ("b", True, True, True), ("a", False, False, True)],
)
def test_the_one_supported_side_wins(winner: str, a: bool, b: bool, is_sound: bool) -> None:
    value = {"winner": winner, "a_holds": a, "b_holds": b}
    assert (judged("supported_side_wins", value, field="winner", flags={"a": "a_holds", "b": "b_holds"}) == []) is is_sound
