"""The data dictionary on disk is the one the schemas say, and a schema never changes under its version."""

import hashlib
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from skillyard.lake.dictionary import PATH, render
from skillyard.lake.known_tables import TABLES
from skillyard.lake.lake import Lake
from skillyard.lake.publish import append, mark_stale, replace_rows
from skillyard.lake.tables import PAGES, RESULT_HEAD, RESULT_TAIL, RESULTS_VERSION
from tests.lake.rows import TAGS, pages, results

ROOT = Path(__file__).resolve().parents[2]
FROZEN = Path(__file__).with_name("frozen_schemas.json")
"""By table and version: the hash of its columns' names, types and nullability."""


def test_the_data_dictionary_is_current() -> None:
    assert (ROOT / PATH).read_text(encoding="utf-8") == render(), "run: python -m skillyard.lake.dictionary"


def test_every_column_of_every_table_is_described() -> None:
    assert all(field.metadata[b"description"] for table in TABLES.values() for field in table.schema)


def _columns_hash(schema: pa.Schema) -> str:
    lines = [f"{field.name} {field.type} {field.nullable}" for field in schema]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def test_a_schema_that_changes_raises_its_version() -> None:
    found = {f"{table.name} {table.version}": _columns_hash(table.schema) for table in TABLES.values()}
    found[f"results {RESULTS_VERSION}"] = _columns_hash(pa.schema([*RESULT_HEAD, *RESULT_TAIL]))
    frozen = json.loads(FROZEN.read_text(encoding="utf-8"))
    changed = {name: value for name, value in found.items() if frozen.get(name) != value}
    assert not changed, f"raise the version of these tables in lake/tables.py, then add to {FROZEN.name}: {json.dumps(changed, indent=1)}"


def test_every_file_says_which_table_it_is_of_and_in_which_version(local_lake: Lake) -> None:
    append(local_lake, PAGES, pages(2), "a")
    replace_rows(local_lake, TAGS, results(range(3)), "a")
    replace_rows(local_lake, TAGS, results(range(2), model="other"), "b")
    mark_stale(local_lake, TAGS, "cd" * 32)
    folder = Path(local_lake.url.removeprefix("file://"))
    for table in (PAGES, TAGS):
        files = list(folder.glob(f"{table.name}/dt=*/*.parquet"))
        assert files
        for file in files:
            marks = pq.read_schema(file).metadata
            assert (marks[b"skillyard_table"], marks[b"skillyard_schema_version"]) == (table.name.encode(), b"1")
