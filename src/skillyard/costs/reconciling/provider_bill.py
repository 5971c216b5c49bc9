"""Reconciling with a provider's cost report: compared by day and model, noted, and what differs posted as corrections of the ledger.

First the table ``reconciliations`` says what was found; the corrections are made of what stands there, and ``cost_daily`` and its kin of
the ledger. Each step looks at what is there: after a crash at any point, doing it again ends with the same tables. Earlier corrections
count as part of the ledger, so the same report asks for nothing the second time, and a corrected one for what is new.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from decimal import ROUND_DOWN, Decimal
from hashlib import sha256
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from skillyard.costs.attribution import attribute
from skillyard.costs.ledger.reader import LedgerReader
from skillyard.costs.prices.book import PriceBook, load_prices
from skillyard.costs.reconciling.bill_by_day import RATE, Compared, compare
from skillyard.costs.reconciling.corrections import CORRECTION, corrections_of
from skillyard.costs.reconciling.cost_reports import CostReport
from skillyard.costs.reconciling.ledger_side import ledger_sides
from skillyard.errors import ConfigError, LakeUnsound
from skillyard.lake.cost_tables import RECONCILIATIONS
from skillyard.lake.iceberg import follow
from skillyard.lake.lake import Lake
from skillyard.lake.publish import append
from skillyard.lake.read import read
from skillyard.lake.results import to_results
from skillyard.lake.tables import LLM_CALLS
from skillyard.lake.validate import validate
from skillyard.profiles import load_profile
from skillyard.settings import Settings

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class ReportComparison:
    """A report beside the ledger, and what became of the difference."""

    provider: str
    source: str
    first: date
    last: date
    n_days: int
    billed_usd: Decimal
    ledger_usd: Decimal
    difference_usd: Decimal
    missing_usd: Decimal
    price_usd: Decimal
    rounding_usd: Decimal
    unexplained_usd: Decimal
    capture_rate: Decimal
    """The part of what is billed that the ledger has."""
    n_unknown: int
    unknown_reserved_usd: Decimal
    """Attempts that a report by day cannot close: a bill by request can."""
    reconciliation_id: str
    n_corrections: int
    """Posted by this run, those that an interrupted one had left out included; 0 in a dry run."""
    left_usd: Decimal
    """Billed less the ledger, afterwards."""
    notes: tuple[str, ...]
    rows: tuple[Compared, ...]

    @property
    def needs_posting(self) -> bool:
        """Say whether anything is to be corrected."""
        return any(any(row.parts.values()) for row in self.rows)


def compare_report(settings: Settings, report: CostReport) -> ReportComparison:
    """Compare, and write nothing."""
    rows = _compare(settings, report)
    found = _digest(report, rows, _all_noted(Lake(settings.lake), report))
    return _said(report, rows, found, 0, sum((row.difference_usd for row in rows), ZERO))


def post_report(settings: Settings, report: CostReport) -> ReportComparison:
    """Compare, note it, post what differs, and make the days' cost tables again. Doing it again changes nothing."""
    lake, rows = Lake(settings.lake), _compare(settings, report)
    earlier = _all_noted(lake, report)
    found = _digest(report, rows, earlier)
    if any(any(row.parts.values()) for row in rows) or not _is_noted(earlier, rows):
        noted = to_results(RECONCILIATIONS, [_noted(report, found, row) for row in rows])
        validate(lake, RECONCILIATIONS, noted)
        append(lake, RECONCILIATIONS, noted, f"reconcile-{found}")
    n_posted = _post_corrections(lake, report)
    attribute(settings, report.days[0], report.days[-1])
    follow(settings, lake, f"reconcile-{report.provider}", [LLM_CALLS.name, RECONCILIATIONS.name])
    return _said(report, rows, found, n_posted, sum((row.difference_usd for row in _compare(settings, report)), ZERO))


def _digest(report: CostReport, rows: Sequence[Compared], earlier: Sequence[Mapping[str, Any]]) -> str:
    """Return the id of this comparison: of provider, days, the amounts of both sides, and the comparisons that came before."""
    found = [[f"{r.usage_date}", r.model, f"{r.billed_usd}", f"{r.ledger_usd}", *map(str, r.parts.values())] for r in rows]
    before = sorted({noted["reconciliation_id"] for noted in earlier})
    return sha256(json.dumps([report.provider, found, before]).encode()).hexdigest()[:32]


def _compare(settings: Settings, report: CostReport) -> list[Compared]:
    if not report.days:
        raise ConfigError(f"{report.source}: the report has none of these days.")
    lake, book = Lake(settings.lake), load_prices(settings)
    tiers = {model: tier for tier, model in _deployed(settings)}
    providers = {price.model: price.provider for price in book}

    def is_asked(model: str) -> bool:
        return providers.get(model, model.partition("/")[0]).startswith(report.provider)

    lines = [line for line in _lines(settings, lake, book, report.days) if is_asked(line["model"])]
    corrections = _corrections(lake, report) | {row["call_id"]: row for row in _meant(lake, report)}
    known = {line["model"] for line in lines} | {model for model in providers if is_asked(model)}
    return compare(report, ledger_sides(lines, corrections.values(), book), known, tiers, book)


