"""Rows into tables, so that a crash, a retry or two writers at once never lose, double or half-show a row.

*Appended* tables get one object per part and day, written only if absent; nightly, many of them are merged (``compact.py``). *Recomputed*
tables have one object per day, replaced as a whole. *Results* follow a manifest (``replace.py``).
"""

from concurrent.futures import ThreadPoolExecutor
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from skillyard.errors import ObjectMissing, SchemaMismatch, StorageError
from skillyard.lake.lake import Lake
from skillyard.lake.manifest import absorbed_parts, day_of, load_manifest
from skillyard.lake.parquet import ROW_HASH, encode, marks_of, stored_hash, stored_marks
from skillyard.lake.parts import Committed, conflict, fix_clocks
from skillyard.lake.read import read
from skillyard.lake.replace import mark_stale, replace_rows
from skillyard.lake.rowhash import NO_ROWS
from skillyard.lake.rows import by_day, conform, row_hash
from skillyard.lake.tables import Table

__all__ = ["Committed", "append", "mark_stale", "partition_hash", "partition_key", "partition_marks", "replace_partition", "replace_rows"]

REPLACE_TRIES = 10
FOOTERS = 8
"""Read side by side."""


def append(lake: Lake, table: Table, rows: pa.Table, part: str) -> list[Committed]:
    """Add the rows as ``<table>/dt=…/part-<part>.parquet``, one object per day of the partition column.

    Idempotent: the same part with the same logical rows is committed once, also when its object was merged into another since.
    ``PublishConflict`` when the part exists with others.
    """
    rows = fix_clocks(lake, table, conform(table, rows), part)
    return [_append_day(lake, table, day, of_day, part) for day, of_day in by_day(table, rows)]


def _append_day(lake: Lake, table: Table, day: date, rows: pa.Table, part: str) -> Committed:
    """Put the object unless it is there, and look before and after whether a merged file has its rows already.

    After: an earlier try's object may have been merged and moved away between our look and our put, which then made it a second time.
    No reader of ours ever sees that one, and it goes at once.
    """
    key, wanted = f"{table.name}/dt={day}/part-{part}.parquet", row_hash(table, rows)
    data = encode(rows, **{ROW_HASH: wanted})
    for _ in range(REPLACE_TRIES):
        if (absorbed := _absorbed_hash(lake, table, key)) is not None:
            return _recognised(lake, table, day, rows, part, key, wanted, absorbed)
        if lake.storage.put_if_absent(key, data) is not None:
            if (absorbed := _absorbed_hash(lake, table, key)) is not None:
                lake.storage.delete(key)
                return _recognised(lake, table, day, rows, part, key, wanted, absorbed)
            return Committed(key, rows.num_rows, True)
        try:
            found = stored_hash(lake.storage.get(key))
        except ObjectMissing:
            continue  # merged and moved away since
        if found != wanted:
            raise conflict(lake, key, part)
        return Committed(key, rows.num_rows, False)
    raise StorageError(f"{lake.storage.uri(key)} came and went {REPLACE_TRIES} times while this run tried to write it: try again.")


def _absorbed_hash(lake: Lake, table: Table, key: str) -> str | None:
    manifest, _ = load_manifest(lake, table.name)
    return absorbed_parts(lake, manifest, day_of(key)).get(key)


def _recognised(lake: Lake, table: Table, day: date, rows: pa.Table, part: str, key: str, wanted: str, absorbed: str) -> Committed:
    """Return the part as committed if the table has its rows: as they were appended, or as they were corrected since."""
    name = table.key[0]
    if absorbed != wanted:
        is_ours = (pc.field(table.partition) == pa.scalar(day, pa.date32())) & pc.field(name).isin(rows.column(name).combine_chunks())
        if len(table.key) > 1 or row_hash(table, read(lake, table, where=is_ours)) != wanted:
            raise conflict(lake, key, part)
    return Committed(key, rows.num_rows, False)


def replace_partition(lake: Lake, table: Table, day: date, rows: pa.Table, known_hash: str | None = None, **marks: str) -> Committed:
    """Make ``rows`` the whole content of a day of a recomputed table: its one object is written, replaced or removed.

    ``known_hash`` is that of the rows, where the caller has it. ``marks`` stand in the object's footer, and are replaced with it, also
    where the rows are the same.
    """
    rows = conform(table, rows)
    strays = [found for found, _ in by_day(table, rows) if found != day]
    if strays:
        raise SchemaMismatch(f"rows for {table.name} of {day} have {table.partition} = {strays[0]}: a partition holds one day.")
    key, wanted = partition_key(table, day), {ROW_HASH: known_hash or row_hash(table, rows), **marks}
    for _ in range(REPLACE_TRIES):
        found = lake.storage.head(key)
        if found and rows.num_rows and wanted.items() <= stored_marks(lake.storage.get(key)).items():
            return Committed(key, rows.num_rows, False)
        if rows.num_rows == 0:
            lake.storage.delete(key)
            return Committed(key, 0, found is not None)
        if lake.storage.replace_if_match(key, encode(rows, **wanted), found.etag if found else None):
            return Committed(key, rows.num_rows, True)
    raise StorageError(f"{lake.storage.uri(key)} was replaced by others {REPLACE_TRIES} times while this run tried to: try again.")


def partition_hash(lake: Lake, table: Table, day: date) -> str:
    """Return the hash of the rows that a day of a recomputed table has."""
    try:
        return stored_hash(lake.storage.get(partition_key(table, day)))
    except ObjectMissing:
        return NO_ROWS


def partition_marks(lake: Lake, table: Table) -> dict[date, dict[str, str]]:
    """Return what stands in the footer of each day of a recomputed table; no rows are read."""
    days = [date.fromisoformat(day_of(found.key)) for found in lake.storage.list(f"{table.name}/dt=")]

    def marks(day: date) -> dict[str, str]:
        return marks_of(pq.read_metadata(partition_key(table, day), filesystem=lake.filesystem))

    with ThreadPoolExecutor(FOOTERS) as pool:
        return dict(zip(days, pool.map(marks, days), strict=True))


def partition_key(table: Table, day: date) -> str:
    """Return where the one object of a day of a recomputed table lies."""
    return f"{table.name}/dt={day}/part-0.parquet"
