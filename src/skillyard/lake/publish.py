"""Rows into tables, so that a crash, a retry or two writers at once never lose, double or half-show a row.

*Appended* tables get one object per part and day, written only if absent. *Recomputed* tables have one object per day, replaced
as a whole. *Results* are in ``replace.py``.

A retry may run on another UTC day than the first try. The first try therefore stores the clock columns of its rows with their keys in
``_parts/<table>/<part>.parquet`` before it writes anything else; every later try of the same part takes its clock columns from
there, and so writes the same rows under the same names, whenever it runs.
"""

import re
from dataclasses import dataclass
from datetime import date

import pyarrow as pa

from skillyard.errors import ConfigError, PublishConflict, SchemaMismatch, StorageError
from skillyard.lake.lake import Lake
from skillyard.lake.parquet import ROW_HASH, decode, encode, stored_hash
from skillyard.lake.rows import CLOCKS, by_day, conform, row_hash
from skillyard.lake.tables import Table

REPLACE_TRIES = 10


@dataclass(frozen=True, slots=True)
class Committed:
    """One object that now holds rows of a part."""

    key: str
    n_rows: int
    """Rows of this part in it."""
    is_new: bool
    """False when an earlier try had already committed the same rows."""


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


def fix_clocks(lake: Lake, table: Table, rows: pa.Table, part: str) -> pa.Table:
    """Return the rows with the clock columns of the first try of this part; the first try stores its own."""
    check_part(part)
    clocks = [name for name in table.schema.names if name in CLOCKS]
    if not clocks or rows.num_rows == 0:
        return rows
    order = [(name, "ascending") for name in table.key]
    rows, wanted = rows.sort_by(order), row_hash(table, rows)
    key = f"_parts/{table.name}/{part}.parquet"
    if lake.storage.put_if_absent(key, encode(rows.select([*table.key, *clocks]), **{ROW_HASH: wanted})) is not None:
        return rows
    stored = lake.storage.get(key)
    if stored_hash(stored) != wanted:
        raise conflict(lake, key, part)
    first = decode(stored)
    for name in clocks:
        position = table.schema.get_field_index(name)
        rows = rows.set_column(position, table.schema.field(position), first.column(name))
    return rows


def check_part(part: str) -> str:
    """Return the part's name if it can stand in an object's name."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", part):
        raise ConfigError(f"{part!r} cannot name a part: letters, digits, '.', '_' and '-' are allowed, the first a letter or digit.")
    return part


def conflict(lake: Lake, key: str, part: str) -> PublishConflict:
    """Return the error of two runs that claim the same part with different rows."""
    return PublishConflict(
        f"{lake.storage.uri(key)} exists with other rows than the part {part!r} has now: two different runs claim the same name, "
        "or a re-run made other rows. What was published stands; give the new rows a part name of their own."
    )
