"""Appending and recomputing: once and only once, whatever is repeated."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from skillyard.errors import ConfigError, LakeNotWritable, PublishConflict, SchemaMismatch
from skillyard.lake.cost_tables import COST_DAILY
from skillyard.lake.lake import Lake
from skillyard.lake.parquet import stored_hash
from skillyard.lake.publish import append, replace_partition
from skillyard.lake.read import read
from skillyard.lake.results import to_results
from skillyard.lake.rowhash import row_hash
from skillyard.lake.tables import LLM_CALLS, PAGES
from skillyard.storage.local import LocalStorage
from tests.lake.rows import DAY, call, cost, pages
from tests.s3_server import S3Server

NEXT = DAY + timedelta(days=1)


def test_rows_go_to_the_object_of_their_part_and_day(lake: Lake) -> None:
    rows = pa.concat_tables([pages(2), pages(1, NEXT, doc_id="cd" * 32)])
    committed = append(lake, PAGES, rows, "run-1.0")
    assert [(c.key, c.n_rows, c.is_new) for c in committed] == [
        ("pages/dt=2026-11-20/part-run-1.0.parquet", 2, True),
        ("pages/dt=2026-11-21/part-run-1.0.parquet", 1, True),
    ]
    assert read(lake, "pages").sort_by([("doc_id", "ascending"), ("page_no", "ascending")]).equals(rows)


def test_the_same_part_again_changes_nothing(lake: Lake) -> None:
    append(lake, PAGES, pages(3), "a")
    before = [(found.key, found.etag) for found in lake.storage.list()]
    again = append(lake, PAGES, pages(3).take([2, 0, 1]), "a")
    assert [c.is_new for c in again] == [False]
    assert [(found.key, found.etag) for found in lake.storage.list()] == before


def test_the_same_part_on_the_next_day_changes_nothing(lake: Lake) -> None:
    append(lake, PAGES, pages(3), "a")
    again = append(lake, PAGES, pages(3, NEXT), "a")
    assert [(c.key, c.is_new) for c in again] == [("pages/dt=2026-11-20/part-a.parquet", False)]
    assert read(lake, "pages").column("ingested_on").unique().to_pylist() == [DAY]


def test_a_part_that_died_before_its_first_object_keeps_its_day(lake: Lake) -> None:
    append(lake, PAGES, pages(3), "a")
    lake.storage.delete("pages/dt=2026-11-20/part-a.parquet")
    again = append(lake, PAGES, pages(3, NEXT), "a")
    assert [(c.key, c.is_new) for c in again] == [("pages/dt=2026-11-20/part-a.parquet", True)]


def test_the_same_part_with_other_rows_is_a_conflict_and_the_first_stands(lake: Lake) -> None:
    append(lake, PAGES, pages(3), "a")
    with pytest.raises(PublishConflict, match="part 'a'"):
        append(lake, PAGES, pages(3, text="Other"), "a")
    assert read(lake, "pages").column("text").unique().to_pylist() == ["Hello"]


def test_a_ledger_part_with_other_facts_is_a_conflict(lake: Lake) -> None:
    append(lake, LLM_CALLS, to_results(LLM_CALLS, [call("c1")]), "a")
    with pytest.raises(PublishConflict):
        append(lake, LLM_CALLS, to_results(LLM_CALLS, [call("c1", cost_usd="0.06")]), "a")


def test_of_eight_writers_of_a_part_one_commits_it(lake: Lake) -> None:
    with ThreadPoolExecutor(8) as pool:
        tries = list(pool.map(lambda n: append(lake, PAGES, pages(5, DAY + timedelta(days=n)), "a"), range(8)))
    assert sum(c.is_new for committed in tries for c in committed) == 1
    assert read(lake, "pages").num_rows == 5


def test_no_rows_write_nothing(lake: Lake) -> None:
    assert append(lake, PAGES, pages(0), "a") == []
    assert list(lake.storage.list()) == []


def test_rows_of_another_schema_are_refused_with_every_difference(local_lake: Lake) -> None:
    rows = pages(1).drop_columns(["parser"]).append_column("extra", pa.array([1])).set_column(1, "page_no", pa.array([1], pa.int64()))
    with pytest.raises(SchemaMismatch, match=r"parser: missing; extra: not a column.*") as raised:
        append(local_lake, PAGES, rows, "a")
    assert "pages" in str(raised.value)
    with pytest.raises(SchemaMismatch, match="page_no: is int64, has to be int32"):
        append(local_lake, PAGES, pages(1).set_column(1, "page_no", pa.array([1], pa.int64())), "a")
    nameless = pages(1).set_column(6, "parser", pa.nulls(1, pa.string()))
    with pytest.raises(SchemaMismatch, match="parser: 1 nulls"):
        append(local_lake, PAGES, nameless, "a")


@pytest.mark.parametrize("part", ["", "a/b", "_a", "../a", "a b", "manual__2026-11-20T10:00:00+00:00"])
def test_a_part_that_cannot_stand_in_a_name_is_refused(local_lake: Lake, part: str) -> None:
    with pytest.raises(ConfigError, match="cannot name a part"):
        append(local_lake, PAGES, pages(1), part)


def test_the_file_says_what_its_columns_mean(local_lake: Lake) -> None:
    (committed,) = append(local_lake, PAGES, pages(1), "a")
    data = local_lake.storage.get(committed.key)
    schema = pq.read_schema(pa.BufferReader(data))
    assert schema.field("parser").metadata[b"description"] == b"the library that read it"
    assert stored_hash(data) == row_hash(PAGES, pages(1))
    assert schema.equals(PAGES.schema)


def test_a_recomputed_day_is_one_object_replaced_as_a_whole(lake: Lake) -> None:
    first = replace_partition(lake, COST_DAILY, DAY, to_results(COST_DAILY, [cost("a", 1), cost("b", 2)]))
    same = replace_partition(lake, COST_DAILY, DAY, to_results(COST_DAILY, [cost("b", 2), cost("a", 1)]))
    other = replace_partition(lake, COST_DAILY, DAY, to_results(COST_DAILY, [cost("a", 3)]))
    assert [c.is_new for c in (first, same, other)] == [True, False, True]
    assert read(lake, "cost_daily").column("n_calls").to_pylist() == [3]
    assert [found.key for found in lake.storage.list()] == ["cost_daily/dt=2026-11-20/part-0.parquet"]


def test_a_recomputed_day_without_rows_is_removed(lake: Lake) -> None:
    replace_partition(lake, COST_DAILY, DAY, to_results(COST_DAILY, [cost("a", 1)]))
    nothing = to_results(COST_DAILY, [])
    assert [replace_partition(lake, COST_DAILY, DAY, nothing).is_new for _ in range(2)] == [True, False]
    assert list(lake.storage.list()) == []


def test_rows_of_another_day_are_refused(local_lake: Lake) -> None:
    with pytest.raises(SchemaMismatch, match="a partition holds one day"):
        replace_partition(local_lake, COST_DAILY, NEXT, to_results(COST_DAILY, [cost("a", 1)]))


def test_writers_of_one_day_leave_one_of_their_states(lake: Lake) -> None:
    def write(n: int) -> None:
        replace_partition(lake, COST_DAILY, DAY, to_results(COST_DAILY, [cost(f"skill-{i}", n) for i in range(5)]))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(1, 5)))
    assert len(set(read(lake, "cost_daily").column("n_calls").to_pylist())) == 1


def test_a_writable_lake_is_left_as_it_was(lake: Lake) -> None:
    lake.check_writable()
    assert list(lake.storage.list()) == []


def test_a_lake_that_refuses_writes_is_told(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(LakeNotWritable, match="SignatureDoesNotMatch"):
        Lake(f"s3://{s3.bucket}/x").check_writable()


def test_a_store_that_ignores_conditions_is_told(local_lake: Lake) -> None:
    class CarelessStorage(LocalStorage):
        def put_if_absent(self, key: str, data: bytes) -> str | None:
            return self.put(key, data)

    local_lake.storage = CarelessStorage(local_lake.url)
    with pytest.raises(LakeNotWritable, match="ignores If-None-Match"):
        local_lake.check_writable()
    assert list(local_lake.storage.list()) == []


def test_working_frames_and_values_round_trip(lake: Lake) -> None:
    assert lake.read_frame(lake.write_frame("_runs/r/frame.parquet", pages(2))).equals(pages(2))
    assert lake.read_json(lake.write_json("_runs/r/plan.json", {"é": [1, None]})) == {"é": [1, None]}
    assert lake.has("_runs/r/plan.json")
    assert not lake.has("_runs/r/nothing.json")
