"""The hashed n-grams of a text."""

import re
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from skillyard.routing.features import TEXT_CAP
from skillyard.routing.ngrams import N_BUCKETS, REPEATED, hash_spans

BASE, MULTIPLIER = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9


def bucket(span: str) -> int:
    """Return the bucket of a span by the definition, one character after the other."""
    value = sum(ord(char) * pow(BASE, n, 1 << 64) for n, char in enumerate(span))
    return value * MULTIPLIER % (1 << 64) >> 46


def expected(text: str) -> list[set[int]]:
    """Return the buckets of each block by the definition."""
    words = ["\x02", *(re.findall(r"\w+|[^\w\s]", text[:TEXT_CAP].lower()[:TEXT_CAP]) or [""]), "\x03"]
    joined = "".join(f" {word}" for word in words)
    pairs = pairwise(words)
    spans = ([f" {a}" for a in words], [f" {a} {b}" for a, b in pairs], [f"{joined} "[n : n + 4] for n in range(len(joined) - 2)])
    return [{bucket(span) for span in block} for block in spans]


def blocks_of(text: str) -> list[list[int]]:
    buckets, begins = hash_spans(text)
    return [block.tolist() for block in np.split(buckets, begins[1:])]


@given(st.text(max_size=300))
def test_the_buckets_are_those_of_the_definition_each_once(text: str) -> None:
    seen: set[int] = set()
    for block, wanted in zip(blocks_of(text), expected(text), strict=True):
        kept = [found for found in block if found != REPEATED]
        assert len(kept) == len(set(kept))
        assert set(kept) <= wanted - {REPEATED}
        assert wanted - {REPEATED} - set(kept) <= seen  # only what the block before ended with may be missing
        seen = wanted


def test_the_buckets_never_change_or_stored_weights_would_be_of_other_spans() -> None:
    assert [block[:3] for block in blocks_of("The total is 12.50 €")] == [[36500, 74222, 85291], [73617, 74707, 78266], [2000, 4102, 57451]]


@given(st.text(min_size=1, max_size=2 * TEXT_CAP))
def test_every_text_has_three_blocks_of_valid_buckets(text: str) -> None:
    buckets, begins = hash_spans(text * 2)
    assert 0 == begins[0] < begins[1] < begins[2] < len(buckets)
    assert buckets.min() >= 0 and buckets.max() < N_BUCKETS


def test_case_spaces_and_what_lies_beyond_the_cap_make_no_difference() -> None:
    assert blocks_of("Pay  NOW\n") == blocks_of("pay now")
    assert blocks_of("a" * TEXT_CAP) == blocks_of("a" * TEXT_CAP + " more")


def test_a_text_of_signs_alone_and_one_that_grows_in_lower_case_fit() -> None:
    for text in ("!" * TEXT_CAP, "İ" * TEXT_CAP, "\ud800", ""):
        assert len(hash_spans(text)[1]) == 3
