"""Work through one shard: its items answered side by side, their outcomes written as one object.

That the object exists says the shard is done. A process that dies before leaves its paid answers in the response store, where the
next try finds them.
"""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from decimal import Decimal

import pyarrow as pa

from skillyard.costs.prices.book import PriceBook, load_prices
from skillyard.gateway.budgets import Limits
from skillyard.gateway.complete import Gateway
from skillyard.lake.lake import Lake
from skillyard.lake.tables import MONEY, TIMESTAMP
from skillyard.profiles import Profile, load_profile
from skillyard.running.answer import Outcome, RoutedItem, answer_by_library, answer_item, is_late
from skillyard.running.file_work import answer_files, show_files
from skillyard.running.lease import renew_lease
from skillyard.running.runs import RunPlan, Workspace, check_ready, outcome_key, run_limits, run_of
from skillyard.settings import Settings
from skillyard.tiers import TIERS

PROGRESS_EVERY_S = 5.0
MAX_IN_FLIGHT = 256
MAX_SHOWN = 32
"""Items in flight where each holds pictures."""

OUTCOME_SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("item_id", "doc_id")),
        ("page_no", pa.int32()),
        ("chunk_no", pa.int32()),
        *((name, pa.string()) for name in ("uri", "route_reason", "router_version")),
        ("route_score", pa.float64()),
        *((name, pa.string()) for name in ("kind", "tier", "model", "value", "error_kind", "error_message")),
        ("n_attempts", pa.int32()),
        ("n_escalations", pa.int32()),
        ("cost_usd", MONEY),
        ("ended_at", TIMESTAMP),
    ]
)

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class ShardReport:
    """Counts of one shard."""

    n_items: int
    n_results: int
    n_rejects: int
    n_pending: int
    n_escalations: int
    cost_usd: Decimal


def run_shard(settings: Settings, shard_key: str, progress: Progress | None = None) -> ShardReport:
    """Answer every item of a shard and write the outcomes. A shard that is already done is only counted."""
    plan = RunPlan.load(Lake(settings.lake), run_of(shard_key))
    space = Workspace.of_plan(settings, plan)
    if not space.lake.has(outcome_key(shard_key)):
        items = load_shard(space.lake, shard_key)
        told = _Progress(space, plan, len(items), progress)
        outcomes = _by_library(space, plan, items, told) if plan.kind == "library" else _by_models(space, plan, items, told)
        space.lake.write_frame_once(outcome_key(shard_key), _to_frame(items, outcomes))
    return count(space.lake.read_frame(outcome_key(shard_key)))


def count(frame: pa.Table) -> ShardReport:
    """Return the counts of an outcome frame."""
    kinds = frame["kind"].to_pylist()
    cost = sum(frame["cost_usd"].to_pylist(), Decimal(0))
    n = {kind: kinds.count(kind) for kind in ("result", "reject", "pending")}
    return ShardReport(len(kinds), n["result"], n["reject"], n["pending"], sum(frame["n_escalations"].to_pylist()), cost)


class _Progress:
    """Tells how far a shard is, and keeps the run's lease alive, every few seconds."""

    def __init__(self, space: Workspace, plan: RunPlan, n_items: int, say: Progress | None) -> None:
        self._space, self._plan, self._n_items, self._say = space, plan, n_items, say
        self._started = self._told = time.monotonic()
        self.n_done = 0

    def say(self, text: str) -> None:
        """Tell something that is not progress."""
        if self._say:
            self._say(f"{self._plan.skill}: {text}")

    def step(self) -> bool:
        """Count one item; True when it is time to tell."""
        self.n_done += 1
        now = time.monotonic()
        is_due = now - self._told >= PROGRESS_EVERY_S or self.n_done >= self._n_items
        if is_due:
            self._told = now
        return is_due

    def tell(self) -> None:
        """Renew the lease and say how far the shard is."""
        now = time.monotonic()
        renew_lease(self._space.state, self._plan.lease, self._plan.lease_owner)
        if self._say:
            rate = self.n_done / max(now - self._started, 1e-6)
            left_s = (self._n_items - self.n_done) / rate
            self._say(f"{self._plan.skill}: {self.n_done}/{self._n_items} items, {rate:.1f}/s, {left_s:.0f} s left")


def _by_library(space: Workspace, plan: RunPlan, items: list[RoutedItem], told: _Progress) -> list[Outcome]:
    outcomes: dict[str, Outcome] = {}
    for item, outcome in _by_own_code(space, plan, items):
        assert outcome is not None, "a library skill always says something"
        outcomes[item.item_id] = outcome
        if told.step():
            told.tell()
    return [outcomes[item.item_id] for item in items]


def _by_own_code(space: Workspace, plan: RunPlan, items: list[RoutedItem]) -> Iterator[tuple[RoutedItem, Outcome | None]]:
    """Yield each item with what the skill's own code says of it; None where a mixed skill's is not sure."""
    if space.skill.input_unit == "file":
        yield from answer_files(space, plan, items)
        return
    for item in items:
        yield item, is_late(plan, item) or answer_by_library(item.source, space.skill, plan.parameters)


