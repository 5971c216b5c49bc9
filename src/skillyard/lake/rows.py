"""What makes rows fit a table, and which of its days they belong to."""

from collections.abc import Iterator
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from skillyard.errors import SchemaMismatch
from skillyard.lake.rowhash import CLOCKS, row_hash
from skillyard.lake.tables import Table

__all__ = ["CLOCKS", "by_day", "conform", "row_hash"]


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


def by_day(table: Table, rows: pa.Table) -> Iterator[tuple[date, pa.Table]]:
    """Yield the rows of each day of the partition column, oldest first."""
    column = rows.column(table.partition)
    days = sorted(pc.unique(column).to_pylist())
    for day in days:
        yield day, rows if len(days) == 1 else rows.filter(pc.equal(column, pa.scalar(day, pa.date32())))
