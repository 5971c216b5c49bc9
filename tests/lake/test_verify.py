"""``verify`` finds what is wrong with a lake, names it, and is silent about one that is whole."""

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from skillyard.cli import app
from skillyard.errors import UnknownName
from skillyard.lake import verify_table
from skillyard.lake.cost_tables import COST_DAILY
from skillyard.lake.lake import Lake
from skillyard.lake.parquet import ROW_HASH, decode, encode, stored_hash
from skillyard.lake.publish import append, replace_partition, replace_rows
from skillyard.lake.results import to_results
from skillyard.lake.tables import DOCUMENTS, LLM_CALLS, PAGES, REJECTS
from skillyard.lake.verify import verify
from tests.lake.rows import DAY, TAGS, call, cost, example, pages, results

NEXT = DAY + timedelta(days=1)
REJECTED = "1" * 64
RUN = "_runs/skill.tag-document/run-1"


def documents(*rows: dict[str, Any]) -> pa.Table:
    """Return documents that differ so from the example."""
    return to_results(DOCUMENTS, [example("documents")[1] | {"n_chunks": 0} | row for row in rows])


def rejects(**changes: Any) -> pa.Table:
    """Return one reject."""
    return to_results(REJECTS, [example("rejects")[1] | changes])


def bill(cost_usd: str) -> pa.Table:
    """Return a day's bill."""
    return pa.Table.from_pylist([cost("tag-document", 1) | {"cost_usd": Decimal(cost_usd)}], schema=COST_DAILY.schema)


def fill(lake: Lake) -> None:
    """Write a small lake that agrees with itself."""
    append(lake, PAGES, pages(3), "a")
    append(lake, REJECTS, rejects(stage="parse", item_id=REJECTED, doc_id=REJECTED, skill=None, fingerprint=None), "p")
    append(lake, REJECTS, rejects(item_id="item-9"), "a")
    append(lake, DOCUMENTS, documents({"n_pages": 3}, {"doc_id": REJECTED, "uri": "b", "status": "rejected", "n_pages": 0}), "a")
    append(lake, LLM_CALLS, to_results(LLM_CALLS, [call("c-1"), call("c-2")]), "a")
    replace_partition(lake, COST_DAILY, DAY, bill("0.10"))
    replace_rows(lake, TAGS, results(range(4)), "a")
    replace_rows(lake, TAGS, results(range(2, 6), NEXT, model="new"), "b")
    report = {"run_id": "run-1", "n_planned": 8, "n_results": 6, "n_rejects": 1, "n_pending": 1, "pending": {"budget": 1}}
    lake.write_json(f"{RUN}/report.json", report)
    lake.write_frame(f"{RUN}/items.parquet", pa.table({"item_id": [str(n) for n in range(8)]}))
    lake.write_frame(f"{RUN}/pending.parquet", pa.table({"item_id": ["7"]}))


def found(lake: Lake, is_deep: bool = False, tables: list[str] | None = None) -> list[tuple[str, str]]:
    """Return table and kind of every problem."""
    return [(problem.table, problem.kind) for problem in verify(lake, tables, is_deep).problems]


@pytest.fixture
def whole(local_lake: Lake, monkeypatch: pytest.MonkeyPatch) -> Lake:
    """A lake that is whole, and a verify that gives publishes no time to finish."""
    monkeypatch.setattr(verify_table, "UNDER_WAY", timedelta(0))
    fill(local_lake)
    return local_lake


def only(lake: Lake, table: str) -> str:
    """Return the key of a table's first file."""
    return next(info.key for info in lake.storage.list(f"{table}/dt="))


def rewrite(lake: Lake, table: str, change: Callable[[pa.Table], pa.Table]) -> None:
    """Put other rows into a file, under the row hash of those that were there."""
    key = only(lake, table)
    data = lake.storage.get(key)
    lake.storage.put(key, encode(change(decode(data)), **{ROW_HASH: stored_hash(data)}))


def with_column(rows: pa.Table, name: str, values: Any) -> pa.Table:
    """Return the rows with other values in a column."""
    return rows.set_column(rows.schema.get_field_index(name), name, values)


@pytest.mark.parametrize("is_deep", [False, True])
def test_nothing_is_wrong_with_a_lake_that_was_published(lake: Lake, is_deep: bool) -> None:
    fill(lake)
    said: list[str] = []
    verification = verify(lake, is_deep=is_deep, say=said.append)
    assert verification.problems == ()
    assert (verification.n_files, verification.n_rows) == (8, 16)
    assert "pages: 1 files, 3 rows" in said


def test_an_empty_lake_is_whole(local_lake: Lake) -> None:
    assert verify(local_lake).problems == ()


def test_a_table_that_is_not_there_is_refused(local_lake: Lake) -> None:
    with pytest.raises(UnknownName, match="pagse"):
        verify(local_lake, ["pagse"])