def _prepared(space: Workspace, plan: RunPlan, items: list[RoutedItem]) -> Iterator[tuple[RoutedItem, Outcome | None]]:
    """Yield each item as a model is asked about it, or settled already: by the skill's own code, or because its file cannot be shown."""
    unsure = items
    if plan.kind == "mixed":
        unsure = []
        for item, outcome in _by_own_code(space, plan, items):
            if outcome is None and space.skill.max_pictures:
                unsure.append(item)
            else:
                yield item, outcome
    if space.skill.max_pictures:
        yield from show_files(space, plan, unsure)
    elif plan.kind == "llm":
        yield from ((item, None) for item in items)


def _by_models(space: Workspace, plan: RunPlan, items: list[RoutedItem], told: _Progress) -> list[Outcome]:
    profile = load_profile(space.settings.profile, space.settings.include)
    prices = load_prices(space.settings)
    check_ready(space.skill, profile, prices)
    limits = run_limits(space.settings, plan)
    return asyncio.run(_answer_all(space, plan, items, profile, prices, limits, told))


async def _answer_all(
    space: Workspace, plan: RunPlan, items: list[RoutedItem], profile: Profile, prices: PriceBook, limits: Limits, told: _Progress
) -> list[Outcome]:
    """Answer items side by side, as many as the lane's deployments take.

    After an error that concerns all of them, or an interrupt, no further item is begun; those on their way are waited for, since they
    are paid.
    """
    gateway = Gateway(space.state, profile, prices, limits)
    outcomes: dict[str, Outcome] = {}
    waiting, stop = _Waiting(_prepared(space, plan, items), is_slow=plan.kind == "mixed" or bool(space.skill.max_pictures)), asyncio.Event()

    async def work() -> None:
        while not stop.is_set() and (found := await waiting.take()):
            item, outcome = found
            outcome = outcome or is_late(plan, item) or await answer_item(item, space.skill, plan, profile, gateway)
            outcomes[item.item_id] = outcome
            if told.step():
                await asyncio.to_thread(told.tell)  # a store that is locked for seconds may not hold up replies
            while gateway.alerts:
                told.say(gateway.alerts.pop())

    most = MAX_SHOWN if space.skill.max_pictures else MAX_IN_FLIGHT
    n_workers = min(most, len(items), max(sum(d.concurrency for d in profile.deployments(tier)) for tier in TIERS))
    try:
        await finish_workers([asyncio.create_task(work()) for _ in range(n_workers)], stop)
    finally:
        await gateway.stop()
    return [outcomes[item.item_id] for item in items]


class _Waiting:
    """Hands out what is prepared, one at a time; where preparing takes time, the event loop goes on meanwhile."""

    def __init__(self, prepared: Iterator[tuple[RoutedItem, Outcome | None]], *, is_slow: bool) -> None:
        self._prepared, self._is_slow, self._lock = prepared, is_slow, asyncio.Lock()

    async def take(self) -> tuple[RoutedItem, Outcome | None] | None:
        """Return the next item, None when there is none left."""
        if not self._is_slow:
            return next(self._prepared, None)
        async with self._lock:
            return await asyncio.to_thread(next, self._prepared, None)


async def finish_workers(workers: list[asyncio.Task[None]], stop: asyncio.Event) -> None:
    """Wait for all workers, asking them to stop at the first error or when this task is cancelled; raise what happened first."""
    try:
        done, _ = await asyncio.wait(workers, return_when=asyncio.FIRST_EXCEPTION)
    except asyncio.CancelledError:
        stop.set()
        await asyncio.wait(workers)
        raise
    stop.set()
    await asyncio.wait(workers)
    for worker in (*done, *workers):
        worker.result()


def load_shard(lake: Lake, shard_key: str) -> list[RoutedItem]:
    """Return a shard's items."""
    frame = lake.read_frame(shard_key)
    names = [f.name for f in fields(RoutedItem) if f.name in frame.column_names]
    return [RoutedItem(**row) for row in frame.select(names).to_pylist()]


def _to_frame(items: list[RoutedItem], outcomes: list[Outcome]) -> pa.Table:
    rows = [
        {
            "item_id": i.item_id,
            "doc_id": i.doc_id,
            "page_no": i.page_no,
            "chunk_no": i.chunk_no,
            "uri": i.uri,
            "route_reason": i.route_reason,
            "router_version": i.router_version,
            "route_score": i.route_score,
            "kind": o.kind,
            "tier": o.tier,
            "model": o.model,
            "value": None if o.value is None else json.dumps(o.value, ensure_ascii=False),
            "error_kind": o.error_kind,
            "error_message": o.error_message,
            "n_attempts": o.n_attempts,
            "n_escalations": o.n_escalations,
            "cost_usd": o.cost_usd,
            "ended_at": o.ended_at,
        }
        for i, o in zip(items, outcomes, strict=True)
    ]
    return pa.Table.from_pylist(rows, schema=OUTCOME_SCHEMA)
