"""What a day cost beside the same work sent to the expert tier. Method ``expert-replay/1``:

1. **The identity.** In every row, and in every sum of rows, cost = baseline - saved by routing - saved by cache - saved by batch, to the
   last decimal. Cost is all that was settled, for every purpose and with what was wasted; corrections of a provider's bill are left out.
2. **What has a baseline.** A served answer, and an answer taken from the response store. Everything else has none, so that answers which
   had to be repeated, rejects, votes, the routing classifier, audits and judges all count against routing: its saving is net, and may be
   negative.
3. **Measured baseline.** Where in the 30 days up to the day at least 30 items that the same model answered on the same tier were audited,
   so that the expert answered them too, and neither model's prices have changed since: the answers' cost, live, times what the expert's
   answers cost over what that model's cost (each weighted by the inverse of its chance to be drawn, both at live prices; the ratio has 6
   decimals). What the expert itself answered on the expert tier is measured, too: it cost what it cost, times the expert's retries.
4. **Modelled baseline.** Elsewhere: the tokens that were counted, at the expert's live standard prices of the same day, times the
   expert's retries. Tokens read from or written to a provider's cache are priced so for the expert, too: the state of the cache is taken
   to be the same. A prompt in a dearer context tier of the expert is charged that tier. An expert that is priced by seconds is charged
   the seconds that the call itself took.
5. **The expert's retries**: settled answers / served answers of the skill on the expert tier that day, where it served at least 20; else 1.
6. **Batch**: what the batched calls would have cost live, at the standard prices that their own model had that day, less what they cost;
   0 for a model that has no live price, and where a bill set the cost without tokens. Measured: no behaviour is modelled.
7. **Cache**: what the answers taken from the response store once cost. It is their baseline, too: routing gets no credit for it. Measured.
8. A row of routing is called measured if all of its baseline is. Without a price of the expert that day there is no baseline and no
   saving by routing; cost, cache and batch stand.

Each amount is summed unrounded over the row, and rounded once, half-even, to 12 places.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from skillyard.costs.baseline import EXACT, METERS, line_costs
from skillyard.costs.expert_ratio import Ratio, fitting, measured_ratios
from skillyard.costs.ledger.lines import Day
from skillyard.costs.prices.book import PLACES, PriceBook
from skillyard.errors import Unpriced
from skillyard.lake.cost_tables import SAVINGS_DAILY

METHOD = "expert-replay/1"
MIN_SERVED = 20
"""Answers that the expert has to have served for its retries to be known."""
_KEY = [*SAVINGS_DAILY.key, "model"]
_WIDE = Context(prec=100, rounding=ROUND_HALF_EVEN)
_ZERO = Decimal(0)

_Row = dict[str, Any]
_NO_EXTRA: _Row = {"more": _ZERO, "served_more": _ZERO}


def savings_rows(day: Day, book: PriceBook, expert: str, audits: pa.Table) -> pa.Table:
    """Return the day's rows of ``savings_daily`` in the order of their key; ``audits`` has AUDIT_COLUMNS of the days that may count."""
    with localcontext(_WIDE):
        rows = _rows(day, book, expert, audits)
    return pa.Table.from_pylist(rows, schema=SAVINGS_DAILY.schema)


def _rows(day: Day, book: PriceBook, expert: str, audits: pa.Table) -> list[_Row]:
    lines = day.lines.filter(pc.not_equal(day.lines.column("status"), "correction"))
    priced = _is_priced(book, expert, day.day)
    ratios = measured_ratios(audits, day.day, book, expert) if priced else {}
    by_row: dict[tuple[Any, ...], list[_Row]] = defaultdict(list)
    for part in _worked(lines, book, expert if priced else None):
        by_row[tuple(part[name] for name in SAVINGS_DAILY.key)].append(part)
    retries = _retries(lines)
    return [
        _row(key, parts, _baseline(parts, expert, ratios, retries.get(key[2], Decimal(1))) if priced else None)
        for key, parts in sorted(by_row.items())
    ]


