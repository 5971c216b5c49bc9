"""Near duplicates are found across runs and within one, and nothing else is."""

import random
from pathlib import Path

import pyarrow as pa
import pytest

from skillyard.documents.minhash import minhash_of
from skillyard.lake.lake import Lake
from skillyard.running.near import MINHASH_SCHEMA, find_duplicates

WORDS = [a + b for a in ("ka", "lo", "mi", "tu", "re", "so") for b in ("bar", "nor", "sil", "vet", "gan", "pim", "dos")]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """An empty lake in a folder."""
    return Lake(str(tmp_path / "lake"))


def text(seed: int, n_words: int = 400) -> list[str]:
    """Return the words of one text."""
    return random.Random(seed).choices(WORDS, k=n_words)


def frame(**texts: list[str]) -> pa.Table:
    """Return the MinHashes of texts by doc_id."""
    rows = [{"doc_id": doc_id, "minhash": bytes.fromhex(minhash_of(" ".join(words)) or "")} for doc_id, words in texts.items()]
    return pa.Table.from_pylist(rows, schema=MINHASH_SCHEMA)


def edited(words: list[str], n: int) -> list[str]:
    """Return a text with n words, evenly spread, replaced."""
    step = len(words) // n
    return [f"edit{at}" if at % step == 0 else word for at, word in enumerate(words)]


def test_a_slightly_edited_document_is_a_duplicate_of_the_first_one_in_the_same_run_and_in_later_ones(lake: Lake) -> None:
    one, two = text(1), text(2)
    assert find_duplicates(lake, "run-1", frame(a=one, b=two, c=edited(one, 4))) == {"c": "a"}
    assert find_duplicates(lake, "run-2", frame(d=edited(one, 5), e=text(3), f=edited(two, 3))) == {"d": "a", "f": "b"}


def test_a_duplicate_is_never_marked_with_one_that_is_marked_itself(lake: Lake) -> None:
    one = text(1)
    assert find_duplicates(lake, "run-1", frame(a=one, b=edited(one, 3))) == {"b": "a"}
    assert find_duplicates(lake, "run-2", frame(c=edited(one, 2), d=one)) == {"c": "a", "d": "a"}


def test_texts_that_share_half_of_their_phrases_are_not_duplicates(lake: Lake) -> None:
    shared = text(1, 200)
    assert find_duplicates(lake, "run-1", frame(a=shared + text(2, 100), b=shared + text(3, 100))) == {}


def test_the_same_part_asked_again_does_not_find_itself(lake: Lake) -> None:
    new = frame(a=text(1), b=text(2), c=edited(text(1), 3))
    assert find_duplicates(lake, "run-1", new) == find_duplicates(lake, "run-1", new) == {"c": "a"}


def test_the_same_document_again_is_no_duplicate_of_itself(lake: Lake) -> None:
    find_duplicates(lake, "run-1", frame(a=text(1)))
    assert find_duplicates(lake, "run-2", frame(a=text(1))) == {}


def test_most_of_many_edited_copies_are_found_and_no_stranger_is(lake: Lake) -> None:
    originals = {f"o{seed}": text(seed) for seed in range(300)}
    copies = {f"c{seed}": edited(text(seed), 6) for seed in range(300)}
    assert find_duplicates(lake, "run-1", frame(**originals)) == {}
    found = find_duplicates(lake, "run-2", frame(**copies))
    assert all(copy[1:] == original[1:] for copy, original in found.items())
    assert len(found) >= 270


def test_case_spacing_and_punctuation_do_not_count_and_unspaced_scripts_have_phrases_too() -> None:
    plain = " ".join(text(1))
    assert minhash_of(plain.upper().replace(" ", ",\n  ")) == minhash_of(plain)
    assert minhash_of("合同双方应当遵守本协议的全部条款以及附件中所列的各项具体规定") is not None
    assert minhash_of("Too short to tell.") is None
