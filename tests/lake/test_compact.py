"""Merging files: the same rows before and after, for every reader, wherever it dies and whoever writes beside it."""

import json
import random
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from skillyard.cli import app
from skillyard.errors import ConfigError, PublishConflict
from skillyard.lake import compact as compaction
from skillyard.lake import merge as merging
from skillyard.lake.compact import compact, merge_day, plan_merges
from skillyard.lake.contents import all_contents
from skillyard.lake.correct import correct
from skillyard.lake.lake import Lake
from skillyard.lake.maintain import GRACE, tidy
from skillyard.lake.publish import append, replace_rows
from skillyard.lake.read import read, scan
from skillyard.lake.results import results_table, to_results
from skillyard.lake.rowhash import add_hashes, row_hash
from skillyard.lake.tables import LLM_CALLS, PAGES
from tests.lake.rows import DAY, OUTPUT, TAGS, call, pages, results, with_duckdb, with_pandas
from tests.lake.test_replace import DyingStorage, Killed

DOCS = [f"{i:02d}" * 32 for i in range(20)]
TODAY = DAY + timedelta(days=1)


def publish_pages(lake: Lake, n_parts: int = 3, day: date = DAY) -> None:
    """Append parts whose documents come in no order."""
    for number in range(n_parts):
        rows = [pages(2, day, doc_id=DOCS[(number * 7 + k * 3) % 20], text=f"part {number}") for k in range(2)]
        append(lake, PAGES, pa.concat_tables(rows), f"p{number}")


def publish_results(lake: Lake) -> None:
    for number, items in enumerate((range(6), range(6, 10), range(10, 14))):
        replace_rows(lake, TAGS, results(items, model=f"m{number}"), f"p{number}")


def merge_all(lake: Lake) -> list[compaction.Merged]:
    return list(compact(lake, today=TODAY))


def files(lake: Lake, table: str) -> list[str]:
    return [found.key for found in lake.storage.list(f"{table}/dt=")]


def test_small_files_of_a_day_become_one_with_the_same_rows(lake: Lake) -> None:
    publish_pages(lake)
    publish_results(lake)
    before = {table.name: row_hash(table, read(lake, table)) for table in (PAGES, TAGS)}
    done = merge_all(lake)
    assert [(one.table, one.n_files, one.n_rows) for one in done] == [("pages", 3, 12), (TAGS.name, 3, 14)]
    assert {table.name: row_hash(table, read(lake, table)) for table in (PAGES, TAGS)} == before
    for table in (PAGES, TAGS):
        assert len(files(lake, table.name)) == 1
        assert len(with_pandas(lake, table.name)) == read(lake, table).num_rows
        assert pa.Table.from_batches(scan(lake, table), table.schema).num_rows == read(lake, table).num_rows
    assert merge_all(lake) == []


def test_duckdb_reads_what_was_merged(local_lake: Lake) -> None:
    publish_pages(local_lake)
    merge_all(local_lake)
    assert len(with_duckdb(local_lake, "pages", {})) == 12


def test_merged_rows_are_sorted_and_can_be_skipped(local_lake: Lake) -> None:
    publish_pages(local_lake, 8)
    merge_all(local_lake)
    (key,) = files(local_lake, "pages")
    file = pq.ParquetFile(pa.BufferReader(local_lake.storage.get(key)))
    doc_ids = file.read()["doc_id"].to_pylist()
    assert doc_ids == sorted(doc_ids)
    group = file.metadata.row_group(0)
    assert group.sorting_columns[0].column_index == 0
    assert group.column(0).has_column_index
    assert file.schema_arrow.field("text").metadata[b"description"]


def test_a_day_that_is_not_over_and_a_single_file_are_left_alone(local_lake: Lake) -> None:
    publish_pages(local_lake, 3, TODAY)
    append(local_lake, PAGES, pages(2), "alone")
    assert plan_merges(local_lake, today=TODAY) == []
    assert [merge.day for merge in plan_merges(local_lake, today=TODAY + timedelta(days=1))] == [str(TODAY)]