@dataclass(frozen=True, slots=True)
class _Baseline:
    """What the served answers of a row would have cost, unrounded."""

    usd: Decimal
    is_measured: bool
    n_audited: int


def _baseline(parts: list[_Row], expert: str, ratios: Mapping[tuple[str, str, str], Ratio], retries: Decimal) -> _Baseline:
    """Sum up the models of a row: each is the expert itself, measured by audits, or modelled."""
    usd, is_measured, n_audited = Decimal(0), True, 0
    for part in parts:
        if not part["n_served"]:
            continue
        ratio = ratios.get((part["skill"], part["tier"], part["model"]))
        if part["tier"] == "expert" and part["model"] == expert:
            usd = _WIDE.add(usd, _WIDE.multiply(part["served_live"], retries))
        elif ratio is not None:
            usd = _WIDE.add(usd, _WIDE.multiply(part["served_live"], ratio.value))
            n_audited += ratio.n_items
        else:
            usd = _WIDE.add(usd, _WIDE.multiply(part["served_at_expert"], retries))
            is_measured = False
    return _Baseline(usd, is_measured, n_audited)


def _row(key: tuple[Any, ...], parts: list[_Row], baseline: _Baseline | None) -> _Row:
    def total(name: str) -> Any:
        return sum((part[name] for part in parts), start=0)

    cost, cache_saved = Decimal(total("cost")), Decimal(total("cache_saved"))
    batch_saved = _round(Decimal(total("live"))) - cost
    whole = _round(baseline.usd) + cache_saved if baseline else None
    served_live = Decimal(total("served_live"))
    return dict(zip(SAVINGS_DAILY.key, key, strict=True)) | {
        "n_served": total("n_served"),
        "n_cached": total("n_cached"),
        "cost_usd": cost,
        "baseline_usd": whole,
        "routing_saved_usd": None if whole is None else whole - cost - cache_saved - batch_saved,
        "cache_saved_usd": cache_saved,
        "batch_saved_usd": batch_saved,
        "routing_basis": "measured" if baseline and baseline.is_measured else "modelled",
        "cache_basis": "measured",
        "batch_basis": "measured",
        "n_audited": baseline.n_audited if baseline else 0,
        "expert_ratio": fitting(baseline.usd, served_live) if baseline else None,
        "method": METHOD,
    }


def _worked(lines: pa.Table, book: PriceBook, expert: str | None) -> list[_Row]:
    """Return the sums that savings are made of, by row of the table and model; money at the rates of others is unrounded."""
    is_settled = pc.equal(lines.column("status"), "settled")
    is_cached = pc.equal(lines.column("status"), "cached")
    is_served = pc.and_(is_settled, pc.and_(pc.equal(lines.column("use"), "served"), pc.equal(lines.column("purpose"), "answer")))
    is_batch = pc.and_(is_settled, pc.equal(lines.column("lane"), "batch"))
    cost, saved = lines.column("cost_usd"), lines.column("saved_usd")
    nothing = pa.scalar(Decimal(0), cost.type)
    measures = {
        "n_served": pc.if_else(is_served, lines.column("n_calls"), 0),
        "n_cached": pc.if_else(is_cached, lines.column("n_calls"), 0),
        "cost": cost,
        "served_cost": pc.if_else(is_served, cost, nothing),
        "cache_saved": pc.if_else(is_cached, saved, nothing),
    }
    rows = _summed(lines.select(_KEY), measures)
    extra = _batch_extra(lines.append_column("is_served", is_served).filter(is_batch), book)
    at_expert = _at_expert(lines.filter(is_served), book, expert) if expert is not None else {}
    for key, row in rows.items():
        more, served_more = extra.get(key, _NO_EXTRA).values()
        row["live"], row["served_live"] = row["cost"] + more, row["served_cost"] + served_more
        row["served_at_expert"] = at_expert.get(key, _ZERO)
    return [dict(zip(_KEY, key, strict=True)) | row for key, row in rows.items()]


