"""What the router sees in a text."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillyard.routing.features import TEXT_CAP, Features, extract_features

PLAIN = "The parcel arrived on Monday and the invoice was paid."
CHOICE = "Which planet is the largest?\nA. Mars\nB. Jupiter\nC. Venus\nD. Earth\nAnswer:"


def seen(text: str) -> Features:
    return extract_features(text, "en")


def test_a_plain_text_raises_no_flag() -> None:
    features = seen(PLAIN)
    assert features == Features(features.n_tokens, "en", False, False, False, False, 10, 0, 0, 0, 0)


@pytest.mark.parametrize("code", ["```\nx\n```", "def run(self):", "class Tree(Base):", "SELECT a FROM b", "<p>x</p>", "a;\n  }"])
def test_code_is_seen(code: str) -> None:
    assert seen(f"{PLAIN}\n{code}").has_code


@pytest.mark.parametrize("maths", ["3 = 4", "12*3", "2 ^ 10", "x >= 3 <= 4", "∑ a", "\\frac{a}{b}", "4 < 5"])
def test_maths_is_seen(maths: str) -> None:
    assert seen(f"{PLAIN} {maths}").has_maths


@pytest.mark.parametrize("text", ["and/or", "a > b", "version = new", "the class of 2024 was first; the others followed", "a-1"])
def test_signs_alone_are_neither_code_nor_maths(text: str) -> None:
    assert not seen(text).has_maths and not seen(text).has_code


def test_three_lines_with_two_separators_are_a_table_and_two_are_not() -> None:
    assert seen("a | b | c\n" * 3).has_table
    assert seen("a\tb\tc\n" * 3).has_table
    assert not seen("a | b | c\n" * 2 + "a | b\n" * 3).has_table


@pytest.mark.parametrize(
    ("text", "n"), [(CHOICE, 4), ("Pick:\n(A) yes\n(B) no", 2), ("Pick:\nA) x\nB) y\nC) z", 3), ("A. B. Yehoshua", 0), ("\nA. only one", 0)]
)
def test_options_are_counted_from_a_on(text: str, n: int) -> None:
    assert seen(text).n_options == n


def test_negations_are_counted_as_words_also_before_a_sign_and_in_other_languages() -> None:
    assert seen("It is not here, never! I don't know; nothing, a notary.").n_negations == 3
    assert seen("Das ist nicht richtig, kein Fehler.").n_negations == 2


def test_questions_and_digits_are_counted() -> None:
    features = seen("How many? 12 or 3,400？")
    assert (features.n_questions, features.n_digits) == (2, 6)


def test_a_scan_full_of_unreadable_characters_is_poor() -> None:
    assert seen("tot\ufffdl \ufffdmount du\ufffd").has_poor_scan
    assert not seen(PLAIN * 10 + "\ufffd").has_poor_scan


@pytest.mark.parametrize(
    "text", ["SELECT " * 600, "};" + "\n" * 4000, "class a" * 600, "</a" * 1400, "3 = " * 1000, "3=" + " " * 4000, "def " + "a" * 4000]
)
def test_no_text_is_slow_to_look_at(text: str) -> None:
    start = time.thread_time()
    seen(text)
    assert time.thread_time() - start < 0.02


@given(st.text(max_size=2 * TEXT_CAP))
def test_beyond_the_cap_only_the_number_of_tokens_counts(text: str) -> None:
    head, whole = seen(text[:TEXT_CAP]), seen(text)
    assert (head.n_words, head.n_digits, head.n_options, head.has_code) == (
        whole.n_words,
        whole.n_digits,
        whole.n_options,
        whole.has_code,
    )
    assert whole.n_tokens >= head.n_tokens
