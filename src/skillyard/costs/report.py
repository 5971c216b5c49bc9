"""The bill of a range of days by team, skill, tier, model, DAG or purpose, read from ``cost_daily``; by skill, beside the quality kept."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from skillyard.costs.attribution import check_range
from skillyard.costs.flags import find_flags, newest_quality
from skillyard.costs.rules import ALL_SKILLS
from skillyard.errors import UnknownName
from skillyard.lake.cost_tables import COST_DAILY
from skillyard.lake.lake import Lake
from skillyard.lake.read import read
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
    """Modelled: the settled answers at the expert tier's prices."""

    @property
    def routing_saved_usd(self) -> Decimal:
        """Modelled: baseline less cost."""
        return self.baseline_usd - self.cost_usd


@dataclass(frozen=True, slots=True)
class QualityRow:
    """What routing keeps of a skill's quality, as its newest audits show it; None without audits. The skill is ALL_SKILLS for the total."""

    retained: float | None = None
    """Share of its highest tier's quality."""
    retained_lower: float | None = None
    retained_upper: float | None = None
    n_audited: int = 0
    target: float | None = None
    router_version: str | None = None
    red_flags: tuple[str, ...] = ()
    """As of the last day."""


@dataclass(frozen=True, slots=True)
class CostReport:
    """The groups, dearest first, and the sum of all."""

    first: date
    last: date
    by: str
    rows: tuple[CostRow, ...]
    total: CostRow
    quality: Mapping[str, QualityRow]
    """By skill; empty for another grouping."""

    def as_dicts(self) -> list[dict[str, Any]]:
        """Return the groups and, last, the total as flat rows, by skill with its quality; no rows when there were no calls."""
        return [bill | quality for bill, quality in zip(self.bill_rows(), self._quality_rows(), strict=True)]

    def bill_rows(self) -> list[dict[str, Any]]:
        """Return the same rows without the quality."""
        listed = (*self.rows, self.total) if self.rows else ()
        return [{self.by: row.name, **_measures(row), "routing_saved_usd": row.routing_saved_usd} for row in listed]

    def quality_rows(self) -> list[dict[str, Any]]:
        """Return what is known of the quality: skills that were audited or have red flags."""
        return [{"skill": skill, **asdict(found)} for skill, found in sorted(self.quality.items()) if found.n_audited or found.red_flags]

    def _quality_rows(self) -> list[dict[str, Any]]:
        names = [row.name for row in self.rows] + [ALL_SKILLS]
        return [asdict(self.quality.get(name, QualityRow())) if self.by == "skill" else {} for name in names if self.rows]


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
    quality = _quality(settings, last) if by == "skill" else {}
    return CostReport(first, last, by, tuple(sorted(rows, key=lambda row: (-row.cost_usd, row.name))), total, quality)


def _quality(settings: Settings, last: date) -> dict[str, QualityRow]:
    flags: dict[str, list[str]] = {}
    for flag in find_flags(settings, last):
        flags.setdefault(flag.skill, []).append(flag.flag)
    audited = {row["skill"]: row for row in newest_quality(Lake(settings.lake), last)}
    names = ("retained", "retained_lower", "retained_upper", "n_audited", "target", "router_version")
    return {
        skill: QualityRow(**{name: audited[skill][name] for name in names if skill in audited}, red_flags=tuple(flags.get(skill, ())))
        for skill in audited.keys() | flags.keys()
    }


def _measures(row: CostRow) -> dict[str, Any]:
    return {name: value for name, value in asdict(row).items() if name != "name"}


def _row(name: str, sums: dict[str, Any]) -> CostRow:
    return CostRow(name, **{column: sums[f"{column}_sum"] for column in _SUMS})


def _sum(values: pa.ChunkedArray) -> int | Decimal:
    return pc.sum(values, min_count=0).as_py()  # type: ignore[no-any-return]
