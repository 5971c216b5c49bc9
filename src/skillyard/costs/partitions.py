"""Days of a recomputed table: validated and replaced, unless they say the same already."""

from collections.abc import Mapping
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


def publish_day(lake: Lake, table: Table, day: date, rows: pa.Table) -> None:
    """Make the rows the partition of a day."""
    publish_days(lake, table, {day: rows})


def publish_days(lake: Lake, table: Table, days: Mapping[date, pa.Table]) -> None:
    """Make the rows of each day its partition; those that differ are validated together, since a validation costs most of a second."""
    ordered = {day: _sorted(table, rows) for day, rows in days.items()}
    changed = {day: rows for day, rows in ordered.items() if not rows.equals(read_day(lake, table, day))}
    if any(rows.num_rows for rows in changed.values()):
        validate(lake, table, pa.concat_tables(changed.values()))
    for day, rows in changed.items():
        replace_partition(lake, table, day, rows)


def _sorted(table: Table, rows: pa.Table) -> pa.Table:
    return rows.sort_by([(name, "ascending") for name in table.key])
