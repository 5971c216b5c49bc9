"""Reading: ours, pandas' and DuckDB's show the same rows of every table."""

import os
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from skillyard.errors import UnknownName
from skillyard.lake.known_tables import TABLES
from skillyard.lake.lake import Lake
from skillyard.lake.publish import append, replace_partition, replace_rows
from skillyard.lake.read import read, scan, table_names
from skillyard.lake.results import results_table, to_results
from skillyard.lake.tables import PAGES, Table
from tests.lake.rows import DAY, OUTPUT, TAGS, example, pages, results, with_duckdb, with_pandas

NEXT = DAY + timedelta(days=1)


@pytest.mark.parametrize("name", [*TABLES, "results"])
def test_pandas_and_duckdb_read_every_table_as_we_do(lake: Lake, name: str) -> None:
    table, row = example(name)
    rows, later = (to_results(table, [one]) for one in (row, _a_day_later(row, table)))
    if table.is_recomputed:
        replace_partition(lake, table, DAY, rows)
        replace_partition(lake, table, NEXT, later)
    else:
        publish = replace_rows if name == "results" else append
        publish(lake, table, rows, "a")
        publish(lake, table, later, "b")
    ours = read(lake, table.name).sort_by(table.partition).to_pylist()
    raw = sorted(with_duckdb(lake, table.name, dict(os.environ)), key=lambda r: r[table.partition])
    assert [{name: value for name, value in r.items() if name != "dt"} for r in raw] == ours
    assert [str(r["dt"]) for r in raw] == [str(DAY), str(NEXT)]
    frame = with_pandas(lake, table.name)
    assert list(frame.columns) == [*table.schema.names, "dt"]
    assert frame[table.partition].tolist() == [DAY, NEXT]


def _a_day_later(row: dict[str, Any], table: Table) -> dict[str, Any]:
    """Return another row of the table, one day on."""
    moments = {name: value + timedelta(days=1) for name, value in row.items() if isinstance(value, datetime)}
    return row | moments | {table.partition: NEXT} | ({"item_id": "item-9999"} if "produced_on" in row else {})


def test_columns_and_conditions_are_applied(lake: Lake) -> None:
    append(lake, PAGES, pa.concat_tables([pages(3), pages(2, NEXT, doc_id="cd" * 32)]), "a")
    rows = read(lake, "pages", ["page_no", "doc_id"], (pc.field("ingested_on") == NEXT) & (pc.field("page_no") > 1))
    assert rows.to_pylist() == [{"page_no": 2, "doc_id": "cd" * 32}]
    assert rows.column_names == ["page_no", "doc_id"]


def test_a_day_that_a_condition_rules_out_is_not_opened(local_lake: Lake) -> None:
    append(local_lake, PAGES, pages(3), "a")
    append(local_lake, PAGES, pages(2, NEXT, doc_id="cd" * 32), "b")
    local_lake.storage.put(f"pages/dt={DAY}/part-a.parquet", b"broken")
    assert read(local_lake, "pages", where=pc.field("ingested_on") == NEXT).num_rows == 2
    with pytest.raises(pa.ArrowInvalid, match=f"dt={DAY}/part-a.parquet"):
        read(local_lake, "pages")


def test_scan_yields_the_rows_of_read(lake: Lake) -> None:
    append(lake, PAGES, pages(3), "a")
    append(lake, PAGES, pages(2, NEXT, doc_id="cd" * 32), "b")
    assert pa.Table.from_batches(scan(lake, "pages"), PAGES.schema).equals(read(lake, "pages"))


def test_a_scan_that_began_before_a_publish_ends_as_it_began(lake: Lake) -> None:
    replace_rows(lake, TAGS, results(range(3)), "a")
    replace_rows(lake, TAGS, results(range(3, 6), NEXT), "b")
    batches = scan(lake, "results/tag-document", ["model"])
    seen = next(batches).to_pylist()
    replace_rows(lake, TAGS, results(range(6), model="new"), "c")
    seen += [row for batch in batches for row in batch.to_pylist()]
    assert [row["model"] for row in seen] == ["embedded/small"] * 6


def test_a_known_table_without_files_is_empty_with_its_schema(lake: Lake) -> None:
    assert read(lake, "pages").schema.equals(PAGES.schema)
    assert read(lake, "pages", ["page_no"]).to_pylist() == []
    assert read(lake, TAGS).schema.equals(TAGS.schema)
    assert list(scan(lake, "pages")) == []


def test_an_unknown_table_is_refused_with_the_names_there_are(lake: Lake) -> None:
    replace_rows(lake, TAGS, results(range(1)), "a")
    with pytest.raises(UnknownName, match="results/tag-document/v1"):
        read(lake, "results/tag-documents")
    with pytest.raises(UnknownName, match="Did you mean 'pages'"):
        read(lake, "page")


def test_results_without_a_version_are_those_of_the_highest(lake: Lake) -> None:
    for major in (2, 10):
        table = results_table("tag-document", major, OUTPUT)
        replace_rows(lake, table, results(range(major), table=table), "a")
    assert read(lake, "results/tag-document").num_rows == 10
    assert read(lake, "results/tag-document/v2").num_rows == 2


def test_table_names_are_the_fixed_tables_and_every_version_of_results(lake: Lake) -> None:
    replace_rows(lake, TAGS, results(range(1)), "a")
    assert table_names(lake) == [*TABLES, "results/tag-document/v1"]


def test_a_lake_can_be_moved(local_lake: Lake, tmp_path: Path) -> None:
    replace_rows(local_lake, TAGS, results(range(3)), "a")
    (tmp_path / "lake").rename(tmp_path / "moved")
    assert read(Lake(str(tmp_path / "moved")), "results/tag-document").num_rows == 3
