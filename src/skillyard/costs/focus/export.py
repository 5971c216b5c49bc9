"""The bill of some days in FOCUS as one file, and whether it is the bill of ``cost_daily``."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from decimal import Context, Decimal
from functools import reduce
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from skillyard.lake.cost_tables import COST_DAILY
from skillyard.lake.export import write_export
from skillyard.lake.focus_table import FOCUS
from skillyard.lake.lake import Lake
from skillyard.lake.read import read, scan

EXACT = Context(prec=76)
"""Sums of amounts with 20 places do not fit Python's usual 28 digits."""
ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class FocusSummary:
    """What was exported."""

    out: str
    first: date
    last: date
    n_rows: int
    billed_usd: Decimal
    """Sum of BilledCost."""
    list_usd: Decimal
    """Sum of ListCost."""
    unpriced_usd: Decimal
    """The part of the bill that the price book does not explain any more."""
    cost_daily_usd: Decimal
    """Sum of cost_usd in ``cost_daily`` for the same days."""
    differing_days: tuple[date, ...]
    """Days on which the two are not the same."""
    is_equal: bool


@dataclass(slots=True)
class _Sums:
    """What has been written so far."""

    n_rows: int = 0
    listed: Decimal = ZERO
    unpriced: Decimal = ZERO
    billed: dict[date, Decimal] = field(default_factory=lambda: defaultdict(lambda: ZERO))

    def add(self, batch: pa.RecordBatch) -> None:
        """Count a batch in."""
        self.n_rows += batch.num_rows
        is_unpriced = pc.equal(batch["x_Meter"], "unpriced")
        self.listed = EXACT.add(self.listed, _sum(batch["ListCost"]))
        self.unpriced = EXACT.add(self.unpriced, _sum(batch["BilledCost"].filter(is_unpriced)))
        for day in pc.unique(batch["x_UsageDate"]).to_pylist():
            of_day = batch["BilledCost"].filter(pc.equal(batch["x_UsageDate"], pa.scalar(day, pa.date32())))
            self.billed[day] = EXACT.add(self.billed[day], _sum(of_day))


def export_focus(lake: Lake, first: date, last: date, out: Path) -> FocusSummary:
    """Write the rows of the table ``focus`` from first to last into a .parquet or .csv file, and compare them with ``cost_daily``.

    No more than a few batches of rows are in memory at once. ConfigError when the file cannot be written.
    """
    sums = _Sums()
    write_export(out, FOCUS, _counted(scan(lake, FOCUS, where=_between(FOCUS.partition, first, last)), sums))
    bill = read(lake, COST_DAILY, ["usage_date", "cost_usd"], _between(COST_DAILY.partition, first, last))
    by_day = bill.group_by("usage_date").aggregate([("cost_usd", "sum")])
    cost = dict(zip(by_day["usage_date"].to_pylist(), by_day["cost_usd_sum"].to_pylist(), strict=True))
    differing = tuple(day for day in sorted({*cost, *sums.billed}) if cost.get(day, ZERO) != sums.billed.get(day, ZERO))
    return FocusSummary(
        out=str(out),
        first=first,
        last=last,
        n_rows=sums.n_rows,
        billed_usd=_total(sums.billed.values()),
        list_usd=sums.listed,
        unpriced_usd=sums.unpriced,
        cost_daily_usd=_total(cost.values()),
        differing_days=differing,
        is_equal=not differing,
    )


def _counted(batches: Iterator[pa.RecordBatch], sums: _Sums) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        sums.add(batch)
        yield batch


def _between(name: str, first: date, last: date) -> pc.Expression:
    return (pc.field(name) >= pa.scalar(first, pa.date32())) & (pc.field(name) <= pa.scalar(last, pa.date32()))


def _sum(amounts: pa.Array) -> Decimal:
    return pc.sum(amounts).as_py() or ZERO


def _total(amounts: Iterable[Decimal]) -> Decimal:
    return reduce(EXACT.add, amounts, ZERO)
