"""Work through one shard: its items answered side by side, their outcomes written as one object.

That the object exists says the shard is done. A process that dies before leaves its paid answers in the response store, where the
next try finds them.
"""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from decimal import Decimal

import pyarrow as pa

from skillyard.costs.prices.book import PriceBook, load_prices
from skillyard.documents.pool import WorkerPool
from skillyard.gateway.budgets import Limits
from skillyard.gateway.complete import Gateway
from skillyard.lake.lake import Lake
from skillyard.lake.tables import MONEY, TIMESTAMP
from skillyard.profiles import Profile, load_profile
from skillyard.running.answer import Outcome, RoutedItem, answer_by_library, answer_item, judge_file
from skillyard.running.files import FileGone, Files
from skillyard.running.lease import renew_lease
from skillyard.running.runs import RunPlan, Workspace, check_ready, outcome_key, run_limits, run_of
from skillyard.settings import Settings
from skillyard.skills.worker import handling
from skillyard.tiers import TIERS

PROGRESS_EVERY_S = 5.0
MAX_IN_FLIGHT = 256
N_PROCESSES = 2
"""That work on files side by side, as in parsing."""

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
    if space.skill.input_unit == "file":
        return _by_file_library(space, plan, items, told)
    outcomes = []
    for item in items:
        outcome = _late(plan, item) or answer_by_library(item.source, space.skill, plan.parameters)
        assert outcome is not None, "a library skill always says something"
        outcomes.append(outcome)
        if told.step():
            told.tell()
    return outcomes


def _by_file_library(space: Workspace, plan: RunPlan, items: list[RoutedItem], told: _Progress) -> list[Outcome]:
    """Have files worked on by processes of their own, side by side: their bytes are hostile."""
    skill, settings = space.skill, space.settings
    outcomes: dict[str, Outcome] = {}
    files = Files(settings.inbox, settings.load_passwords())

    def loaded() -> Iterator[tuple[str, str, bytes]]:
        for item in items:
            late = _late(plan, item)
            try:
                if late is None:
                    yield item.item_id, item.uri.rpartition("/")[2], files.load(item)
            except FileGone as error:
                late = Outcome("reject", "none", error_kind="source_changed", error_message=str(error)[:500])
            if late is not None:
                outcomes[item.item_id] = late

    work = handling(skill.folder, skill.with_defaults(plan.parameters))
    with WorkerPool(work, N_PROCESSES, skill.limits.timeout_s) as pool:
        for item_id, said in pool.work_on(loaded()):
            outcomes[item_id] = judge_file(skill, said, plan)
            if told.step():
                told.tell()
    return [outcomes[item.item_id] for item in items]


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
    waiting, stop = iter(items), asyncio.Event()

    async def work() -> None:
        for item in waiting:
            if stop.is_set():
                return
            outcome = _late(plan, item)
            if not outcome and plan.kind == "mixed":
                outcome = await asyncio.to_thread(answer_by_library, item.source, space.skill, plan.parameters)
            outcomes[item.item_id] = outcome or await answer_item(item, space.skill, plan, profile, gateway)
            if told.step():
                await asyncio.to_thread(told.tell)  # a store that is locked for seconds may not hold up replies
            while gateway.alerts:
                told.say(gateway.alerts.pop())

    n_workers = min(MAX_IN_FLIGHT, len(items), max(sum(d.concurrency for d in profile.deployments(tier)) for tier in TIERS))
    try:
        await finish_workers([asyncio.create_task(work()) for _ in range(n_workers)], stop)
    finally:
        await gateway.stop()
    return [outcomes[item.item_id] for item in items]


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


def _late(plan: RunPlan, item: RoutedItem) -> Outcome | None:
    """Return a pending outcome once the run's deadline has passed."""
    if plan.deadline and datetime.now(UTC) >= datetime.fromisoformat(plan.deadline):
        return Outcome("pending", item.tier, error_kind="deadline", error_message=f"not begun by {plan.deadline}")
    return None


def load_shard(lake: Lake, shard_key: str) -> list[RoutedItem]:
    """Return a shard's items."""
    names = [f.name for f in fields(RoutedItem)]
    return [RoutedItem(**row) for row in lake.read_frame(shard_key).select(names).to_pylist()]


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
