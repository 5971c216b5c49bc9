"""Replacing results: nothing doubled, nothing lost, wherever a publish dies."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from skillyard.errors import PublishConflict, SchemaMismatch, ValidationFailed
from skillyard.lake.lake import Lake
from skillyard.lake.publish import mark_stale, replace_rows
from skillyard.lake.read import read
from skillyard.lake.results import results_table
from skillyard.storage import Storage
from tests.lake.rows import DAY, OUTPUT, TAGS, results, with_pandas

NEXT = DAY + timedelta(days=1)
NEWER = "cd" * 32


WRITES = ("put", "put_if_absent", "copy_if_absent", "replace_if_match", "delete")


class Killed(BaseException):
    """The process died here."""


class DyingStorage:
    """A real store whose process dies before its n-th write."""

    def __init__(self, storage: Storage, n_writes: int) -> None:
        self._storage, self.root, self.n_left = storage, storage.root, n_writes

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name) if name not in WRITES else self._write(name)

    def _write(self, name: str) -> Callable[..., Any]:
        def write(*arguments: Any) -> Any:
            if self.n_left == 0:
                raise Killed
            self.n_left -= 1
            return getattr(self._storage, name)(*arguments)

        return write


def models(lake: Lake) -> dict[str, str]:
    """Return the model of every item as our reader sees it, each item once."""
    rows = read(lake, "results/tag-document", ["item_id", "model"]).to_pylist()
    assert max(Counter(row["item_id"] for row in rows).values(), default=1) == 1
    return {row["item_id"]: row["model"] for row in rows}


def raw_counts(lake: Lake) -> Counter[str]:
    """Return how often a raw read of the folder shows each item."""
    has_files = any("/dt=" in found.key for found in lake.storage.list(f"{TAGS.name}/"))
    return Counter(with_pandas(lake, TAGS.name)["item_id"].tolist() if has_files else [])


def is_settled(lake: Lake) -> bool:
    """Return whether nothing is staged, and a raw read and ours show the same items once."""
    n_staged = len(list(lake.storage.list("_staged/")))
    return n_staged == 0 and raw_counts(lake) == Counter(list(models(lake)))


def test_a_newer_result_takes_the_place_of_the_older(lake: Lake) -> None:
    replace_rows(lake, TAGS, results(range(6)), "a")
    committed = replace_rows(lake, TAGS, results(range(4, 8), NEXT, model="new"), "b")
    assert sum(c.n_rows for c in committed) == 4
    assert models(lake) == {f"item-{i:04d}": "embedded/small" if i < 4 else "new" for i in range(8)}
    assert is_settled(lake)


def test_superseded_files_are_kept_outside_the_table(lake: Lake) -> None:
    (first,) = replace_rows(lake, TAGS, results(range(3)), "a")
    replace_rows(lake, TAGS, results(range(3), model="new"), "b")
    assert not lake.has(first.key)
    assert [found.key for found in lake.storage.list("_superseded/")] == [f"_superseded/{first.key}"]


def test_files_without_a_replaced_row_are_left_alone(lake: Lake) -> None:
    (first,) = replace_rows(lake, TAGS, results(range(3)), "a")
    replace_rows(lake, TAGS, results(range(3, 6)), "b")
    replace_rows(lake, TAGS, results(range(3, 6), model="new"), "c")
    assert lake.has(first.key)


def test_the_same_part_again_changes_nothing_even_a_day_later(lake: Lake) -> None:
    first = replace_rows(lake, TAGS, results(range(3)), "a")
    before = [(found.key, found.etag) for found in lake.storage.list()]
    again = replace_rows(lake, TAGS, results(range(3), NEXT), "a")
    assert [(c.key, c.n_rows, c.is_new) for c in again] == [(c.key, c.n_rows, False) for c in first]
    assert [(found.key, found.etag) for found in lake.storage.list()] == before


def test_an_older_part_again_does_not_bring_back_what_a_later_one_replaced(lake: Lake) -> None:
    replace_rows(lake, TAGS, results(range(3)), "a")
    replace_rows(lake, TAGS, results(range(3), model="new"), "b")
    replace_rows(lake, TAGS, results(range(3)), "a")
    assert set(models(lake).values()) == {"new"}


def test_the_same_part_with_other_rows_is_a_conflict(lake: Lake) -> None:
    replace_rows(lake, TAGS, results(range(3)), "a")
    with pytest.raises(PublishConflict):
        replace_rows(lake, TAGS, results(range(3), model="other"), "a")


def test_one_part_holds_an_item_once(local_lake: Lake) -> None:
    with pytest.raises(ValidationFailed, match="occur twice"):
        replace_rows(local_lake, TAGS, pa.concat_tables([results(range(3)), results(range(1))]), "a")
    assert list(local_lake.storage.list("results/")) == []


def test_no_rows_write_nothing(local_lake: Lake) -> None:
    assert replace_rows(local_lake, TAGS, results(range(0)), "a") == []
    assert mark_stale(local_lake, TAGS, NEWER) == 0
    assert list(local_lake.storage.list()) == []


def test_added_rows_are_never_doubled_or_lost_wherever_the_publish_dies(lake: Lake) -> None:
    n_steps = _die_at_each_step(lake, results(range(3)), results(range(3, 6), NEXT), raw_most=1)
    assert n_steps == 4  # stage, switch, place, clear


def test_replaced_rows_are_never_lost_wherever_the_publish_dies(lake: Lake) -> None:
    n_steps = _die_at_each_step(lake, results(range(6)), results(range(4, 8), NEXT, model="new"), raw_most=2)
    assert n_steps == 9  # 2 staged, switch, 2 placed and cleared, 1 moved (copy, remove)


def _die_at_each_step(lake: Lake, old: pa.Table, new: pa.Table, raw_most: int) -> int:
    """Publish ``new`` over ``old``, dying before each write in turn; return how many writes a publish is."""
    real, url, n_writes = lake.storage, lake.url, 0
    while True:
        here = Lake(f"{url}/{n_writes}")
        replace_rows(here, TAGS, old, "a")
        before = models(here)
        real, here.storage = here.storage, DyingStorage(here.storage, n_writes)
        try:
            replace_rows(here, TAGS, new, "b")
        except Killed:
            here.storage = real
        else:
            return n_writes
        after = before | dict(zip(new.column("item_id").to_pylist(), new.column("model").to_pylist(), strict=True))
        assert models(here) in (before, after)
        raw = raw_counts(here)
        assert set(before) <= set(raw) <= set(after)
        assert max(raw.values()) <= raw_most
        replace_rows(here, TAGS, new, "b")
        assert models(here) == after
        assert is_settled(here)
        n_writes += 1


def test_whoever_publishes_next_finishes_what_a_dead_publish_left(lake: Lake) -> None:
    replace_rows(lake, TAGS, results(range(4)), "a")
    real, lake.storage = lake.storage, DyingStorage(lake.storage, 2)
    with pytest.raises(Killed):
        replace_rows(lake, TAGS, results(range(4), model="new"), "b")
    lake.storage = real
    assert set(models(lake).values()) == {"new"}
    assert set(raw_counts(lake).values()) == {1}
    replace_rows(lake, TAGS, results(range(9, 10)), "c")
    assert is_settled(lake)


def test_publishers_at_the_same_time_lose_nothing(lake: Lake) -> None:
    def publish(n: int) -> None:
        replace_rows(Lake(lake.url), TAGS, results(range(n * 2, n * 2 + 4), model=f"m{n}"), f"p{n}")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(publish, range(4)))
    assert sorted(models(lake)) == [f"item-{i:04d}" for i in range(10)]
    assert is_settled(lake)


def test_a_reader_sees_every_item_once_while_results_are_replaced(lake: Lake) -> None:
    replace_rows(lake, TAGS, results(range(20)), "start")

    def publish() -> None:
        for n in range(8):
            replace_rows(Lake(lake.url), TAGS, results(range(n, n + 5), model=f"m{n}"), f"p{n}")

    with ThreadPoolExecutor(1) as pool:
        writing, n_reads = pool.submit(publish), 0
        while not writing.done():
            assert len(models(lake)) == 20
            n_reads += 1
        writing.result()
    assert n_reads > 2


def test_results_of_other_fingerprints_become_stale(lake: Lake) -> None:
    replace_rows(lake, TAGS, results(range(4)), "a")
    replace_rows(lake, TAGS, results(range(4, 6), NEXT, fingerprint=NEWER), "b")
    assert mark_stale(lake, TAGS, NEWER) == 4
    assert mark_stale(lake, TAGS, NEWER) == 0
    stale = read(lake, "results/tag-document", ["item_id"], pc.field("is_stale")).column("item_id").to_pylist()
    assert sorted(stale) == [f"item-{i:04d}" for i in range(4)]
    assert is_settled(lake)


def test_going_back_to_an_earlier_fingerprint_makes_its_results_fresh_again(lake: Lake) -> None:
    fingerprint = results(range(1)).column("fingerprint")[0].as_py()
    replace_rows(lake, TAGS, results(range(4)), "a")
    assert [mark_stale(lake, TAGS, f) for f in (NEWER, fingerprint, NEWER, fingerprint)] == [4, 4, 4, 4]
    assert read(lake, "results/tag-document", where=pc.field("is_stale")).num_rows == 0
    assert is_settled(lake)


def test_a_column_added_to_the_output_is_null_in_older_rows(lake: Lake) -> None:
    replace_rows(lake, TAGS, results(range(3)), "a")
    wider = results_table("tag-document", 1, OUTPUT | {"properties": OUTPUT["properties"] | {"score": {"type": "number"}}})
    replace_rows(lake, wider, results(range(2, 4), table=wider, score=0.5), "b")
    rows = read(lake, "results/tag-document", ["item_id", "score"]).sort_by("item_id")
    assert rows.column("score").to_pylist() == [None, None, 0.5, 0.5]


def test_a_column_that_changes_its_type_needs_a_new_major_version(local_lake: Lake) -> None:
    replace_rows(local_lake, TAGS, results(range(3)), "a")
    other = results_table("tag-document", 1, {"properties": {"tags": {"type": "string"}, "total": {"type": ["number", "null"]}}})
    with pytest.raises(SchemaMismatch, match=r"Raise output\.major"):
        replace_rows(local_lake, other, results(range(3), table=other, tags="x", total=1.0), "b")
    assert is_settled(local_lake)