def test_large_files_stay_and_groups_reach_the_target(local_lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    publish_pages(local_lake, 10)
    sizes = [found.size_bytes for found in local_lake.storage.list("pages/dt=")]
    monkeypatch.setattr(compaction, "SMALL_BYTES", 2 * max(sizes) + 1)
    monkeypatch.setattr(compaction, "TARGET_BYTES", 4 * max(sizes))
    assert [len(merge.keys) for merge in plan_merges(local_lake, today=TODAY)] == [4, 6]
    monkeypatch.setattr(compaction, "SMALL_BYTES", min(sizes))
    assert plan_merges(local_lake, today=TODAY) == []


def test_a_merge_in_pieces_gives_the_same_as_one_in_memory(local_lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    publish_pages(local_lake, 9)
    publish_results(local_lake)
    before = row_hash(PAGES, read(local_lake, PAGES)), row_hash(TAGS, read(local_lake, TAGS))
    monkeypatch.setattr(merging, "RUN_BYTES", 1)
    monkeypatch.setattr(merging, "HEAD_BYTES", 1)
    merge_all(local_lake)
    assert (row_hash(PAGES, read(local_lake, PAGES)), row_hash(TAGS, read(local_lake, TAGS))) == before
    doc_ids = read(local_lake, PAGES)["doc_id"].to_pylist()
    assert doc_ids == sorted(doc_ids)


def test_an_absorbed_part_that_is_tried_again_is_committed_or_a_conflict(lake: Lake) -> None:
    publish_pages(lake)
    merge_all(lake)
    before = read(lake, PAGES)
    publish_pages(lake, day=DAY + timedelta(days=3))
    assert read(lake, PAGES).equals(before)
    assert len(files(lake, "pages")) == 1
    with pytest.raises(PublishConflict, match="part 'p1'"):
        append(lake, PAGES, pages(4, text="other"), "p1")
    lake.storage.delete("_parts/pages/p1.parquet")
    with pytest.raises(PublishConflict, match="part 'p1'"):
        append(lake, PAGES, pages(4, text="other"), "p1")


def test_a_part_that_comes_back_in_the_moment_it_is_absorbed_is_not_doubled(lake: Lake) -> None:
    """Between the retry's look at the manifest and its put, the merge commits and moves the first try's object away."""

    class Racing:
        def __init__(self, storage: Any) -> None:
            self._storage, self.n_merged = storage, 0

        def __getattr__(self, name: str) -> Any:
            return getattr(self._storage, name)

        def put_if_absent(self, key: str, data: bytes) -> str | None:
            if key.startswith("pages/dt=") and not self.n_merged:
                self.n_merged = len(merge_all(Lake(lake.url)))
            found: str | None = self._storage.put_if_absent(key, data)
            return found

    publish_pages(lake)
    before = row_hash(PAGES, read(lake, PAGES))
    racing = Racing(lake.storage)
    lake.storage = racing  # type: ignore[assignment]
    publish_pages(lake, 1)
    assert racing.n_merged == 1
    assert row_hash(PAGES, read(lake, PAGES)) == before
    assert len(files(lake, "pages")) == 1


def test_a_doubled_object_that_a_dead_retry_left_is_no_part_of_the_table_and_goes(lake: Lake) -> None:
    publish_pages(lake)
    first = lake.storage.get(f"pages/dt={DAY}/part-p0.parquet")
    merge_all(lake)
    lake.storage.put(f"pages/dt={DAY}/part-p0.parquet", first)
    assert read(lake, PAGES).num_rows == 12
    assert all_contents(lake, "pages").strays == (f"pages/dt={DAY}/part-p0.parquet",)
    tidy(lake)
    assert len(with_pandas(lake, "pages")) == 12


@pytest.mark.parametrize("name", ["pages", TAGS.name])
def test_a_merge_may_die_anywhere(local_lake: Lake, name: str) -> None:
    url, n_writes = local_lake.url, 0
    while True:
        here = Lake(f"{url}/{n_writes}")
        publish_pages(here) if name == "pages" else publish_results(here)
        table = all_contents(here, name).table
        before, n_rows = row_hash(table, read(here, name)), read(here, name).num_rows
        real, here.storage = here.storage, DyingStorage(here.storage, n_writes)
        try:
            merge_all(here)
        except Killed:
            here.storage = real
        else:
            break
        assert row_hash(table, read(here, name)) == before
        raw = Counter(with_pandas(here, name)[table.key[0]].tolist())
        ours = Counter(read(here, name)[table.key[0]].to_pylist())
        assert set(raw) == set(ours)
        assert all(ours[key] <= n <= 2 * ours[key] for key, n in raw.items())
        publish_pages(here) if name == "pages" else publish_results(here)
        merge_all(here)
        tidy(here, datetime.now(UTC) + timedelta(days=2))
        assert row_hash(table, read(here, name)) == before
        assert len(with_pandas(here, name)) == n_rows
        assert len(files(here, name)) == 1
        assert list(here.storage.list("_staged/")) == []
        n_writes += 1
    assert n_writes >= 10  # stage, (note the absorbed,) switch, place, clear, three files copied and removed


def test_a_merge_whose_source_was_replaced_meanwhile_is_dropped(lake: Lake) -> None:
    publish_results(lake)
    publish_calls(lake)
    results_merge, calls_merge = sorted(plan_merges(lake, today=TODAY), key=lambda merge: merge.table, reverse=True)
    replace_rows(lake, TAGS, results(range(1), model="newest"), "late")
    correct(lake, LLM_CALLS, DAY, {"c1": {"status": "settled", "cost_usd": Decimal("0.02")}})
    assert [merge_day(lake, merge).size_bytes for merge in (results_merge, calls_merge)] == [0, 0]
    assert list(lake.storage.list("_staged/")) == []
    assert "newest" in read(lake, TAGS)["model"].to_pylist()
    assert Decimal("0.02") in read(lake, LLM_CALLS)["cost_usd"].to_pylist()
    assert len(merge_all(lake)) == 2
    assert Decimal("0.02") in read(lake, LLM_CALLS)["cost_usd"].to_pylist()


def publish_calls(lake: Lake) -> None:
    for number in range(3):
        append(lake, LLM_CALLS, to_results(LLM_CALLS, [call(f"c{number}", status="unknown", cost_usd=None)]), f"p{number}")


def test_a_merged_row_can_be_corrected_and_its_part_is_still_known(lake: Lake) -> None:
    publish_calls(lake)
    merge_all(lake)
    correct(lake, LLM_CALLS, DAY, {"c1": {"status": "settled", "cost_usd": Decimal("0.02")}})
    publish_calls(lake)
    append(lake, LLM_CALLS, to_results(LLM_CALLS, [call("c1", status="settled", cost_usd="0.02")]), "p1")
    assert sorted(read(lake, LLM_CALLS)["call_id"].to_pylist()) == ["c0", "c1", "c2"]
    with pytest.raises(PublishConflict):
        append(lake, LLM_CALLS, to_results(LLM_CALLS, [call("c1", status="settled", cost_usd="0.03")]), "p1")


def test_writers_and_readers_beside_a_merge_see_every_row_once(lake: Lake) -> None:
    publish_pages(lake, 2)
    publish_results(lake)
    is_over = threading.Event()

    def write() -> None:
        for number in range(2, 8):
            rows = [pages(2, DAY, doc_id=DOCS[(number * 7 + k * 3) % 20], text=f"part {number}") for k in range(2)]
            append(Lake(lake.url), PAGES, pa.concat_tables(rows), f"p{number}")
            replace_rows(Lake(lake.url), TAGS, results(range(number), model=f"late {number}"), f"late{number}")

    def merge() -> None:
        while not is_over.is_set():
            merge_all(Lake(lake.url))

    with ThreadPoolExecutor(2) as pool:
        merging_all, writing = pool.submit(merge), pool.submit(write)
        while not writing.done():
            n_pages, items = read(lake, PAGES).num_rows, Counter(read(lake, TAGS)["item_id"].to_pylist())
            assert n_pages % 4 == 0
            assert set(items.values()) == {1}
            assert len(items) == 14
        is_over.set()
        writing.result()
        merging_all.result()
    merge_all(lake)
    publish_pages(lake, 8)
    assert read(lake, PAGES).num_rows == 32
    assert (len(with_pandas(lake, "pages")), len(with_pandas(lake, TAGS.name))) == (32, 14)


def test_earlier_states_can_be_read_across_a_merge_until_they_are_deleted(lake: Lake) -> None:
    publish_pages(lake, 2)
    publish_results(lake)
    now = datetime.now(UTC) + timedelta(seconds=1)
    while datetime.now(UTC) < now + timedelta(seconds=1):
        pass
    append(lake, PAGES, pages(2, doc_id="ef" * 32), "late")
    replace_rows(lake, TAGS, results(range(14), model="late"), "late")
    merge_all(lake)
    assert read(lake, PAGES, as_of=now).num_rows == 8
    assert set(read(lake, TAGS, as_of=now)["model"].to_pylist()) == {"m0", "m1", "m2"}
    assert tidy(lake).n_superseded == 0
    tidied = tidy(lake, datetime.now(UTC) + GRACE + timedelta(minutes=1))
    assert tidied.n_superseded == 6  # three parts of pages, three files of results
    assert list(lake.storage.list("_superseded/")) == []
    assert read(lake, PAGES).num_rows == 10
    for table in (PAGES, TAGS):
        with pytest.raises(ConfigError, match="older states have been deleted"):
            read(lake, table, as_of=now)
    publish_pages(lake, 2)
    assert read(lake, PAGES).num_rows == 10


def test_rows_from_before_a_column_was_added_are_merged_with_those_after(local_lake: Lake) -> None:
    replace_rows(local_lake, TAGS, results(range(3)), "a")
    wider = results_table("tag-document", 1, OUTPUT | {"properties": OUTPUT["properties"] | {"score": {"type": ["number", "null"]}}})
    replace_rows(local_lake, wider, results(range(3, 5), table=wider, score=0.5), "b")
    merge_all(local_lake)
    assert read(local_lake, TAGS.name).sort_by("item_id")["score"].to_pylist() == [None, None, None, 0.5, 0.5]


def test_labels_are_merged_whatever_numbers_their_files_gave_them(local_lake: Lake) -> None:
    table = results_table("label", 1, {"properties": {"kind": {"type": "string", "enum": ["a", "b", "c"]}}})
    for number, kind in enumerate("cab"):
        (row,) = results(range(number, number + 1)).drop_columns(["tags", "total"]).to_pylist()
        replace_rows(local_lake, table, to_results(table, [row | {"kind": kind}]), f"p{number}")
    merge_all(local_lake)
    assert read(local_lake, table).sort_by("item_id")["kind"].to_pylist() == ["c", "a", "b"]


def test_debris_of_dead_writers_goes_after_a_day(lake: Lake) -> None:
    publish_pages(lake)
    keys = [f"_staged/pages/dt={DAY}/part-x.parquet", "_probe/x", f"pages/_absorbed/{DAY}-x.json"]
    merge_all(lake)
    for key in keys:
        lake.storage.put(key, b"x")
    assert tidy(lake).n_debris == 0
    assert tidy(lake, datetime.now(UTC) + timedelta(days=2)).n_debris == 2
    assert tidy(lake, datetime.now(UTC) + GRACE + timedelta(days=1)).n_debris == 1
    publish_pages(lake)
    assert read(lake, PAGES).num_rows == 12


def test_the_command_says_what_it_would_do_and_does_it(local_lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    publish_pages(local_lake)
    publish_results(local_lake)
    monkeypatch.setenv("SKILLYARD_LAKE", local_lake.url)
    planned = CliRunner().invoke(app, ["lake", "compact", "results/tag-document", "--dry-run", "--json"])
    assert [(row["table"], row["n_files"]) for row in json.loads(planned.stdout)] == [(TAGS.name, 3)]
    done = CliRunner().invoke(app, ["lake", "compact", "--json"])
    assert [(row["table"], row["n_rows"]) for row in json.loads(done.stdout)] == [("pages", 12), (TAGS.name, 14)]
    assert plan_merges(local_lake) == []


texts = st.one_of(st.none(), st.text(max_size=6))
rows_of = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.integers(0, 10**6).map(str),
            "text": texts,
            "n": st.one_of(st.none(), st.integers(-5, 5)),
            "list": st.one_of(st.none(), st.lists(texts, max_size=3)),
            "structs": st.one_of(st.none(), st.lists(st.fixed_dictionaries({"a": texts, "b": st.lists(st.integers(0, 3), max_size=2)}))),
        }
    ),
    min_size=1,
    max_size=30,
)
SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("text", pa.string()),
        ("n", pa.int32()),
        ("list", pa.list_(pa.string())),
        ("structs", pa.list_(pa.struct([("a", pa.string()), ("b", pa.list_(pa.int64()))]))),
    ]
)


