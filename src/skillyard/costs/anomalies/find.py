"""``anomalies``: what is wrong with a day's money, from the nightly tables, the ledger, the price book and the router's red flags."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from hashlib import sha256
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from skillyard.costs.anomalies.anomaly import Anomaly, Severity
from skillyard.costs.anomalies.rules import find_budgets, find_new_models, find_spend, find_unknown, find_waste
from skillyard.costs.anomalies.units import UNIT_DAYS, VERSION_DAYS, find_unit_jumps, find_version_jumps
from skillyard.costs.attribution import check_range
from skillyard.costs.budgets.spending import read_spending
from skillyard.costs.ledger.oddities import Finding
from skillyard.costs.partitions import publish_day, publish_days, read_day
from skillyard.costs.prices.check import Disagreement, check_prices
from skillyard.lake.cost_tables import ANOMALIES, BUDGET_DAILY, UNIT_COSTS
from skillyard.lake.lake import Lake
from skillyard.lake.read import read
from skillyard.lake.results import to_results
from skillyard.lake.tables import RED_FLAGS
from skillyard.settings import Settings

__all__ = ["Anomaly", "find_anomalies", "keep_findings", "publish_anomalies", "read_anomalies"]

HARMLESS = ("clock", "duplicate_rows")
"""Findings of a ledger that change no amount."""


def publish_anomalies(settings: Settings, *days: date) -> list[dict[str, Any]]:
    """Find what is wrong with each day, make it its partition, and return the rows of all of them.

    What attribution found in a day's ledger stays as ``keep_findings`` left it: nothing else reads the ledger again.
    """
    lake = Lake(settings.lake)
    tables = {}
    for day in days:
        of_ledger = [row for row in read_day(lake, ANOMALIES, day).to_pylist() if row["source"] == "ledger"]
        tables[day] = _table([*of_ledger, *(anomaly.as_row() for anomaly in find_anomalies(settings, day))])
    publish_days(lake, ANOMALIES, tables)
    return _shown(row for table in tables.values() for row in table.to_pylist())


def keep_findings(settings: Settings, day: date, findings: Iterable[Finding]) -> None:
    """Make what attribution found in a day's ledger part of its partition, in place of what it found before."""
    lake = Lake(settings.lake)
    others = [row for row in read_day(lake, ANOMALIES, day).to_pylist() if row["source"] != "ledger"]
    publish_day(lake, ANOMALIES, day, _table([*(anomaly.as_row() for anomaly in find_ledger(findings, day)), *others]))


def find_anomalies(settings: Settings, day: date) -> list[Anomaly]:
    """Return what the tables of a day, the price book and the red flags of the day say; nothing is written."""
    lake = Lake(settings.lake)
    spending = read_spending(lake, day)
    units = _recent(lake, UNIT_COSTS.name, day, UNIT_DAYS + VERSION_DAYS)
    return [
        *find_spend(spending),
        *find_new_models(spending),
        *find_waste(spending),
        *find_unknown(spending),
        *find_unit_jumps(units, day),
        *find_version_jumps(units, day),
        *find_budgets(read_day(lake, BUDGET_DAILY, day).to_pylist()),
        *find_disagreements(check_prices(settings, day), day),
        *find_red_flags(_recent(lake, RED_FLAGS.name, day, 1), day),
    ]


def read_anomalies(settings: Settings, first: date, last: date) -> list[dict[str, Any]]:
    """Return the rows of the days from first to last, the newest day and the gravest first, ``numbers`` as a value."""
    check_range(first, last)
    where = (pc.field("usage_date") >= first) & (pc.field("usage_date") <= last)
    return _shown(read(Lake(settings.lake), ANOMALIES.name, where=where).to_pylist())


def find_ledger(findings: Iterable[Finding], day: date) -> list[Anomaly]:
    """Return what attribution found odd about a day's ledger."""
    return [
        Anomaly(
            finding.kind,
            day,
            _severity(finding.kind),
            finding.message,
            source="ledger",
            model=str(finding.numbers.get("model", "*")),
            numbers={name: list(value) if isinstance(value, tuple) else value for name, value in finding.numbers.items()},
        )
        for finding in findings
    ]


def find_disagreements(found: Iterable[Disagreement], day: date) -> list[Anomaly]:
    """Return one anomaly per model whose prices differ from a public list; it lasts until one of them changes."""
    by_model: dict[str, list[Disagreement]] = {}
    for disagreement in found:
        if disagreement.differs:
            by_model.setdefault(disagreement.model, []).append(disagreement)
    return [_disagreement(day, model, own) for model, own in sorted(by_model.items())]


def find_red_flags(rows: Sequence[Mapping[str, Any]], day: date) -> list[Anomaly]:
    """Return the red flags of the day, or of the day before where the router's own night is still to come; told once a month."""
    newest = max((row["usage_date"] for row in rows), default=day)
    return [
        Anomaly(
            row["flag"],
            day,
            "warn",
            row["message"],
            source="router",
            skill=row["skill"],
            value=row["value"],
            expected=row["bound"],
            numbers=json.loads(row["numbers"]),
            lasting=f"{day:%Y-%m}",
        )
        for row in rows
        if row["usage_date"] == newest
    ]


def _table(rows: Iterable[dict[str, Any]]) -> pa.Table:
    return to_results(ANOMALIES, list({row["anomaly_id"]: row for row in rows}.values()))


def _severity(kind: str) -> Severity:
    return "warn" if kind in HARMLESS else "alert"


def _disagreement(day: date, model: str, found: Sequence[Disagreement]) -> Anomaly:
    lines = [
        f"{d.meter}{'' if d.service_tier == 'standard' else f' ({d.service_tier})'} {_price(d.ours)} here, {_price(d.theirs)} in {d.whose}"
        for d in found
    ]
    message = (
        f"{model} is priced otherwise than in a public list: {'; '.join(lines[:4])}{f'; {len(lines) - 4} more' if len(lines) > 4 else ''}. "
        "Look at the provider's own page, then `skillyard prices check`, and `skillyard prices add` if the book is wrong."
    )
    state = sha256("\n".join(lines).encode()).hexdigest()
    return Anomaly("price_disagreement", day, "warn", message, source="prices", model=model, numbers={"prices": lines}, lasting=state)


def _price(usd: Decimal | None) -> str:
    return "no price" if usd is None else f"{usd.normalize():f}"


def _recent(lake: Lake, table: str, day: date, n_days: int) -> list[dict[str, Any]]:
    """Return the rows of a day and the days before it."""
    where = (pc.field("usage_date") >= (day - timedelta(days=n_days))) & (pc.field("usage_date") <= day)
    rows: list[dict[str, Any]] = read(lake, table, where=where).to_pylist()
    return rows


def _shown(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    ordered = sorted(rows, key=lambda row: (-row["usage_date"].toordinal(), row["severity"], row["kind"], row["anomaly_id"]))
    return [row | {"numbers": json.loads(row["numbers"])} for row in ordered]