def _deployed(settings: Settings) -> list[tuple[str, str]]:
    """Return tier and model of every deployment, the dearest tier first: a model keeps the cheapest it serves."""
    profile = load_profile(settings.profile, settings.include)
    return [(tier, deployment.model) for tier in ("expert", "standard", "fast") for deployment in profile.deployments(tier)]


def _lines(settings: Settings, lake: Lake, book: PriceBook, days: Sequence[date]) -> list[dict[str, Any]]:
    """Return the lines of these days; LakeUnsound for a day that cannot be summed up, since its ledger would seem to be empty."""
    expert = load_profile(settings.profile, settings.include).deployments("expert")[0].model
    lines: list[dict[str, Any]] = []
    with LedgerReader(lake, book, expert) as reader:
        for day in days:
            found = reader.read(day)
            if not found.facts.is_sound:
                calls = ", ".join((*found.facts.conflicting, *found.facts.negative))
                raise LakeUnsound(f"the ledger of {day} has rows that contradict each other or are negative ({calls}): mend them first.")
            lines += found.day.lines.to_pylist()
    return lines


def _corrections(lake: Lake, report: CostReport) -> dict[str, dict[str, Any]]:
    """Return the corrections of the report's days that stand in the ledger, each once."""
    columns = ["call_id", "usage_date", "model", "error_kind", "cost_usd"]
    where = _in_days("usage_date", report) & (pc.field("status") == CORRECTION) & (pc.field("deployment") == report.provider)
    return {row["call_id"]: row for row in read(lake, LLM_CALLS, columns, where).to_pylist()}


def _meant(lake: Lake, report: CostReport) -> list[dict[str, Any]]:
    """Return the corrections that reconciliations of these days stand for, whether they were posted yet or not."""
    return [row for noted in _all_noted(lake, report) for row in corrections_of(noted)]


def _all_noted(lake: Lake, report: CostReport) -> list[dict[str, Any]]:
    where = _in_days("usage_date", report) & (pc.field("provider") == report.provider)
    rows: list[dict[str, Any]] = read(lake, RECONCILIATIONS, where=where).to_pylist()
    return rows


def _is_noted(earlier: Sequence[Mapping[str, Any]], rows: Sequence[Compared]) -> bool:
    """Say whether the last that was noted of each day and model is what is billed now."""
    billed: dict[tuple[date, str], Decimal] = {}
    for noted in sorted(earlier, key=lambda noted: noted["reconciled_at"]):
        billed[noted["usage_date"], noted["model"]] = noted["billed_usd"]
    return all(billed.get((row.usage_date, row.model)) == row.billed_usd for row in rows)


def _noted(report: CostReport, found: str, row: Compared) -> dict[str, Any]:
    """Return a row of ``reconciliations``."""
    names = {"reconciliation_id": found, "provider": report.provider, "source": report.source}
    noted = names | asdict(row) | {"reconciled_at": datetime.now(UTC)}
    first = next(corrections_of(noted), None)
    return noted | {"correction_call_id": first and first["call_id"]}


def _post_corrections(lake: Lake, report: CostReport) -> int:
    """Add the corrections that are meant and not there yet; return how many."""
    there = _corrections(lake, report)
    absent: dict[str, list[dict[str, Any]]] = {}
    for row in _meant(lake, report):
        if row["call_id"] not in there:
            absent.setdefault(row["run_id"], []).append(row)
    for run_id, rows in absent.items():
        calls = to_results(LLM_CALLS, rows)
        validate(lake, LLM_CALLS, calls)
        append(lake, LLM_CALLS, calls, f"reconcile-{run_id}")
    return sum(map(len, absent.values()))


def _in_days(column: str, report: CostReport) -> pc.Expression:
    return pc.field(column).isin(pa.array(report.days, pa.date32()))


def _said(report: CostReport, rows: Sequence[Compared], found: str, n_corrections: int, left: Decimal) -> ReportComparison:
    sums: Mapping[str, Decimal] = {name: sum((getattr(row, name) for row in rows), ZERO) for name in _SUMS}
    captured = sum((row.billed_usd * row.capture_rate for row in rows if row.billed_usd > 0), ZERO)
    asked = sum((row.billed_usd for row in rows if row.billed_usd > 0), ZERO)
    return ReportComparison(
        provider=report.provider,
        source=report.source,
        first=report.days[0],
        last=report.days[-1],
        n_days=len(report.days),
        **sums,
        difference_usd=sum((row.difference_usd for row in rows), ZERO),
        capture_rate=(captured / asked).quantize(RATE, ROUND_DOWN) if asked else Decimal(1),
        n_unknown=sum(row.n_unknown for row in rows),
        reconciliation_id=found,
        n_corrections=n_corrections,
        left_usd=left,
        notes=report.notes,
        rows=tuple(rows),
    )


_SUMS = ("billed_usd", "ledger_usd", "missing_usd", "price_usd", "rounding_usd", "unexplained_usd", "unknown_reserved_usd")
