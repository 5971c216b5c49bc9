"""Rows out of tables, as they were committed.

One read sees one state: the files are those of one moment (``contents.py``), none of them ever changes, and one that is moved away while
we read is found again in ``_superseded/``.
"""

from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from skillyard.errors import StorageError
from skillyard.lake.contents import Contents, find_contents, table_names
from skillyard.lake.drift import refuse_drift
from skillyard.lake.lake import Lake
from skillyard.lake.manifest import day_of, places
from skillyard.lake.tables import LABEL, Table

__all__ = ["count_rows", "is_gone", "open_days", "read", "read_file", "scan", "scan_file", "table_names"]

READERS = 8
BATCH_ROWS = 16_384
"""Of a scan."""
READ_AHEAD = 2
"""Batches that a scan fetches before they are asked for."""
GONE = ("NO_SUCH_KEY", "NOT_FOUND", "404", "Failed to flush response stream")
"""What Arrow says of an object on S3 that goes away between being found and being read: it has no error class for it, and where fewer
bytes were asked for than the store's answer has that says so, it says that it could not take them."""


def read(
    lake: Lake, table: str | Table, columns: Sequence[str] | None = None, where: pc.Expression | None = None, as_of: datetime | None = None
) -> pa.Table:
    """Return the rows of a table, only ``columns`` and only those for which ``where`` holds; ``as_of``: as they were committed then.

    ``results/<skill>`` means its highest version. ``UnknownName`` for a name that is neither a known table nor on the lake; a known
    table, or a ``Table`` passed as such, without files gives no rows with its schema.
    """
    found = find_contents(lake, table, as_of)
    schema, partition = found.table.schema, found.table.partition
    try:
        # All files at once: Arrow reads them side by side.
        rows = _dataset(lake, found.keys, schema, partition, where).to_table(columns=_names(columns), filter=where)
    except OSError as error:
        if not is_gone(error):
            raise StorageError(f"{lake.storage.uri(found.table.name)} could not be read: {error}") from error
        with ThreadPoolExecutor(READERS) as pool:
            parts = list(pool.map(lambda key: read_file(lake, key, schema, partition, columns, where), found.keys))
        rows = pa.concat_tables(parts)
    wanted = schema if columns is None else pa.schema([schema.field(name) for name in columns], schema.metadata)
    # Each file numbers its labels in its own way, which Arrow's joins and groups refuse.
    return rows.cast(wanted).replace_schema_metadata(wanted.metadata).unify_dictionaries()


def scan(
    lake: Lake, table: str | Table, columns: Sequence[str] | None = None, where: pc.Expression | None = None
) -> Iterator[pa.RecordBatch]:
    """Yield the same rows batch by batch, file after file, with no more than a few batches in memory."""
    found = find_contents(lake, table)
    for key in found.keys:
        yield from scan_file(lake, key, found.table.schema, found.table.partition, columns, where)


def count_rows(lake: Lake, table: str | Table) -> int:
    """Return how many rows a table has, as the footers of its files say."""
    return sum(batch.num_rows for batch in scan(lake, table, columns=[]))


def read_file(
    lake: Lake, key: str, schema: pa.Schema, partition: str, columns: Sequence[str] | None = None, where: pc.Expression | None = None
) -> pa.Table:
    """Return one file's rows; columns added to the table since it was written are null."""
    problem: OSError | None = None
    # Twice: a file can be placed between our look at its place and our look at where it was staged.
    for place in places(key) * 2:
        try:
            return _dataset(lake, [place], schema, partition, where).to_table(columns=_names(columns), filter=where)
        except OSError as error:
            problem = error
            if not is_gone(error):
                break
    raise StorageError(f"{lake.storage.uri(key)} could not be read: {problem}") from problem


def scan_file(
    lake: Lake, key: str, schema: pa.Schema, partition: str, columns: Sequence[str] | None = None, where: pc.Expression | None = None
) -> Iterator[pa.RecordBatch]:
    """Yield one file's rows; when it is moved away meanwhile, go on in its new place where we were."""
    problem: OSError | None = None
    n_done = 0
    for place in places(key) * 2:
        n_seen = 0
        try:
            dataset = _dataset(lake, [place], schema, partition, where)
            options = {"batch_size": BATCH_ROWS, "batch_readahead": READ_AHEAD, "fragment_readahead": 1}
            for batch in dataset.to_batches(columns=_names(columns), filter=where, **options):
                fresh = batch.slice(max(0, n_done - n_seen))
                n_seen += batch.num_rows
                if fresh.num_rows:
                    n_done += fresh.num_rows
                    yield fresh
            return
        except OSError as error:
            problem = error
            if not is_gone(error):
                break
    raise StorageError(f"{lake.storage.uri(key)} could not be read: {problem}") from problem


def open_days(lake: Lake, found: Contents, first: date, last: date, labels: Collection[str] = (), *, are_sought: bool = False) -> Any:
    """Return the files of some days of a table as a data set for an engine that reads Arrow's, such as DuckDB.

    ``labels``: text columns of few values, read as what they are in the files: each value once, a row has its number. A file may be moved
    away before it is read, which ``is_gone`` tells of an error: then ask again, with the contents as they are now and ``are_sought``.
    """
    keys = [key for key in found.keys if first.isoformat() <= day_of(key) <= last.isoformat()]
    if are_sought:
        keys = [next((place for place in places(key) if lake.has(place)), key) for key in keys]
    return _dataset(lake, keys, found.table.schema, found.table.partition, None, labels)


def _dataset(
    lake: Lake, keys: Sequence[str], schema: pa.Schema, partition: str, where: pc.Expression | None, labels: Collection[str] = ()
) -> Any:
    """Return the files as one data set; the day in the path lets Arrow skip a file that a condition rules out without opening it."""
    import pyarrow.dataset as ds

    parquet = ds.ParquetFileFormat(read_options=ds.ParquetReadOptions(dictionary_columns=set(labels)))
    schema = pa.schema([field.with_type(LABEL) if field.name in labels else field for field in schema], schema.metadata)
    days = [pa.scalar(date.fromisoformat(day_of(key)), pa.date32()) for key in keys]
    fragments = [
        parquet.make_fragment(key, lake.filesystem, partition_expression=pc.field(partition) == day)
        for key, day in zip(keys, days, strict=True)
    ]
    dataset = ds.FileSystemDataset(fragments, schema, parquet, lake.filesystem)
    refuse_drift(dataset, where, lake.storage.uri)
    return dataset


def _names(columns: Sequence[str] | None) -> list[str] | None:
    return None if columns is None else list(columns)


def is_gone(error: BaseException) -> bool:
    """Say whether an error means that an object went away between being found and being read."""
    return isinstance(error, FileNotFoundError) or any(word in str(error) for word in GONE)
