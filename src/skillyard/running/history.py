"""What a skill's past calls say of the next ones: cost per operation, length of answers, latency.

One scan of the lake's ledger. An operation is all that was asked for one item in one run, retries and escalations included. Its calls
are priced anew at today's prices, and only operations on models that the profile has now count: a change of price is no surprise
then, and a change of profile begins a history of its own.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from statistics import median
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from skillyard.costs.prices.book import METERS, PriceBook, usage_of
from skillyard.lake.lake import Lake
from skillyard.lake.read import scan
from skillyard.lake.tables import LLM_CALLS
from skillyard.profiles import Deployment, Profile

WINDOW = timedelta(days=180)
"""Older calls are not looked at."""
MOST_CALLS = 10_000
"""A longer history is sampled: it would say the same, and the quote would take longer."""
ENOUGH = 200
"""With fewer operations of the current fingerprint, those of older ones count as well."""
LEAST = 20
"""With fewer operations of any fingerprint there is no history."""
LEARNED_FROM = 200
"""Answers from which a p99 of their length is learned."""
LEARNED_MARGIN = 1.2
WHOLE = 1 << 32
"""What the first 8 hexadecimal digits of an operation's id are below."""

COLUMNS = (
    *("operation_id", "item_id", "fingerprint", "attempt_no", "tier", "model", "lane", "status", "finish_reason"),
    *METERS,
    "latency_ms",
)


@dataclass(frozen=True, slots=True)
class Step:
    """One call of an operation that was billed, or may have been."""

    tier: str
    output_tokens: int | None
    """None when its outcome is not known; its cost likewise."""
    cost_usd: float | None


@dataclass(frozen=True, slots=True)
class Operation:
    """All that was asked for one item in one run."""

    item_id: str
    tier: str
    """Where it began."""
    input_tokens: float
    """Of one call, as the provider counted them."""
    estimated_tokens: float
    """The same as it would have been estimated beforehand."""
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class History:
    """The past of one skill, as far as it says something of its next run."""

    basis: str
    """``history``: of this fingerprint; ``older_history``: of older ones too; ``worst_case``: there is next to none."""
    operations: tuple[Operation, ...]
    latency_s: Mapping[str, float]
    """Median by tier."""
    learned_max_tokens: Mapping[str, int]
    """By tier: enough for nearly every answer, never above the skill's limit. A tier with few answers is missing."""


NO_HISTORY = History("worst_case", (), {}, {})


def load_history(
    lake: Lake, skill: str, fingerprint: str, output_tokens: int, profile: Profile, prices: PriceBook, at: datetime
) -> History:
    """Return the history of a skill from the lake's ledger. ``output_tokens`` is the longest answer it allows."""
    current, older = _Sample(), _Sample()
    wanted = (
        (pc.field("skill") == skill)
        & pc.field("purpose").isin(["answer", "vote"])
        & (pc.field("usage_date") >= pa.scalar((at - WINDOW).date(), pa.date32()))
    )
    for batch in scan(lake, LLM_CALLS, COLUMNS, wanted):
        is_current = pc.equal(batch.column("fingerprint"), fingerprint)
        current.add(batch.filter(is_current))
        older.add(batch.filter(pc.invert(is_current)))
    return read_history(current.rows(), older.rows(), output_tokens, profile, prices, at)


def read_history(
    current: Sequence[Mapping[str, Any]],
    older: Sequence[Mapping[str, Any]],
    output_tokens: int,
    profile: Profile,
    prices: PriceBook,
    at: datetime,
) -> History:
    """Return what ledger rows of the current and of older fingerprints say."""
    basis, rows = "history", list(current)
    operations = find_operations(rows, profile, prices, at)
    if len(operations) < ENOUGH:
        earlier = find_operations(older, profile, prices, at)
        if earlier:
            basis, operations, rows = "older_history", operations + earlier, rows + list(older)
    learned = learn_max_tokens(current, output_tokens)
    if len(operations) < LEAST:
        return History("worst_case", (), {}, learned)
    return History(basis, tuple(operations), _latencies(rows), learned)


def find_operations(rows: Iterable[Mapping[str, Any]], profile: Profile, prices: PriceBook, at: datetime) -> list[Operation]:
    """Return the operations that were answered, and paid for in full, on models the profile has.

    One that took a stored answer does not show what an answer costs; one without any answer is asked again in another run.
    """
    served = {(d.tier, d.model): d for deployments in profile.pools.values() for d in deployments}
    calls: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        calls.setdefault(row["operation_id"], []).append(row)
    found = []
    for own in calls.values():
        own.sort(key=lambda row: row["attempt_no"])
        answered = [row for row in own if row["status"] == "settled"]
        if answered and all(row["status"] != "cached" and (row["tier"], row["model"]) in served for row in own):
            steps = tuple(
                _step(row, served[row["tier"], row["model"]], prices, at) for row in own if row["status"] in ("settled", "unknown")
            )
            n_input = _input_tokens(answered[0])
            found.append(Operation(own[0]["item_id"], own[0]["tier"], n_input, n_input, steps))
    return found


def learn_max_tokens(rows: Iterable[Mapping[str, Any]], most: int) -> dict[str, int]:
    """Return the 99th percentile of the length of complete answers with a margin, by tier, where there are enough of them."""
    lengths: dict[str, list[int]] = {}
    for row in rows:
        if row["status"] == "settled" and row["finish_reason"] != "length":
            lengths.setdefault(row["tier"], []).append(row["output_tokens"])
    return {
        tier: min(most, ceil(LEARNED_MARGIN * sorted(found)[ceil(0.99 * len(found)) - 1]))
        for tier, found in sorted(lengths.items())
        if len(found) >= LEARNED_FROM
    }


def _step(row: Mapping[str, Any], deployment: Deployment, prices: PriceBook, at: datetime) -> Step:
    if row["status"] == "unknown":
        return Step(row["tier"], None, None)
    cost = prices.cost(deployment.model, usage_of(row), at, deployment.service_tier, deployment.region)
    return Step(row["tier"], row["output_tokens"], float(cost.usd))


def _input_tokens(row: Mapping[str, Any]) -> int:
    return usage_of(row).prompt_tokens


def _latencies(rows: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    found: dict[str, list[int]] = {}
    for row in rows:
        if row["status"] == "settled" and row["lane"] == "live" and row["latency_ms"] is not None:
            found.setdefault(row["tier"], []).append(row["latency_ms"])
    return {tier: median(of_tier) / 1000 for tier, of_tier in sorted(found.items())}


class _Sample:
    """Ledger rows, whole operations only: once there are too many, every second operation by its id, which is a hash, is left out."""

    def __init__(self) -> None:
        self._batches: list[pa.RecordBatch] = []
        self._n_rows = 0
        self._below = WHOLE

    def add(self, batch: pa.RecordBatch) -> None:
        """Take the rows of the operations that are in the sample."""
        self._keep(batch)
        while self._n_rows > MOST_CALLS and self._below > 1:
            self._below //= 2
            batches, self._batches, self._n_rows = self._batches, [], 0
            for kept in batches:
                self._keep(kept)

    def rows(self) -> list[dict[str, Any]]:
        """Return them as plain values."""
        return [row for batch in self._batches for row in batch.to_pylist()]

    def _keep(self, batch: pa.RecordBatch) -> None:
        ids = pc.utf8_slice_codeunits(batch.column("operation_id"), 0, 8)
        kept = batch if self._below == WHOLE else batch.filter(pc.less(ids, f"{self._below:08x}"))
        if kept.num_rows:
            self._batches.append(kept)
            self._n_rows += kept.num_rows