def _batch_extra(lines: pa.Table, book: PriceBook) -> dict[tuple[Any, ...], _Row]:
    """Return how much more the batched calls would have cost live, and how much more those of them that served."""
    if not lines.num_rows:
        return {}
    cost = lines.column("cost_usd").cast(EXACT)
    more = pc.subtract(line_costs(lines, ("usage_date", "model", "price_ids"), partial(_live_rates, book), cost), cost).cast(EXACT)
    return _summed(lines.select(_KEY), {"more": more, "served_more": pc.if_else(lines.column("is_served"), more, pa.scalar(_ZERO, EXACT))})


def _at_expert(lines: pa.Table, book: PriceBook, expert: str) -> dict[tuple[Any, ...], Decimal]:
    """Return what the lines would have cost at the expert's prices; lines that are charged alike are summed up before."""
    alike, sums = [*_KEY, "context_over"], ["n_calls", *METERS.values()]
    grouped = lines.group_by(alike, use_threads=False).aggregate([(name, "sum") for name in sums])
    grouped = grouped.rename_columns([*alike, *sums])
    if not grouped.num_rows:
        return {}
    costs = line_costs(
        grouped, ("usage_date", "context_over"), partial(_expert_rates, book, expert), pa.chunked_array([pa.nulls(grouped.num_rows, EXACT)])
    )
    return {key: row["usd"] for key, row in _summed(grouped.select(_KEY), {"usd": costs}).items()}


def _summed(keyed: pa.Table, measures: Mapping[str, pa.ChunkedArray]) -> dict[tuple[Any, ...], _Row]:
    """Return the sums of the measures by the columns of the table."""
    for name, values in measures.items():
        keyed = keyed.append_column(name, values)
    grouped = keyed.group_by(_KEY, use_threads=False).aggregate([(name, "sum") for name in measures])
    return {tuple(row[name] for name in _KEY): {name: row[f"{name}_sum"] for name in measures} for row in grouped.to_pylist()}


def _retries(lines: pa.Table) -> dict[str, Decimal]:
    """Return by skill how many answers the expert gives for one that serves, where it served enough to say."""
    is_expert = pc.and_(pc.equal(lines.column("tier"), "expert"), pc.equal(lines.column("purpose"), "answer"))
    answers = lines.filter(pc.and_(is_expert, pc.equal(lines.column("status"), "settled"))).select(["skill", "use", "n_calls"])
    settled: dict[str, int] = defaultdict(int)
    served: dict[str, int] = defaultdict(int)
    for row in answers.group_by(["skill", "use"], use_threads=False).aggregate([("n_calls", "sum")]).to_pylist():
        settled[row["skill"]] += row["n_calls_sum"]
        served[row["skill"]] += row["n_calls_sum"] if row["use"] == "served" else 0
    return {skill: _WIDE.divide(Decimal(settled[skill]), Decimal(n)) for skill, n in served.items() if n >= MIN_SERVED}


def _is_priced(book: PriceBook, model: str, day: date) -> bool:
    try:
        book.check(model, _at(day))
    except Unpriced:
        return False
    return True


def _expert_rates(book: PriceBook, expert: str, of: tuple[str, ...]) -> Mapping[str, Decimal] | None:
    day, context_over = of
    return book.rates(expert, _at(date.fromisoformat(day)), context_tokens=int(context_over) + 1)


def _live_rates(book: PriceBook, of: tuple[str, ...]) -> Mapping[str, Decimal] | None:
    """Return the live rates of the day in the region and the context tier of the prices that were applied."""
    day, model, price_ids = of
    applied = [price for price in map(book.by_id, price_ids.split(",")) if price is not None]
    if not applied:
        return None
    context, region = max(price.context_over for price in applied), max(price.region for price in applied)
    try:
        return book.rates(model, _at(date.fromisoformat(day)), region=region, context_tokens=context + 1)
    except Unpriced:
        return None


def _at(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _round(exact: Decimal) -> Decimal:
    return _WIDE.quantize(exact, PLACES)