@settings(max_examples=40, deadline=None)
@given(rows_of, st.randoms(use_true_random=False), st.data())
def test_the_hash_knows_rows_by_their_values_alone(rows: list[dict[str, Any]], chance: random.Random, data: st.DataObject) -> None:
    table = pa.Table.from_pylist(rows, schema=SCHEMA)
    hashed = row_hash(PAGES, table)
    shuffled = chance.sample(rows, len(rows))
    assert row_hash(PAGES, pa.Table.from_pylist(shuffled, schema=SCHEMA)) == hashed
    cut = chance.randrange(len(rows) + 1)
    assert row_hash(PAGES, pa.concat_tables([table.slice(cut), table.slice(0, cut)])) == hashed
    assert add_hashes([row_hash(PAGES, table.slice(0, cut)), row_hash(PAGES, table.slice(cut))]) == hashed
    labels = table.set_column(1, "text", table["text"].combine_chunks().dictionary_encode())
    assert row_hash(PAGES, labels) == hashed
    buffer = pa.BufferOutputStream()
    pq.write_table(table, buffer)
    assert row_hash(PAGES, pq.read_table(pa.BufferReader(buffer.getvalue()))) == hashed
    other = data.draw(rows_of)
    is_same = sorted(map(_text, other)) == sorted(map(_text, rows))
    assert (row_hash(PAGES, pa.Table.from_pylist(other, schema=SCHEMA)) == hashed) == is_same


def _text(row: dict[str, Any]) -> str:
    return json.dumps(row, sort_keys=True)


def test_the_hash_tells_rows_apart_that_look_alike() -> None:
    def hashed(*rows: dict[str, Any]) -> str:
        return row_hash(PAGES, pa.Table.from_pylist(list(rows), schema=SCHEMA))

    alike = [
        [{"id": "a", "text": "b"}],
        [{"id": "ab", "text": ""}],
        [{"id": "ab", "text": None}],
        [{"id": "a", "text": "b"}, {"id": "a", "text": "b"}],
        [{"id": "a", "list": ["b", "c"]}],
        [{"id": "a", "list": ["bc"]}],
        [{"id": "a", "list": [None]}],
        [{"id": "a", "list": []}],
        [{"id": "a", "n": 0}],
        [{"id": "a"}],
    ]
    assert len({hashed(*rows) for rows in alike}) == len(alike)