def test_a_file_cut_short_is_unreadable(whole: Lake) -> None:
    key = only(whole, "pages")
    whole.storage.put(key, whole.storage.get(key)[:-100])
    (problem,) = verify(whole, ["pages"]).problems
    assert (problem.kind, problem.key) == ("unreadable", key)
    assert "Restore it" in problem.message


def test_a_flipped_bit_is_found_by_a_deep_look(whole: Lake) -> None:
    rewrite(whole, "pages", lambda rows: with_column(rows, "text", pa.array(["Hello", "Hellp", "Hello"])))
    assert found(whole) == []
    assert found(whole, is_deep=True) == [("pages", "row_hash")]


def test_a_file_of_the_table_that_is_gone_is_missing(whole: Lake) -> None:
    whole.storage.delete(only(whole, TAGS.name))
    assert (TAGS.name, "missing") in found(whole)


def test_another_schema_is_told_with_its_columns(whole: Lake) -> None:
    rewrite(whole, "pages", lambda rows: with_column(rows, "n_chars", rows["n_chars"].cast(pa.int64())))
    (problem,) = verify(whole, ["pages"]).problems
    assert problem.kind == "schema"
    assert "n_chars: is int64, has to be int32" in problem.message


def test_rows_of_another_day_are_told(whole: Lake) -> None:
    rewrite(whole, "pages", lambda rows: with_column(rows, "ingested_on", pa.array([NEXT] * 3)))
    assert found(whole) == [("pages", "wrong_day")]


def test_a_row_that_is_there_twice_is_named(whole: Lake) -> None:
    append(whole, PAGES, pages(2), "again")
    (problem,) = (p for p in verify(whole).problems if p.kind == "doubled" and p.key.endswith(" 2"))
    assert "occurs 2 times" in problem.message
    assert "part-again" in problem.message


def test_the_same_document_again_in_a_later_run_is_no_double(whole: Lake) -> None:
    append(whole, DOCUMENTS, documents({"n_pages": 3, "run_id": "run-2"}), "later")
    assert found(whole) == []
    append(whole, DOCUMENTS, documents({"n_pages": 3, "run_id": "run-2"}), "twice")
    assert found(whole) == [("documents", "doubled")]


def test_rows_that_the_manifest_does_not_count_are_told(whole: Lake) -> None:
    key = f"{TAGS.name}/_manifest.json"
    manifest = whole.read_json(key)
    first = min(manifest["files"])
    manifest["files"][first]["n_rows"] += 1
    whole.write_json(key, manifest)
    assert found(whole) == [(TAGS.name, "row_count")]


@pytest.mark.parametrize("key", [f"{TAGS.name}/dt={DAY}/part-x.parquet", "pages/manifest.json", f"cost_daily/dt={DAY}/part-1.parquet"])
def test_what_is_no_part_of_a_table_is_an_orphan(whole: Lake, key: str) -> None:
    table = key.partition("/dt=")[0].partition("/manifest")[0]
    whole.storage.put(key, whole.storage.get(only(whole, table)))
    assert (table, "orphan") in found(whole)


def test_names_that_begin_with_an_underscore_are_no_orphans(whole: Lake) -> None:
    whole.storage.put("pages/_notes/x.json", b"{}")
    whole.storage.put("pages/_SUCCESS", b"")
    assert found(whole) == []


def test_a_superseded_file_in_its_old_place_is_told(whole: Lake) -> None:
    (away, *_) = whole.storage.list("_superseded/")
    whole.storage.put(away.key.removeprefix("_superseded/"), whole.storage.get(away.key))
    assert found(whole) == [(TAGS.name, "superseded_in_place")]


def test_a_file_that_was_not_placed_is_told(whole: Lake) -> None:
    (key,) = (key for key in whole.read_json(f"{TAGS.name}/_manifest.json")["staged"] if f"dt={NEXT}" in key)
    whole.storage.put(f"_staged/{key}", whole.storage.get(key))
    whole.storage.delete(key)
    assert found(whole) == [(TAGS.name, "not_placed")]
    whole.storage.put(f"_superseded/{key}", whole.storage.get(f"_staged/{key}"))
    whole.storage.delete(f"_staged/{key}")
    assert found(whole) == [(TAGS.name, "displaced")]


def test_what_a_dead_publish_staged_is_debris_after_a_day(whole: Lake) -> None:
    key = f"_staged/{TAGS.name}/dt={DAY}/part-dead-0123.parquet"
    whole.storage.put(key, b"x")
    assert found(whole) == []
    two_days_ago = (datetime.now(UTC) - timedelta(days=2)).timestamp()
    os.utime(Path(whole.url.removeprefix("file://")) / key, (two_days_ago, two_days_ago))
    assert found(whole) == [(TAGS.name, "debris")]


def test_a_document_without_its_pages_and_pages_without_their_document_are_told(whole: Lake) -> None:
    append(whole, DOCUMENTS, documents({"doc_id": "2" * 64, "uri": "c", "n_pages": 2}), "b")
    append(whole, PAGES, pages(1, doc_id="3" * 64), "b")
    problems = verify(whole).problems
    assert [(p.table, p.kind, p.key) for p in problems] == [("documents", "wrong_count", "2" * 64), ("pages", "no_document", "3" * 64)]


