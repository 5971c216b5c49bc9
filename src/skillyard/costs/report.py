"""The bill of some days of a time zone, by team, skill, tier, model, DAG, purpose, run or document; by skill, beside the quality kept.

Runs and documents are read from the ledger, the others from the bill: ``cost_daily``, or in a zone whose days are not UTC's the same made
of the ledger. A document or run has no share of what serves many, so what it was charged is not known.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

from skillyard.costs.attribution import check_range
from skillyard.costs.billed import read_billed
from skillyard.costs.flags import find_flags, newest_quality
from skillyard.costs.ledger.drill import LEDGER_COLUMN, sums_by
from skillyard.costs.ledger.zones import interval_of, load_zone, utc_days
from skillyard.costs.rules import ALL_SKILLS
from skillyard.errors import UnknownName
from skillyard.lake.lake import Lake
from skillyard.settings import Settings

COLUMN_OF = {"team": "team", "skill": "skill", "tier": "tier", "model": "model", "dag": "dag_id", "purpose": "purpose"}
"""What the bill can be grouped by."""
GROUPINGS = (*COLUMN_OF, *LEDGER_COLUMN)
SAVED_BY = ("team", "skill", "tier")
"""Groupings that ``savings_daily`` has, too."""
TOP = 50
"""Runs or documents that are named."""
_SUMS = (
    *("n_calls", "n_settled", "n_served", "n_failed", "n_unknown", "n_cached"),
    *("charged_usd", "cost_usd", "direct_usd", "waste_usd", "shared_usd", "allocated_usd", "idle_usd", "unknown_reserved_usd", "saved_usd"),
)
_SAVED = ("baseline_usd", "routing_saved_usd", "cache_saved_usd", "batch_saved_usd")
_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class CostRow:
    """One group's bill."""

    name: str
    n_calls: int
    """Attempts sent to providers."""
    n_settled: int
    n_served: int
    """Settled answers and votes that were used."""
    n_failed: int
    n_unknown: int
    n_cached: int
    charged_usd: Decimal | None
    """Direct, waste and allocated; None for a run or a document."""
    cost_usd: Decimal
    """What the settled calls cost: direct, waste and shared."""
    direct_usd: Decimal
    waste_usd: Decimal
    shared_usd: Decimal
    allocated_usd: Decimal | None
    """Its share of what serves many; None for a run or a document."""
    idle_usd: Decimal
    """The part of ``cost_usd`` that pays for idle time of endpoints of our own."""
    unknown_reserved_usd: Decimal
    """The most that calls of unknown outcome can have cost; not part of ``cost_usd``."""
    saved_usd: Decimal
    """Measured: what the answers from the cache once cost."""


@dataclass(frozen=True, slots=True)
class SavingsRow:
    """A group beside the same work sent to the expert tier; None where a row of it has no price there."""

    baseline_usd: Decimal | None = None
    routing_saved_usd: Decimal | None = None
    cache_saved_usd: Decimal | None = None
    batch_saved_usd: Decimal | None = None


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
    savings: Mapping[str, SavingsRow]
    """By name, the total's under its name; empty for a grouping that has none."""
    quality: Mapping[str, QualityRow]
    """By skill; empty for another grouping."""

    def as_dicts(self) -> list[dict[str, Any]]:
        """Return the groups and, last, the total as flat rows with all that is known of each; no rows when there were no calls."""
        return [
            {self.by: row.name, **_measures(row)}
            | (asdict(self.savings.get(row.name, SavingsRow())) if self.by in SAVED_BY else {})
            | (asdict(self.quality.get(ALL_SKILLS if row is self.total else row.name, QualityRow())) if self.by == "skill" else {})
            for row in self._listed()
        ]

    def bill_rows(self) -> list[dict[str, Any]]:
        """Return the bill alone, without what a run or a document does not have."""
        return [
            {self.by: row.name} | {name: value for name, value in _measures(row).items() if value is not None} for row in self._listed()
        ]

    def savings_rows(self) -> list[dict[str, Any]]:
        """Return what the groups cost and would have cost, where that is known."""
        return [
            {self.by: row.name, "cost_usd": row.cost_usd, **asdict(self.savings[row.name])}
            for row in self._listed()
            if row.name in self.savings
        ]

    def quality_rows(self) -> list[dict[str, Any]]:
        """Return what is known of the quality: skills that were audited or have red flags."""
        return [{"skill": skill, **asdict(found)} for skill, found in sorted(self.quality.items()) if found.n_audited or found.red_flags]

    def _listed(self) -> tuple[CostRow, ...]:
        return (*self.rows, self.total) if self.rows else ()


def cost_report(settings: Settings, first: date, last: date, by: str, zone: ZoneInfo | None = None, top: int = TOP) -> CostReport:
    """Return the bill of a zone's days from first to last as it was last attributed; UnknownName for another grouping.

    Of runs and documents the ``top`` dearest are named, the others are one row.
    """
    check_range(first, last)
    if by not in GROUPINGS:
        raise UnknownName("grouping", by, GROUPINGS)
    zone = zone or load_zone(settings.timezone)
    if by in LEDGER_COLUMN:
        return _of_ledger(settings, first, last, by, zone, top)
    bill, savings = read_billed(settings, first, last, zone)
    grouped = _sums(bill, COLUMN_OF[by], _SUMS)
    rows = sorted((CostRow(name, **sums) for name, sums in grouped.items()), key=lambda row: (-(row.charged_usd or _ZERO), row.name))
    total = CostRow("total", **{name: _sum(bill.column(name)) for name in _SUMS})
    quality = _quality(settings, utc_days(*interval_of(first, last, zone))[1]) if by == "skill" else {}
    return CostReport(first, last, by, tuple(rows), total, _savings(savings, by) if by in SAVED_BY else {}, quality)


def _of_ledger(settings: Settings, first: date, last: date, by: str, zone: ZoneInfo, top: int) -> CostReport:
    found = sums_by(settings, first, last, zone, by, top)
    names = [f"{row['n']} others" if row["is_other"] else row["name"] for row in found]
    unknown: dict[str, Any] = {"charged_usd": None, "allocated_usd": None}
    sums = [name for name in _SUMS if name not in unknown]
    rows = [CostRow(name, **unknown, **{column: row[column] for column in sums}) for name, row in zip(names, found, strict=True)]
    total = CostRow("total", **unknown, **{column: sum(row[column] for row in found) for column in sums})
    return CostReport(first, last, by, tuple(rows), total, {}, {})


def _savings(rows: pa.Table, by: str) -> dict[str, SavingsRow]:
    """Return the sums of each group; where a row of it has no baseline, nor has the group."""
    whole = {**_by_name(rows, by), "total": rows} if rows.num_rows else {}
    return {name: SavingsRow(**{column: _known_sum(group.column(column)) for column in _SAVED}) for name, group in whole.items()}


def _by_name(rows: pa.Table, by: str) -> dict[str, pa.Table]:
    return {name: rows.filter(pc.equal(rows.column(by), name)) for name in pc.unique(rows.column(by)).to_pylist()}


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


def _sums(rows: pa.Table, column: str, names: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """Return the sums of each value of a column."""
    grouped = rows.group_by(column, use_threads=False).aggregate([(name, "sum") for name in names])
    return {row[column]: {name: row[f"{name}_sum"] for name in names} for row in grouped.to_pylist()}


def _sum(values: pa.ChunkedArray) -> Any:
    return pc.sum(values, min_count=0).as_py()


def _known_sum(values: pa.ChunkedArray) -> Decimal | None:
    return None if values.null_count else _sum(values)
