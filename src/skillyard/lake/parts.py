"""The named part of a table that one publish commits, and its clock.

A retry may run on another UTC day than the first try. The first try to append therefore stores the clock columns of its rows with their
keys in ``_parts/<table>/<part>.parquet`` before it writes anything else; every later try of the same part takes its clock columns from
there, and so writes the same rows under the same names, whenever it runs.
"""

import re
from dataclasses import dataclass

import pyarrow as pa

from skillyard.errors import ConfigError, PublishConflict
from skillyard.lake.lake import Lake
from skillyard.lake.parquet import ROW_HASH, decode, encode, stored_hash
from skillyard.lake.rows import CLOCKS, row_hash
from skillyard.lake.tables import Table


@dataclass(frozen=True, slots=True)
class Committed:
    """One object that now holds rows of a part."""

    key: str
    n_rows: int
    """Rows of this part in it."""
    is_new: bool
    """False when an earlier try had already committed the same rows."""


def fix_clocks(lake: Lake, table: Table, rows: pa.Table, part: str) -> pa.Table:
    """Return the rows with the clock columns of the first try of this part; the first try stores its own."""
    check_part(part)
    clocks = [name for name in table.schema.names if name in CLOCKS]
    if not clocks or rows.num_rows == 0:
        return rows
    wanted = row_hash(table, rows)
    key = f"_parts/{table.name}/{part}.parquet"
    if lake.storage.put_if_absent(key, encode(rows.select([*table.key, *clocks]), **{ROW_HASH: wanted})) is not None:
        return rows
    stored = lake.storage.get(key)
    if stored_hash(stored) != wanted:
        raise conflict(lake, key, part)
    order = [(name, "ascending") for name in table.key]
    rows, first = rows.sort_by(order), decode(stored).sort_by(order)
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
