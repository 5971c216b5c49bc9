"""A day of a recomputed table: validated and replaced, unless it says the same already."""

from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from skillyard.lake.lake import Lake
from skillyard.lake.publish import replace_partition
from skillyard.lake.read import read
from skillyard.lake.tables import DATE, Table
from skillyard.lake.validate import validate


def read_day(lake: Lake, table: Table, day: date) -> pa.Table:
    """Return the rows of a day in the order of their key."""
    return _sorted(table, read(lake, table.name, where=pc.field(table.partition) == pa.scalar(day, DATE)))


def publish_day(lake: Lake, table: Table, day: date, rows: pa.Table) -> bool:
    """Make the rows the partition of a day; say whether it had to be written or removed."""
    ordered = _sorted(table, rows)
    if ordered.equals(read_day(lake, table, day)):
        return False
    validate(lake, table, ordered)
    replace_partition(lake, table, day, ordered)
    return True


def _sorted(table: Table, rows: pa.Table) -> pa.Table:
    return rows.sort_by([(name, "ascending") for name in table.key])
