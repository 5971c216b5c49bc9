"""A file that is not what its table says is refused by name; a file from before a column was added is not."""

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from skillyard.errors import SchemaMismatch
from skillyard.lake.lake import Lake
from skillyard.lake.parquet import encode
from skillyard.lake.publish import append, replace_rows
from skillyard.lake.read import read
from skillyard.lake.results import results_table
from skillyard.lake.tables import PAGES
from tests.lake.rows import DAY, OUTPUT, TAGS, pages, results

STRAY = f"pages/dt={DAY}/part-stray.parquet"


def changed(name: str, values: pa.Array) -> pa.Table:
    """Return a page with another type in one column."""
    rows = pages(1)
    return rows.set_column(rows.schema.get_field_index(name), name, values)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (changed("n_chars", pa.array(["5"])), "n_chars: is string, has to be int32"),
        (changed("n_chars", pa.array([5], pa.int64())), "n_chars: is int64, has to be int32"),
        (changed("ingested_on", pa.array([str(DAY)])), "ingested_on: is string, has to be date32[day]"),
        (pages(1).drop_columns(["text"]), "text: missing, and it may not be null"),
        (pages(1).append_column("mood", pa.array(["good"])), "mood: not a column of this table"),
        (pages(1).rename_columns({"parser": "reader"}), "parser: missing"),
    ],
)
def test_a_file_of_another_schema_is_refused_whatever_is_asked_of_it(lake: Lake, rows: pa.Table, message: str) -> None:
    append(lake, PAGES, pages(3), "a")
    lake.storage.put(STRAY, encode(rows))
    for columns in (None, ["doc_id"]):
        with pytest.raises(SchemaMismatch, match=r"part-stray\.parquet does not have the schema of its table") as raised:
            read(lake, "pages", columns)
        assert message in str(raised.value)


def test_a_file_that_the_day_rules_out_is_not_opened(lake: Lake) -> None:
    append(lake, PAGES, pages(3), "a")
    lake.storage.put("pages/dt=2020-01-01/part-stray.parquet", b"no Parquet at all")
    assert read(lake, "pages", where=pc.field("ingested_on") == DAY).num_rows == 3


def test_a_column_that_came_later_is_null_in_older_files(lake: Lake) -> None:
    replace_rows(lake, TAGS, results(range(2)), "a")
    wider = results_table("tag-document", 1, OUTPUT | {"properties": OUTPUT["properties"] | {"mood": {"type": ["string", "null"]}}})  # type: ignore[operator]
    replace_rows(lake, wider, results(range(2, 3), table=wider, mood="good"), "b")
    assert read(lake, "results/tag-document").sort_by("item_id")["mood"].to_pylist() == [None, None, "good"]


def test_a_column_that_the_skill_dropped_is_null_in_newer_rows(lake: Lake) -> None:
    replace_rows(lake, TAGS, results(range(2)), "a")
    less = results_table("tag-document", 1, {"properties": {"total": OUTPUT["properties"]["total"]}})  # type: ignore[index]
    rows = results(range(2, 3)).drop_columns(["tags"])
    replace_rows(lake, less, rows, "b")
    replace_rows(lake, less, rows.slice(0, 1), "c")
    assert read(lake, "results/tag-document").sort_by("item_id")["tags"].to_pylist() == [["billing"], ["billing"], None]


def test_a_type_that_changes_within_a_version_is_refused_before_it_is_written(lake: Lake) -> None:
    replace_rows(lake, TAGS, results(range(2)), "a")
    labels = {"type": "array", "items": {"type": "string", "enum": ["billing"]}}
    other = results_table("tag-document", 1, OUTPUT | {"properties": OUTPUT["properties"] | {"tags": labels}})  # type: ignore[operator]
    with pytest.raises(SchemaMismatch, match=r"Raise output\.major"):
        replace_rows(lake, other, results(range(2, 3), table=other), "b")
