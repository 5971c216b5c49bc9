"""The hashed n-grams of a text."""

import re
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from skillyard.routing.features import TEXT_CAP
from skillyard.routing.ngrams import N_BUCKETS, REPEATED, hash_spans

BASE, MULTIPLIER = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9


def bucket(span: str) -> int:
    """Return the bucket of a span by the definition, one character after the other."""
    value = sum(ord(char) * pow(BASE, n, 1 << 64) for n, char in enumerate(span))
    return value * MULTIPLIER % (1 << 64) >> 46


def expected(text: str) -> set[int]:
    """Return the buckets of all spans by the definition."""
    words = ["\x02", *(re.findall(r"\w+|[^\w\s]", text[:TEXT_CAP].lower()[:TEXT_CAP]) or [""]), "\x03"]
    joined = "".join(f" {word}" for word in words)
    spans = [f" {a}" for a in words] + [f" {a} {b}" for a, b in pairwise(words)] + [f"{joined} "[n : n + 4] for n in range(len(joined) - 2)]
    return {bucket(span) for span in spans}


def buckets_of(text: str) -> list[int]:
    return [found for found in hash_spans(text).tolist() if found != REPEATED]


@given(st.text(max_size=300))
def test_the_buckets_are_those_of_the_definition_each_once(text: str) -> None:
    assert buckets_of(text) == sorted(expected(text) - {REPEATED})


def test_the_buckets_never_change_or_stored_weights_would_be_of_other_spans() -> None:
    assert buckets_of("The total is 12.50 €")[:6] == [2000, 4102, 36500, 57451, 57811, 71181]


@given(st.text(min_size=1, max_size=2 * TEXT_CAP))
def test_every_text_has_valid_buckets(text: str) -> None:
    buckets = hash_spans(text * 2)
    assert len(buckets) and buckets.min() >= 0 and buckets.max() < N_BUCKETS


def test_case_spaces_and_what_lies_beyond_the_cap_make_no_difference() -> None:
    assert buckets_of("Pay  NOW\n") == buckets_of("pay now")
    assert buckets_of("a" * TEXT_CAP) == buckets_of("a" * TEXT_CAP + " more")


def test_a_text_of_signs_alone_and_one_that_grows_in_lower_case_fit() -> None:
    for text in ("!" * TEXT_CAP, "İ" * TEXT_CAP, "\ud800", ""):
        assert len(hash_spans(text))
