"""What makes rows fit a table, and what makes two sets of rows the same.

*Clock columns* say when we did something (``ingested_at``, ``produced_at``, ``rejected_at`` and their days): they differ when a task
is tried again, although the rows mean the same. They take no part in the row hash. ``sent_at`` and ``usage_date`` of the ledger
are facts about a request, recorded once, and do.
"""

import hashlib
from collections.abc import Iterator
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from skillyard.errors import SchemaMismatch
from skillyard.lake.tables import Table

CLOCKS = frozenset({"ingested_at", "ingested_on", "produced_at", "produced_on", "rejected_at", "rejected_on", "checked_at", "checked_on"})


def conform(table: Table, rows: pa.Table) -> pa.Table:
    """Return the rows in the table's column order and with its descriptions, or raise ``SchemaMismatch`` with every difference."""
    wanted, found = table.schema, rows.schema
    problems = [f"{name}: missing" for name in wanted.names if name not in found.names]
    problems += [f"{name}: not a column of this table" for name in found.names if name not in wanted.names]
    if len(set(found.names)) != len(found.names):
        problems.append("a column name occurs twice")
    if not problems:
        for field in wanted:
            column = rows.column(field.name)
            if not column.type.equals(field.type):
                problems.append(f"{field.name}: is {column.type}, has to be {field.type}")
            elif not field.nullable and column.null_count:
                problems.append(f"{field.name}: {column.null_count} nulls, none is allowed")
    if problems:
        raise SchemaMismatch(f"rows for the table {table.name} do not have its schema: {'; '.join(problems)}.")
    return pa.table([rows.column(name) for name in wanted.names], schema=wanted)


def row_hash(table: Table, rows: pa.Table) -> str:
    """Return the sha256 of the logical rows: clock columns left out, the rows' order too where the table has a key."""
    ordered = rows.sort_by([(name, "ascending") for name in table.key]) if table.key else rows
    digest = hashlib.sha256(f"{ordered.num_rows}".encode())
    for name in sorted(set(ordered.column_names) - CLOCKS):
        digest.update(f"\0{name}\0".encode())
        _feed(digest, ordered.column(name).combine_chunks())
    return digest.hexdigest()


def by_day(table: Table, rows: pa.Table) -> Iterator[tuple[date, pa.Table]]:
    """Yield the rows of each day of the partition column, oldest first."""
    column = rows.column(table.partition)
    for day in sorted(pc.unique(column).to_pylist()):
        yield day, rows.filter(pc.equal(column, pa.scalar(day, pa.date32())))


def _feed(digest: "hashlib._Hash", array: pa.Array | pa.ChunkedArray) -> None:
    """Add an array's values, whatever its buffers look like: validity, then lengths, then children or text."""
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks() if array.num_chunks != 1 else array.chunk(0)
    kind = array.type
    digest.update(f"{kind}:{len(array)}".encode() + array.is_valid().cast(pa.uint8()).to_numpy(zero_copy_only=False).tobytes())
    if pa.types.is_struct(kind):
        for child in array.flatten():
            _feed(digest, child)
    elif pa.types.is_list(kind):
        digest.update(pc.list_value_length(array).fill_null(0).to_numpy(zero_copy_only=False).tobytes())
        _feed(digest, array.flatten())
    else:
        plain = array.cast(pa.int64()) if pa.types.is_timestamp(kind) else array
        text = plain.cast(pa.string()).fill_null("")
        digest.update(pc.binary_length(text).to_numpy(zero_copy_only=False).tobytes())
        digest.update("".join(text.to_pylist()).encode())
