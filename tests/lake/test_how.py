"""What `skillyard lake show TABLE --how` prints is run as it stands: for every table, in a folder and on S3."""

import ast
import json
import re
import shutil
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from importlib.resources import files
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from skillyard.cli.lake import list_tables, show_table
from skillyard.errors import UnknownName
from skillyard.lake.ddl import hive_type
from skillyard.lake.how import ENGINES, how
from skillyard.lake.known_tables import TABLES
from skillyard.lake.lake import Lake
from skillyard.lake.publish import append, replace_partition, replace_rows
from skillyard.lake.read import read
from skillyard.lake.results import results_table, to_results
from skillyard.lake.tables import DOCUMENTS, PAGES, Table
from tests.lake.rows import DAY, OUTPUT, example, moment, results

LABELS = {"type": ["string", "null"], "enum": ["late", "early", None]}
RICH = results_table(
    "extract-invoice",
    3,
    {
        "properties": OUTPUT["properties"]  # type: ignore[operator]
        | {
            "issued": {"type": "string", "format": "date"},
            "paid_at": {"type": "string", "format": "date-time"},
            "state": LABELS,
            "marks": {"type": "array", "items": {"type": "string", "enum": ["late", "early"]}},
            "lines": {"type": "array", "items": {"type": "object", "properties": {"state": LABELS, "n": {"type": "integer"}}}},
        }
    },
)
ANSWER = {
    "issued": "2026-01-31",
    "paid_at": "2026-01-31T23:30:00-02:00",
    "state": "late",
    "marks": ["late"],
    "lines": [{"state": "early", "n": 2}, {"state": None, "n": 3}],
}
ALL = [*TABLES.values(), RICH]


def fill(lake: Lake, table: Table) -> None:
    """Put rows of two days into a table."""
    if table is RICH:
        replace_rows(lake, table, results(range(2), table=table, **ANSWER), "a")
        replace_rows(
            lake, table, results(range(2, 3), date(2026, 11, 21), table=table, **ANSWER | {"state": None, "marks": ["early"]}), "b"
        )
        return
    _, row = example(table.name)
    for day in (DAY, date(2026, 11, 21)):
        rows = to_results(table, [row | {table.partition: day}])
        if table.is_recomputed:
            replace_partition(lake, table, day, rows)
        else:
            append(lake, table, rows, f"part-{day}")


def run(code: str, monkeypatch: pytest.MonkeyPatch, lake: Lake, home: Path) -> dict[str, Any]:
    """Run printed code as it stands, in the environment it asks for; return its variables."""
    monkeypatch.setenv("SKILLYARD_LAKE", lake.url)
    wheel = files("duckdb_extension_httpfs") / "extensions" / f"v{duckdb.__version__}" / "httpfs.duckdb_extension"
    platform = duckdb.sql("pragma platform").fetchall()[0][0]
    place = home / ".duckdb" / "extensions" / f"v{duckdb.__version__}" / platform / "httpfs.duckdb_extension"
    place.parent.mkdir(parents=True)
    shutil.copy(str(wheel), place)  # so that INSTALL finds it without the network
    monkeypatch.setenv("HOME", str(home))
    variables: dict[str, Any] = {}
    exec(compile(code, "how", "exec"), variables)
    return variables


