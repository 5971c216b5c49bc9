"""The ledger by operation: all that was asked to answer one item in one run, retries and escalations included."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import groupby
from operator import itemgetter
from sys import intern
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from skillyard.lake.lake import Lake
from skillyard.lake.read import scan
from skillyard.lake.tables import LLM_CALLS, MONEY
from skillyard.tiers import TIERS

_KEY = ("skill", "fingerprint", "doc_id", "item_id", "operation_id", "tier")
CHUNK_ROWS = 10_000
_COLUMNS = [*_KEY, "purpose", "status", "lane", "latency_ms", "cost_usd", "saved_usd"]


@dataclass(frozen=True, slots=True)
class Operation:
    """One item that was answered, or asked for and not answered."""

    operation_id: str
    skill: str
    fingerprint: str
    doc_id: str
    item_id: str
    costs_usd: Mapping[str, Decimal]
    """By tier that was asked, the cheapest first; its voters counted in."""
    last_tier: str | None
    """The tier of its last answer; None when no tier answered."""
    is_cached: bool
    """That answer was given again, not bought."""
    saved_usd: Decimal
    latency_s: float | None
    """Of all its calls one after the other (voters are asked meanwhile); None when a batch or the cache answered one of them."""

    @property
    def first_tier(self) -> str:
        """Where it began."""
        return next(iter(self.costs_usd))

    @property
    def cost_usd(self) -> Decimal:
        """What was paid for it."""
        return sum(self.costs_usd.values(), Decimal(0))


def read_operations(lake: Lake, first: date, last: date) -> list[Operation]:
    """Return the operations of the days from first to last; one whose calls lie on both sides of a midnight is one."""
    where = pc.field("purpose").isin(["answer", "vote"]) & (pc.field("usage_date") >= first) & (pc.field("usage_date") <= last)
    parts = [_summed(_measured(pa.Table.from_batches([batch]))) for batch in scan(lake, LLM_CALLS, _COLUMNS, where)]
    if not parts:
        return []
    rows = _summed(pa.concat_tables(parts)).sort_by("operation_id")
    steps = (step for batch in rows.to_batches(max_chunksize=CHUNK_ROWS) for step in batch.to_pylist())
    return [_operation(sorted(own, key=lambda step: TIERS.index(step["tier"]))) for _, own in groupby(steps, itemgetter("operation_id"))]


def _measured(calls: pa.Table) -> pa.Table:
    """Return what is summed up of each call."""
    is_answer = pc.equal(calls.column("purpose"), "answer")
    settled, is_cached = (pc.and_(is_answer, pc.equal(calls.column("status"), status)) for status in ("settled", "cached"))
    is_timed = pc.and_(pc.equal(calls.column("lane"), "live"), calls.column("latency_ms").is_valid())
    latency_ms = pc.if_else(pc.and_(is_answer, is_timed), calls.column("latency_ms"), 0)
    measures = {
        "n_settled": settled.cast(pa.int64()),
        "n_cached": is_cached.cast(pa.int64()),
        "n_untimed": pc.and_(settled, pc.invert(is_timed)).cast(pa.int64()),
        "latency_ms": latency_ms.cast(pa.int64()),
        "cost_usd": pc.fill_null(calls.column("cost_usd"), pa.scalar(Decimal(0), MONEY)),
        "saved_usd": calls.column("saved_usd"),
    }
    return pa.table({name: calls.column(name) for name in _KEY} | measures)


_SUMS = ("n_settled", "n_cached", "n_untimed", "latency_ms", "cost_usd", "saved_usd")


def _summed(rows: pa.Table) -> pa.Table:
    grouped = rows.group_by(list(_KEY), use_threads=False).aggregate([(name, "sum") for name in _SUMS])
    return grouped.rename_columns([name.removesuffix("_sum") for name in grouped.column_names])


def _operation(steps: list[dict[str, Any]]) -> Operation:
    answered = [step for step in steps if step["n_settled"] or step["n_cached"]]
    is_timed = answered and not any(step["n_cached"] or step["n_untimed"] for step in steps)
    return Operation(
        operation_id=steps[0]["operation_id"],
        skill=intern(steps[0]["skill"]),
        fingerprint=intern(steps[0]["fingerprint"]),
        doc_id=steps[0]["doc_id"],
        item_id=steps[0]["item_id"],
        costs_usd={intern(step["tier"]): step["cost_usd"] for step in steps},
        last_tier=answered[-1]["tier"] if answered else None,
        is_cached=bool(answered) and not answered[-1]["n_settled"],
        saved_usd=sum((step["saved_usd"] for step in steps), Decimal(0)),
        latency_s=sum(step["latency_ms"] for step in steps) / 1000 if is_timed else None,
    )
