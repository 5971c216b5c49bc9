"""Reads what a report page shows out of the lake: the one place that knows from which table each figure comes."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import fields
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

from skillyard.costs.billed import read_billed, read_days
from skillyard.costs.flags import newest_quality
from skillyard.costs.page.data import ZERO, Bill, Budget, Finding, PageData, Retention, Savings, Spend, UnitCost
from skillyard.costs.page.sheets import SAVING_WORDS
from skillyard.lake.cost_tables import ANOMALIES, BUDGET_DAILY, UNIT_COSTS
from skillyard.lake.lake import Lake
from skillyard.settings import Settings

KINDS = ("team", "skill", "tier", "model", "purpose")
VERSION_SIGNS = 12
"""Of a fingerprint, as the page shows it."""
_SUMS = tuple(f.name for f in fields(Bill) if f.name not in ("kind", "name", "before_usd"))
_UNIT_SUMS = ("n_documents", "n_pages", "n_items", "n_results", "direct_usd", "waste_usd", "allocated_usd")

Row = dict[str, Any]


def first_before(first: date, last: date) -> date:
    """Return the first day of the period of the same length before."""
    return first - (last - first) - timedelta(days=1)


def read_page(settings: Settings, first: date, last: date, zone: ZoneInfo, made_at: datetime, acknowledged: frozenset[str]) -> PageData:
    """Return all that the page of these days shows; ``acknowledged`` are ids of anomalies that are not shown any more."""
    lake, earlier = Lake(settings.lake), first_before(first, last)
    bill, savings = read_billed(settings, earlier, last, zone)
    is_now = pc.greater_equal(bill.column("usage_date"), pa.scalar(first))
    now, before = bill.filter(is_now), bill.filter(pc.invert(is_now))
    found = _newest(read_days(lake, ANOMALIES, first, last).to_pylist())
    return PageData(
        first=first,
        last=last,
        first_before=earlier,
        zone=zone.key,
        made_at=made_at,
        total=_bills("total", now, before)[0],
        bills=tuple(bill for kind in KINDS for bill in _bills(kind, now, before)),
        spend=_spend(now),
        savings=_savings(savings.filter(pc.greater_equal(savings.column("usage_date"), pa.scalar(first)))),
        budgets=_budgets(lake, first, last),
        retention=tuple(_made(Retention, row, day=row["usage_date"]) for row in newest_quality(lake, last)),
        findings=tuple(_findings(row for row in found if row["anomaly_id"] not in acknowledged)),
        n_acknowledged=sum(row["anomaly_id"] in acknowledged for row in found),
        units=_units(read_days(lake, UNIT_COSTS, first, last)),
    )


def _bills(kind: str, now: pa.Table, before: pa.Table) -> list[Bill]:
    """Return a bill for each name of either period."""
    keys = [] if kind == "total" else [kind]
    earlier = {row.get(kind, "all"): row["charged_usd"] for row in _summed(before, keys, ("charged_usd",))}
    rows = {row.get(kind, "all"): row for row in _summed(now, keys, _SUMS)}
    nothing = {field: now.schema.field(field).type for field in _SUMS}
    names = sorted(rows.keys() | earlier.keys())
    zeros = {field: ZERO if pa.types.is_decimal(type_) else 0 for field, type_ in nothing.items()}
    return [_made(Bill, zeros | rows.get(name, {}), kind=kind, name=name, before_usd=earlier.get(name, ZERO)) for name in names]


def _summed(rows: pa.Table, keys: Sequence[str], sums: Iterable[str]) -> list[Row]:
    """Return a row for each value of the keys with the sums; without keys one row."""
    if not keys:
        return [{name: pc.sum(rows.column(name), min_count=0).as_py() for name in sums}]
    grouped = rows.group_by(list(keys), use_threads=False).aggregate([(name, "sum") for name in sums])
    return grouped.rename_columns([name.removesuffix("_sum") for name in grouped.column_names]).to_pylist()  # type: ignore[no-any-return]


def _spend(bill: pa.Table) -> tuple[Spend, ...]:
    rows = _summed(bill, ("usage_date", "tier"), ("charged_usd",))
    return tuple(
        Spend(row["usage_date"], row["tier"], row["charged_usd"]) for row in sorted(rows, key=lambda r: (r["usage_date"], r["tier"]))
    )


def _savings(rows: pa.Table) -> Savings | None:
    """Return the sums over the rows that have a baseline; None where there are no savings at all."""
    if not rows.num_rows:
        return None
    is_priced = rows.column("baseline_usd").is_valid()
    priced, unpriced = rows.filter(is_priced), rows.filter(pc.invert(is_priced))
    measured = {
        word: _total(priced.filter(pc.equal(priced.column(f"{word}_basis"), "measured")), f"{word}_saved_usd") for word in SAVING_WORDS
    }
    amounts = {f"{word}_usd": _total(priced, f"{word}_saved_usd") for word in SAVING_WORDS}
    return Savings(
        _total(priced, "baseline_usd"),
        **amounts,
        cost_usd=_total(priced, "cost_usd"),
        measured_usd=measured,
        unpriced_usd=_total(unpriced, "cost_usd"),
    )


def _total(rows: pa.Table, name: str) -> Decimal:
    return pc.sum(rows.column(name), min_count=0).as_py()  # type: ignore[no-any-return]


def _budgets(lake: Lake, first: date, last: date) -> tuple[Budget, ...]:
    """Return the budgets of the newest day of the period that has any, and of the days of its month before."""
    newest = pc.max(read_days(lake, BUDGET_DAILY, first, last).column("usage_date")).as_py()
    if newest is None:
        return ()
    rows = read_days(lake, BUDGET_DAILY, newest.replace(day=1), newest).to_pylist()
    ordered = sorted(rows, key=lambda row: (row["usage_date"], row["team"], row["skill"]))
    return tuple(_made(Budget, row, day=row["usage_date"]) for row in ordered)


def _newest(anomalies: Iterable[Row]) -> list[Row]:
    """Return each anomaly once: one that lasts stands on every day it was found."""
    return list({row["anomaly_id"]: row for row in sorted(anomalies, key=lambda row: row["usage_date"])}.values())


def _findings(rows: Iterable[Row]) -> list[Finding]:
    ordered = sorted(rows, key=lambda row: (row["severity"], -row["usage_date"].toordinal(), row["kind"], row["anomaly_id"]))
    return [_made(Finding, row, day=row["usage_date"]) for row in ordered]


def _units(rows: pa.Table) -> tuple[UnitCost, ...]:
    """Return the versions of each skill, the newest first."""
    keys = ("skill", "fingerprint")
    sums = {tuple(row[key] for key in keys): row for row in _summed(rows, keys, _UNIT_SUMS)}
    days: dict[tuple[str, ...], list[date]] = defaultdict(list)
    for row in rows.select(["usage_date", *keys]).to_pylist():
        days[row["skill"], row["fingerprint"]].append(row["usage_date"])
    units = [
        _made(
            UnitCost,
            row,
            fingerprint=key[1][:VERSION_SIGNS],
            first=min(days[key]),
            last=max(days[key]),
            charged_usd=row["direct_usd"] + row["waste_usd"] + row["allocated_usd"],
        )
        for key, row in sums.items()
    ]
    return tuple(sorted(units, key=lambda unit: (unit.skill, -unit.last.toordinal(), -unit.first.toordinal(), unit.fingerprint)))


def _made(kind: Any, row: Row, /, **more: Any) -> Any:
    """Return a dataclass from the row's fields of the same names."""
    return kind(**{f.name: row[f.name] for f in fields(kind) if f.name in row and f.name not in more} | more)