@pytest.mark.parametrize("table", ALL, ids=lambda t: t.name)
def test_every_snippet_that_runs_here_reads_the_same_rows_with_right_types(
    table: Table, lake: Lake, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fill(lake, table)
    ours = read(lake, table)
    wanted = sorted(map(repr, ours.to_pylist()))
    found = run(how(lake, table, "skillyard"), monkeypatch, lake, tmp_path / "a")
    assert sorted(map(repr, found["rows"].to_pylist())) == wanted
    assert found["rows"].schema.equals(ours.schema)

    frame: pd.DataFrame = run(how(lake, table, "pandas"), monkeypatch, lake, tmp_path / "b")["rows"]
    assert list(frame.columns) == ours.column_names
    back = pa.Table.from_pandas(frame.reset_index(drop=True), schema=ours.schema, preserve_index=False)
    assert sorted(map(repr, back.to_pylist())) == wanted

    rows = run(how(lake, table, "duckdb"), monkeypatch, lake, tmp_path / "c")["rows"].to_arrow_table()
    assert rows.schema.field("dt").type == pa.date32()
    assert rows.column("dt").to_pylist() == rows.column(table.partition).to_pylist()
    plain = rows.drop_columns(["dt"]).cast(pa.schema([f.with_nullable(True) for f in _plain(ours.schema)]))
    assert sorted(map(repr, plain.to_pylist())) == wanted
    for name, kind in ((f.name, f.type) for f in ours.schema if pa.types.is_decimal(f.type) or pa.types.is_date(f.type)):
        assert rows.schema.field(name).type == kind


def _plain(schema: pa.Schema) -> pa.Schema:
    """Return the schema with labels as strings, as engines other than Arrow have them."""

    def plain(kind: pa.DataType) -> pa.DataType:
        if pa.types.is_list(kind):
            return pa.list_(plain(kind.value_type))
        if pa.types.is_struct(kind):
            return pa.struct([pa.field(f.name, plain(f.type)) for f in kind])
        return kind.value_type if pa.types.is_dictionary(kind) else kind

    return pa.schema([pa.field(f.name, plain(f.type)) for f in schema])


def test_pandas_has_money_dates_times_and_labels_as_such(local_lake: Lake, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fill(local_lake, RICH)
    rows = run(how(local_lake, RICH, "pandas"), monkeypatch, local_lake, tmp_path)["rows"].sort_values("item_id")
    first = rows.iloc[0]
    assert first["total"] == Decimal("12.10") and first["issued"] == date(2026, 1, 31)
    assert first["paid_at"] == datetime(2026, 2, 1, 1, 30, tzinfo=UTC)
    assert rows["state"].dtype == "category" and rows["state"].isna().tolist() == [False, False, True]
    assert rows["marks"].explode().tolist() == ["late", "late", "early"]
    assert [line["state"] for line in first["lines"]] == ["early", None]


@pytest.mark.parametrize("engine", ["pandas", "duckdb"])
def test_a_column_that_came_later_is_there(engine: str, local_lake: Lake, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    replace_rows(local_lake, RICH, results(range(2), table=RICH, **ANSWER), "a")
    later = Table(RICH.name, RICH.description, RICH.key, RICH.partition, RICH.schema.append(pa.field("mood", pa.string())), version=3)
    replace_rows(local_lake, later, results(range(2, 3), table=later, mood="good", **ANSWER), "b")
    rows = run(how(local_lake, later, engine), monkeypatch, local_lake, tmp_path)["rows"]
    frame = rows if engine == "pandas" else rows.to_arrow_table().to_pandas()
    assert frame.sort_values("item_id")["mood"].fillna("-").tolist() == ["-", "-", "good"]


@pytest.mark.parametrize("engine", ["pandas", "duckdb", "skillyard"])
def test_the_newest_version_of_a_document_is_one_row(
    engine: str, local_lake: Lake, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _, row = example("documents")
    later = moment(date(2026, 11, 21))
    versions = [
        row | {"doc_id": "1"},
        row | {"doc_id": "2", "ingested_at": later},
        row | {"doc_id": "3", "uri": "file:///inbox/gone.pdf"},
        row | {"doc_id": "3", "uri": "file:///inbox/gone.pdf", "ingested_at": later, "status": "deleted"},
    ]
    append(local_lake, DOCUMENTS, to_results(DOCUMENTS, versions), "a")
    newest = run(how(local_lake, DOCUMENTS, engine), monkeypatch, local_lake, tmp_path)["newest"]
    frame = newest.to_arrow_table().to_pandas() if engine == "duckdb" else newest
    assert frame["doc_id"].tolist() == ["2"]


@pytest.mark.parametrize("table", ALL, ids=lambda t: t.name)
def test_the_other_engines_get_every_column_in_their_own_types(table: Table) -> None:
    there = Lake("s3://bucket/lake")
    ast.parse(how(there, table, "spark"))
    assert f's3a://bucket/lake/{table.name}"' in how(there, table, "spark")
    statement = how(there, table, "athena").partition(";")[0]
    columns = re.findall(r"^  `(\w+)` (\S+?)(?: COMMENT '[^']*')?,?$", statement, re.MULTILINE)
    assert columns == [(field.name, hive_type(field.type)) for field in table.schema]
    assert statement.count("(") == statement.count(")") and statement.count("'") % 2 == 0
    assert f"LOCATION 's3://bucket/lake/{table.name}/'" in statement and "PARTITIONED BY (`dt` string)" in statement
    assert f"'storage.location.template' = 's3://bucket/lake/{table.name}/dt=${{dt}}/'" in statement


def test_hive_types() -> None:
    types = {field.name: hive_type(field.type) for field in RICH.schema}
    assert {name: types[name] for name in ("total", "issued", "paid_at", "state", "marks", "lines", "n_attempts", "is_stale")} == {
        "total": "decimal(28,12)",
        "issued": "date",
        "paid_at": "timestamp",
        "state": "string",
        "marks": "array<string>",
        "lines": "array<struct<`state`:string,`n`:bigint>>",
        "n_attempts": "int",
        "is_stale": "boolean",
    }
    with pytest.raises(ValueError, match="no Hive type"):
        hive_type(pa.timestamp("ns"))


def test_the_commands_show_rows_columns_and_code(
    local_lake: Lake, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(local_lake, RICH)
    monkeypatch.setenv("SKILLYARD_LAKE", local_lake.url)

    def data(show: Callable[..., None], *arguments: Any, **options: Any) -> Any:
        show(*arguments, as_json=True, **options)
        return json.loads(capsys.readouterr().out)

    counts = {row["table"]: (row["version"], row["rows"]) for row in data(list_tables)}
    assert counts[RICH.name] == (3, 3) and counts["pages"] == (1, 0)
    assert [len(data(show_table, "results/extract-invoice", limit=n)) for n in (1, 2, 20)] == [1, 2, 3]
    assert set(data(show_table, RICH.name, columns="state,total")[0]) == {"state", "total"}
    described = {row["column"]: row for row in data(show_table, RICH.name, is_schema=True)}
    assert described["total"]["type"] == "decimal128(28, 12)" and described["cost_usd"]["meaning"] == "what they cost"
    show_table(RICH.name, is_how=True)
    assert "CREATE EXTERNAL TABLE" in capsys.readouterr().out


def test_filters_on_labels_skip_files_that_lack_them(lake: Lake) -> None:
    for state in ("late", "early", None):
        replace_rows(lake, RICH, results(range(2), table=RICH, **ANSWER | {"state": state}, item_id=str(state)).slice(0, 1), f"p-{state}")
    for value, n in (("late", 1), ("early", 1), ("lost", 0)):
        assert read(lake, RICH.name, ["item_id"], pc.field("state") == value).num_rows == n
    assert read(lake, RICH.name, ["state"], pc.field("state").isin(["late", "early", "lost"])).num_rows == 2
    assert read(lake, RICH.name, ["state"], pc.field("state").is_null()).num_rows == 1
    assert read(lake, RICH.name).group_by("state").aggregate([("total", "sum")]).num_rows == 3


def test_secrets_are_taken_from_the_environment_and_never_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "hush")
    said = how(Lake("s3://bucket/lake"), PAGES)
    assert "hush" not in said
    assert all(f"## {engine}\n" in said for engine in ENGINES) and "twice" in said
    with pytest.raises(UnknownName, match="Did you mean 'pandas'"):
        how(Lake("s3://bucket/lake"), PAGES, "panda")
