"""Savings of some days, read from ``savings_daily``: from what the expert tier would have asked for down to what was paid, step by step."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from skillyard.costs.attribution import check_range
from skillyard.errors import UnknownName
from skillyard.lake.cost_tables import SAVINGS_DAILY
from skillyard.lake.lake import Lake
from skillyard.lake.read import read
from skillyard.settings import Settings

COLUMN_OF = {"skill": "skill", "team": "team", "tier": "tier", "day": "usage_date"}
"""What savings can be grouped by."""
TOTAL = "total"
_WIDTH = 40
_MONEY = ("cost_usd", "baseline_usd", "routing_saved_usd", "cache_saved_usd", "batch_saved_usd")


@dataclass(frozen=True, slots=True)
class SavingsGroup:
    """One group: cost = baseline - what routing, cache and batch saved."""

    name: str
    n_served: int
    n_cached: int
    cost_usd: Decimal
    baseline_usd: Decimal | None
    """None where the expert tier has no price for a part of it."""
    routing_saved_usd: Decimal | None
    cache_saved_usd: Decimal
    batch_saved_usd: Decimal
    measured_usd: Decimal
    """The part of the baseline that is measured."""
    n_audited: int
    """Audited items behind it: at most of one day, since days share them."""

    @property
    def routing_basis(self) -> str:
        """Return measured, modelled, or mixed: a part of the baseline is measured."""
        if self.baseline_usd is None:
            return "unknown"
        return "measured" if self.measured_usd == self.baseline_usd else "mixed" if self.measured_usd else "modelled"

    @property
    def saved_share(self) -> Decimal | None:
        """Return the part of the baseline that was saved, to four places; None without a baseline."""
        return round(1 - self.cost_usd / self.baseline_usd, 4) if self.baseline_usd else None

    def as_dict(self, by: str) -> dict[str, Any]:
        """Return it as a flat row."""
        money = {name: getattr(self, name) for name in _MONEY}
        rest = {"cache_basis": "measured", "batch_basis": "measured", "n_served": self.n_served, "n_cached": self.n_cached}
        audits = {"measured_usd": self.measured_usd, "n_audited": self.n_audited}
        return {by: self.name} | money | {"saved_share": self.saved_share, "routing_basis": self.routing_basis} | rest | audits


def savings_report(settings: Settings, first: date, last: date, by: str) -> list[SavingsGroup]:
    """Return the groups of the days from first to last, the one that saved most first (days in order), and last the total; [] without rows.

    UnknownName for another grouping.
    """
    check_range(first, last)
    if by not in COLUMN_OF:
        raise UnknownName("grouping", by, COLUMN_OF)
    in_range = (pc.field("usage_date") >= first) & (pc.field("usage_date") <= last)
    rows = read(Lake(settings.lake), SAVINGS_DAILY, where=in_range)
    if not rows.num_rows:
        return []
    values = rows.column(COLUMN_OF[by])
    groups = [_group(str(value), rows.filter(pc.equal(values, pa.scalar(value, values.type)))) for value in pc.unique(values).to_pylist()]
    groups.sort(key=lambda group: (group.name if by == "day" else "", group.cost_usd - (group.baseline_usd or group.cost_usd), group.name))
    return [*groups, _group(TOTAL, rows)]


def waterfall(group: SavingsGroup) -> Iterator[str]:
    """Yield the lines of a group's waterfall, each step with a mark: = measured, ~ modelled."""
    if group.baseline_usd is None or group.routing_saved_usd is None:
        yield f"paid {group.cost_usd:f} USD; the expert tier has no price on some of these days, so there is no baseline to compare with"
        return
    after_routing = group.baseline_usd - group.routing_saved_usd
    after_cache = after_routing - group.cache_saved_usd
    mark = "=" if group.routing_basis == "measured" else "~"
    part = "" if group.routing_basis != "mixed" else f" ({_percent(group.measured_usd, group.baseline_usd)} of the baseline measured)"
    steps = [
        ("all sent to the expert tier", group.baseline_usd, Decimal(0), group.baseline_usd, f"{mark} {group.routing_basis}{part}"),
        ("- saved by routing", group.routing_saved_usd, after_routing, group.baseline_usd, f"{mark} {group.routing_basis}"),
        ("- saved by cache", group.cache_saved_usd, after_cache, after_routing, "= measured"),
        ("- saved by batch", group.batch_saved_usd, group.cost_usd, after_cache, "= measured"),
        ("paid", group.cost_usd, Decimal(0), group.cost_usd, "= settled in the ledger"),
    ]
    top = max(max(low, high) for _, _, low, high, _ in steps)
    wide = max(len(f"{amount:f}") for _, amount, _, _, _ in steps)
    for name, amount, low, high, said in steps:
        yield f"{name:<27}  {amount:>{wide}f} USD  {_bar(low, high, top):<{_WIDTH}}  {said}"


def _bar(low: Decimal, high: Decimal, top: Decimal) -> str:
    """Return the span between two amounts on a scale from 0 to the top; what was lost, not saved, is dotted."""
    if top <= 0:
        return ""
    start, end = (int(_WIDTH * max(Decimal(0), value) / top) for value in sorted((low, high)))
    return " " * start + ("█" if low <= high else "·") * (max(end - start, 1) if low != high else 0)


def _group(name: str, rows: pa.Table) -> SavingsGroup:
    sums = {column: _known_sum(rows.column(column)) for column in _MONEY}
    measured = rows.filter(pc.equal(rows.column("routing_basis"), "measured")).column("baseline_usd")
    return SavingsGroup(
        name,
        pc.sum(rows.column("n_served")).as_py(),
        pc.sum(rows.column("n_cached")).as_py(),
        measured_usd=pc.sum(measured, min_count=0).as_py(),
        n_audited=max(rows.group_by("usage_date").aggregate([("n_audited", "sum")]).column("n_audited_sum").to_pylist()),
        **sums,
    )


def _known_sum(values: pa.ChunkedArray) -> Any:
    return pc.sum(values, skip_nulls=False).as_py()


def _percent(part: Decimal, whole: Decimal) -> str:
    return f"{100 * part / whole:.0f} %"
