"""Rows out of tables, as they were committed.

A table with a ``_manifest.json`` consists of the files it names; any other table of the files in its folder. A file that a publish moves
away while we read is found again in ``_superseded/``: one read sees one state.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from skillyard.errors import StorageError, UnknownName
from skillyard.lake.lake import Lake
from skillyard.lake.manifest import load_manifest, places
from skillyard.lake.tables import TABLES, Table

READERS = 8
GONE = ("NO_SUCH_KEY", "NOT_FOUND", "404")
"""What Arrow says of an object on S3 that goes away between being found and being read: it has no error class for it."""


def read(lake: Lake, table: str | Table, columns: Sequence[str] | None = None, where: pc.Expression | None = None) -> pa.Table:
    """Return the rows of a table, only ``columns`` and only those for which ``where`` holds.

    ``results/<skill>`` means its highest version. ``UnknownName`` for a name that is neither a known table nor on the lake; a known
    table, or a ``Table`` passed as such, without files gives no rows with its schema.
    """
    source = _find(lake, table)
    with ThreadPoolExecutor(READERS) as pool:
        found = list(pool.map(lambda key: read_file(lake, key, source.schema, source.partition, columns, where), source.keys))
    wanted = source.schema if columns is None else pa.schema([source.schema.field(name) for name in columns])
    # Each file numbers its labels in its own way, which Arrow's joins and groups refuse.
    return pa.concat_tables([wanted.empty_table(), *found]).unify_dictionaries()


def scan(
    lake: Lake, table: str | Table, columns: Sequence[str] | None = None, where: pc.Expression | None = None
) -> Iterator[pa.RecordBatch]:
    """Yield the same rows batch by batch, with no more than one file in memory."""
    source = _find(lake, table)
    for key in source.keys:
        yield from read_file(lake, key, source.schema, source.partition, columns, where).to_batches()


def table_names(lake: Lake) -> list[str]:
    """Return the fixed tables and every version of every result table on the lake."""
    skills = (f"results/{skill}" for skill in lake.storage.folders("results/"))
    return [*TABLES, *(f"{skill}/{version}" for skill in skills for version in lake.storage.folders(f"{skill}/"))]


@dataclass(frozen=True, slots=True)
class _Source:
    """Where a table's rows are at this moment."""

    schema: pa.Schema
    partition: str
    keys: list[str]


def _find(lake: Lake, table: str | Table) -> _Source:
    known = table if isinstance(table, Table) else TABLES.get(table)
    name = known.name if known else _newest_version(lake, str(table))
    manifest, _ = load_manifest(lake, name)
    if manifest is not None:
        return _Source(manifest.schema, "produced_on", sorted(manifest.files))
    if known is None:
        raise UnknownName("table", name, table_names(lake))
    keys = [found.key for found in lake.storage.list(f"{name}/dt=") if found.key.endswith(".parquet")]
    return _Source(known.schema, known.partition, keys)


def _newest_version(lake: Lake, name: str) -> str:
    if name.count("/") != 1 or not name.startswith("results/"):
        return name
    versions = [v for v in lake.storage.folders(f"{name}/") if v.startswith("v") and v[1:].isdigit()]
    return f"{name}/{max(versions, key=lambda v: int(v[1:]))}" if versions else name


def read_file(
    lake: Lake, key: str, schema: pa.Schema, partition: str, columns: Sequence[str] | None = None, where: pc.Expression | None = None
) -> pa.Table:
    """Return one file's rows; columns added to the table since it was written are null.

    The day in the path lets Arrow skip a file that ``where`` rules out without opening it.
    """
    import pyarrow.dataset as ds

    day = date.fromisoformat(key.rpartition("/dt=")[2].partition("/")[0])
    parquet, is_of_day = ds.ParquetFileFormat(), pc.field(partition) == pa.scalar(day, pa.date32())
    # Twice: a file can be placed between our look at its place and our look at where it was staged.
    for place in places(key) * 2:
        try:
            fragment = parquet.make_fragment(place, lake.filesystem, partition_expression=is_of_day)
            dataset = ds.FileSystemDataset([fragment], schema, parquet, lake.filesystem)
            return dataset.to_table(columns=list(columns) if columns is not None else None, filter=where)
        except OSError as error:
            problem = error
            if not isinstance(error, FileNotFoundError) and not any(word in str(error) for word in GONE):
                break
    raise StorageError(f"{lake.storage.uri(key)} could not be read: {problem}") from problem
