import time

import pytest

from skillyard.clauses import chinese_terms, clauses

STOPS = {"the", "of", "la", "de", "的", "由", "在", "应当", "会"}


def words(text: str, language: str = "en") -> list[list[str]]:
    """Return the words of every clause that say something."""
    return [[word.key for word in clause.words if not word.is_stop] for clause in clauses(text, language, STOPS)]


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        ("The roof of the house, the well-kept garden.", "en", [["roof", "house"], ["well-kept", "garden"]]),
        ("It doesn't leak at 30 degrees", "en", [["it", "leak", "at", "degrees"]]),
        ("L'entrepôt de la ville", "fr", [["entrepôt", "ville"]]),
        ("Write to ana@quay.example or see https://quay.example/a now", "en", [["write", "to"], ["or", "see"], ["now"]]),
        ("The long\nroad", "en", [["long", "road"]]),
        ("Title\nText", "en", [["title"], ["text"]]),
        ("गोदाम की रोशनी", "hi", [["गोदाम", "की", "रोशनी"]]),
        ("図書館のカードを更新する", "ja", [["図書館", "カード", "更新"]]),
        ("x" * 41, "en", [[]]),
        ("", "en", []),
    ],
)
def test_words_of_a_clause(text: str, language: str, expected: list[list[str]]) -> None:
    assert words(text, language) == expected


def test_capital_says_nothing_at_the_start_or_among_capitals() -> None:
    first, second = clauses("Roofs in Malmby leak. THE ROOF LEAKS", "en", STOPS)
    assert [word.key for word in first.words if word.is_capital] == ["malmby"]
    assert not any(word.is_capital for word in second.words)
    assert (first.sentence_no, second.sentence_no) == (1, 2)


def test_chinese_term_stands_among_different_neighbours() -> None:
    text = "城市绿地由居民养护。占用城市绿地的应当恢复。城市绿地在名录中。"
    assert chinese_terms(text, STOPS) == {"城市绿地"}
    assert words(text, "zh")[0] == ["城市绿地"]
    assert chinese_terms("城市绿地。", STOPS) == set()


def test_what_adds_a_stop_word_to_a_term_is_none() -> None:
    assert chinese_terms("树木的根，树木的叶，砍树木的人，护树木会好", STOPS) == {"树木"}


@pytest.mark.parametrize(
    ("piece", "language"), [("树", "zh"), ("树木的", "zh"), ("あ図カ", "ja"), ("a'", "en"), ("a-", "en"), ("x", "en"), ("\n", "en")]
)
def test_hostile_text_is_read_at_once(piece: str, language: str) -> None:
    started = time.process_time()
    clauses((piece * 50_000)[:50_000], language, STOPS)
    assert time.process_time() - started < 10
