"""The bill of a range of days by team, skill, tier, model or DAG, read from ``cost_daily``."""

from dataclasses import asdict, dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from skillyard.costs.attribution import check_range
from skillyard.errors import UnknownName
from skillyard.lake.lake import Lake
from skillyard.lake.read import read
from skillyard.lake.tables import COST_DAILY
from skillyard.settings import Settings

COLUMN_OF = {"team": "team", "skill": "skill", "tier": "tier", "model": "model", "dag": "dag_id", "purpose": "purpose"}
"""What a report can be grouped by."""
_SUMS = ("n_calls", "n_settled", "n_failed", "n_unknown", "n_cached", "cost_usd", "unknown_reserved_usd", "saved_usd", "baseline_usd")


@dataclass(frozen=True, slots=True)
class CostRow:
    """One group's bill."""

    name: str
    n_calls: int
    """Attempts sent to providers."""
    n_settled: int
    n_failed: int
    n_unknown: int
    n_cached: int
    cost_usd: Decimal
    """What the settled calls cost."""
    unknown_reserved_usd: Decimal
    """The most that calls of unknown outcome can have cost; not part of ``cost_usd``."""
    saved_usd: Decimal
    """Measured: what the answers from the cache once cost."""
    baseline_usd: Decimal
    """Modelled: the settled calls at the expert tier's prices."""

    @property
    def routing_saved_usd(self) -> Decimal:
        """Modelled: baseline less cost."""
        return self.baseline_usd - self.cost_usd


@dataclass(frozen=True, slots=True)
class CostReport:
    """The groups, dearest first, and the sum of all."""

    first: date
    last: date
    by: str
    rows: tuple[CostRow, ...]
    total: CostRow

    def as_dicts(self) -> list[dict[str, Any]]:
        """Return the groups and, last, the total as flat rows; no rows when there were no calls."""
        listed = (*self.rows, self.total) if self.rows else ()
        return [self._as_dict(row) for row in listed]

    def _as_dict(self, row: CostRow) -> dict[str, Any]:
        values = asdict(row)
        return {self.by: values.pop("name"), **values, "routing_saved_usd": row.routing_saved_usd}


def cost_report(settings: Settings, first: date, last: date, by: str) -> CostReport:
    """Return the bill of the days from first to last as it was last attributed; UnknownName for another grouping."""
    check_range(first, last)
    if by not in COLUMN_OF:
        raise UnknownName("grouping", by, COLUMN_OF)
    in_range = (pc.field("usage_date") >= first) & (pc.field("usage_date") <= last)
    bill = read(Lake(settings.lake), COST_DAILY.name, [COLUMN_OF[by], *_SUMS], in_range)
    grouped = bill.group_by(COLUMN_OF[by]).aggregate([(name, "sum") for name in _SUMS])
    rows = [_row(group.pop(COLUMN_OF[by]), group) for group in grouped.to_pylist()]
    total = _row("total", {f"{name}_sum": _sum(bill.column(name)) for name in _SUMS})
    return CostReport(first, last, by, tuple(sorted(rows, key=lambda row: (-row.cost_usd, row.name))), total)


def _row(name: str, sums: dict[str, Any]) -> CostRow:
    return CostRow(name, **{column: sums[f"{column}_sum"] for column in _SUMS})


def _sum(values: pa.ChunkedArray) -> int | Decimal:
    return pc.sum(values, min_count=0).as_py()  # type: ignore[no-any-return]
