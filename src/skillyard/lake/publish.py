"""Rows into tables, so that a crash, a retry or two writers at once never lose, double or half-show a row.

*Appended* tables get one object per part and day, written only if absent. *Recomputed* tables have one object per day, replaced
as a whole. *Results* follow a manifest (``replace.py``).
"""

from datetime import date

import pyarrow as pa

from skillyard.errors import SchemaMismatch, StorageError
from skillyard.lake.lake import Lake
from skillyard.lake.parquet import ROW_HASH, encode, stored_hash
from skillyard.lake.parts import Committed, conflict, fix_clocks
from skillyard.lake.replace import mark_stale, replace_rows
from skillyard.lake.rows import by_day, conform, row_hash
from skillyard.lake.tables import Table

__all__ = ["Committed", "append", "mark_stale", "replace_partition", "replace_rows"]

REPLACE_TRIES = 10


def append(lake: Lake, table: Table, rows: pa.Table, part: str) -> list[Committed]:
    """Add the rows as ``<table>/dt=…/part-<part>.parquet``, one object per day of the partition column.

    Idempotent: the same part with the same logical rows is committed once. ``PublishConflict`` when the part exists with others.
    """
    rows = fix_clocks(lake, table, conform(table, rows), part)
    return [_append_day(lake, table, day, of_day, part) for day, of_day in by_day(table, rows)]


def _append_day(lake: Lake, table: Table, day: date, rows: pa.Table, part: str) -> Committed:
    key, wanted = f"{table.name}/dt={day}/part-{part}.parquet", row_hash(table, rows)
    is_new = lake.storage.put_if_absent(key, encode(rows, **{ROW_HASH: wanted})) is not None
    if not is_new and stored_hash(lake.storage.get(key)) != wanted:
        raise conflict(lake, key, part)
    return Committed(key, rows.num_rows, is_new)


def replace_partition(lake: Lake, table: Table, day: date, rows: pa.Table) -> Committed:
    """Make ``rows`` the whole content of a day of a recomputed table: its one object is written, replaced or removed."""
    rows = conform(table, rows)
    strays = [found for found, _ in by_day(table, rows) if found != day]
    if strays:
        raise SchemaMismatch(f"rows for {table.name} of {day} have {table.partition} = {strays[0]}: a partition holds one day.")
    key, wanted = f"{table.name}/dt={day}/part-0.parquet", row_hash(table, rows)
    for _ in range(REPLACE_TRIES):
        found = lake.storage.head(key)
        if found and rows.num_rows and stored_hash(lake.storage.get(key)) == wanted:
            return Committed(key, rows.num_rows, False)
        if rows.num_rows == 0:
            lake.storage.delete(key)
            return Committed(key, 0, found is not None)
        if lake.storage.replace_if_match(key, encode(rows, **{ROW_HASH: wanted}), found.etag if found else None):
            return Committed(key, rows.num_rows, True)
    raise StorageError(f"{lake.storage.uri(key)} was replaced by others {REPLACE_TRIES} times while this run tried to: try again.")