def test_a_rejected_document_without_its_reason_is_told(whole: Lake) -> None:
    append(whole, DOCUMENTS, documents({"doc_id": "2" * 64, "uri": "c", "status": "rejected", "n_pages": 0}), "b")
    assert found(whole) == [("documents", "no_reject")]


def test_a_result_of_a_document_that_is_not_there_is_told(whole: Lake) -> None:
    replace_rows(whole, TAGS, results(range(90, 91), doc_id="4" * 64), "c")
    (problem,) = verify(whole).problems
    assert (problem.table, problem.kind, problem.key) == (TAGS.name, "no_document", "4" * 64)


def test_a_bill_that_is_not_the_ledger_is_told(whole: Lake) -> None:
    past = DAY - timedelta(days=400)
    whole_day = to_results(LLM_CALLS, [call("c-9", usage_date=past, sent_at=datetime(past.year, past.month, past.day, tzinfo=UTC))])
    append(whole, LLM_CALLS, whole_day, "past")
    replace_partition(whole, COST_DAILY, past, with_column(bill("0.05"), "usage_date", pa.array([past])))
    assert found(whole) == []
    replace_partition(whole, COST_DAILY, past, with_column(bill("0.06"), "usage_date", pa.array([past])))
    (problem,) = verify(whole).problems
    assert (problem.kind, problem.key) == ("wrong_bill", str(past))
    assert "0.06" in problem.message
    assert "0.05" in problem.message


@pytest.mark.parametrize(
    ("name", "day", "money"),
    [("unit_costs", "usage_date", "cost_usd"), ("savings_daily", "usage_date", "cost_usd"), ("focus", "x_UsageDate", "EffectiveCost")],
)
def test_a_table_beside_the_bill_that_does_not_add_up_to_it_is_told(whole: Lake, name: str, day: str, money: str) -> None:
    past = DAY - timedelta(days=400)
    whole_day = to_results(LLM_CALLS, [call("c-9", usage_date=past, sent_at=datetime(past.year, past.month, past.day, tzinfo=UTC))])
    append(whole, LLM_CALLS, whole_day, "past")
    replace_partition(whole, COST_DAILY, past, with_column(bill("0.05"), "usage_date", pa.array([past])))
    table, row = example(name)
    wrong = []
    for usd in ("0.05", "0.06"):
        amount = pa.array([Decimal(usd)], table.schema.field(money).type)
        rows = with_column(to_results(table, [row]), day, pa.array([past]))
        replace_partition(whole, table, past, with_column(rows, money, amount))
        wrong.append([(p.table, p.kind, p.key) for p in verify(whole).problems if p.key == str(past)])
    assert wrong == [[], [(name, "wrong_bill", str(past))]]


@pytest.mark.parametrize(
    ("changes", "table"),
    [({"n_results": 5}, "_runs"), ({"pending": {"budget": 2}}, "_runs"), ({"n_rejects": 2, "n_planned": 9}, "rejects")],
)
def test_a_run_that_does_not_add_up_is_told(whole: Lake, changes: dict[str, Any], table: str) -> None:
    whole.write_json(f"{RUN}/report.json", whole.read_json(f"{RUN}/report.json") | changes)
    assert (table, "vanished") in found(whole)


def test_a_run_whose_pending_items_are_not_listed_is_told(whole: Lake) -> None:
    whole.write_frame(f"{RUN}/pending.parquet", pa.table({"item_id": pa.array([], pa.string())}))
    assert found(whole) == [("_runs", "vanished")]


def test_of_many_problems_of_a_kind_some_are_named_and_the_rest_counted(whole: Lake) -> None:
    append(whole, PAGES, pages(50, doc_id="5" * 64), "x")
    append(whole, PAGES, pages(50, doc_id="5" * 64), "y")
    doubled = [p for p in verify(whole).problems if p.kind == "doubled"]
    assert len(doubled) == 21
    assert doubled[-1].key == "… 30 more"


def test_the_command_prints_problems_and_fails(whole: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SKILLYARD_LAKE", whole.url)
    clean = CliRunner().invoke(app, ["lake", "verify", "--json", "--deep"])
    assert clean.exit_code == 0
    assert json.loads(clean.stdout)["problems"] == []
    whole.storage.put("pages/x.json", b"{}")
    broken = CliRunner().invoke(app, ["lake", "verify", "pages"])
    assert broken.exit_code == 1
    assert "orphan" in broken.stdout
    assert "pages/x.json" in broken.stdout
    assert "1 problem" in broken.stderr


def test_a_file_of_another_hand_is_told(whole: Lake) -> None:
    key = only(whole, "pages")
    sink = pa.BufferOutputStream()
    pq.write_table(decode(whole.storage.get(key)).replace_schema_metadata(None), sink)
    whole.storage.put(key, bytes(sink.getvalue()))
    assert found(whole) == [("pages", "row_hash")]
