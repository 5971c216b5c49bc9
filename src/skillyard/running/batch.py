"""A shard of the batch lane, from its manifest to its outcomes: handed to a provider, waited for, collected, then worked through live.

A batch fills the response store. The ordinary ``run_shard`` over the same shard finds the paid answers there, validates them, escalates
and asks live for whatever the batch did not answer.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from skillyard.costs.prices.book import PriceBook, load_prices
from skillyard.gateway import batch as gateway
from skillyard.gateway.batch_rows import Batch, find_batch
from skillyard.gateway.files import BatchRefused
from skillyard.lake.lake import Lake
from skillyard.profiles import Profile, load_profile
from skillyard.routing.lane import BATCH_WINDOW, LEAST_ITEMS, Queue, choose_lane, find_offer, live_margin
from skillyard.running.answer import RoutedItem, make_request, n_tokens_needed
from skillyard.running.lanes import queue_of, shard_uri
from skillyard.running.lease import LEASE_TTL, renew_lease
from skillyard.running.runs import RunPlan, Workspace, check_ready, outcome_key, run_limits, run_of
from skillyard.running.shard import ShardReport, load_shard, run_shard
from skillyard.settings import Settings

WINDOW_GRACE = timedelta(hours=1)
"""A provider may need as long beyond its window to write the results."""
CANCEL_TIME = timedelta(minutes=10)
"""How long a provider may need to end a batch that is cancelled; a tenth of the time there is, if that is shorter."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Waiting:
    """A batch that a provider works on: where to look, and until when."""

    tier: str
    deployment: str
    provider_batch_id: str
    until: datetime


@dataclass(frozen=True, slots=True)
class _Shard:
    """What every step opens."""

    space: Workspace
    plan: RunPlan
    profile: Profile
    prices: PriceBook
    uri: str
    items: list[RoutedItem]
    say: Say

    @classmethod
    def open(cls, settings: Settings, shard_key: str, say: Say) -> "_Shard":
        plan = RunPlan.load(Lake(settings.lake), run_of(shard_key))
        space = Workspace.of_plan(settings, plan)
        profile, prices = load_profile(settings.profile, settings.include), load_prices(settings)
        check_ready(space.skill, profile, prices)
        return cls(space, plan, profile, prices, shard_uri(space.lake, shard_key), load_shard(space.lake, shard_key), say)

    @property
    def tier(self) -> str:
        return self.items[0].tier

    @property
    def deadline(self) -> datetime | None:
        return datetime.fromisoformat(self.plan.deadline) if self.plan.deadline else None

    def queue(self) -> Queue:
        return queue_of(self.space.skill, self.plan, [item.text for item in self.items])

    def times(self, created_at: datetime, ends_at: datetime) -> tuple[datetime, datetime]:
        """Return when to stop waiting for a batch and cancel it, and when to stop waiting for its end: what is left then suffices live."""
        margin = live_margin(self.queue(), self.profile.deployments(self.tier))
        latest = min(self.deadline or ends_at, ends_at) - margin
        if self.plan.lane == "live":  # an earlier run's batch, and somebody who does not want to wait for it
            now = datetime.now(UTC)
            return now, min(latest, now + CANCEL_TIME)
        return latest - min(CANCEL_TIME, (latest - created_at) / 10), latest


def submit_shard(settings: Settings, shard_key: str, say: Say) -> Waiting | None:
    """Hand a shard over as one batch, or re-attach to the one it was handed over as. None: there is nothing to wait for."""
    if Lake(settings.lake).has(outcome_key(shard_key)):
        return None
    shard = _Shard.open(settings, shard_key, say)
    state = shard.space.state
    with gateway.alone(state, shard.uri, shard.plan.skill):
        batch = find_batch(state, shard.uri)
        if batch is not None and batch.status == "preparing":
            batch = gateway.find_again(state, batch, gateway.deployment_of(shard.profile, batch.tier, batch.deployment))
        if batch is None or batch.status == "unsent":
            batch = _hand_over(shard)
    if batch is None or not batch.is_open:
        return None
    assert batch.provider_batch_id is not None
    until, _ = shard.times(batch.created_at, batch.ends_at)
    say(
        f"{batch.skill}: {batch.n_requests} items are in the batch {batch.provider_batch_id} of {batch.deployment} since "
        f"{batch.created_at:%Y-%m-%d %H:%M} UTC; what it has not answered by {until:%Y-%m-%d %H:%M:%S} is asked live"
    )
    return Waiting(batch.tier, batch.deployment, batch.provider_batch_id, until)


def finish_shard(settings: Settings, shard_key: str, say: Say) -> ShardReport:
    """Take in what the shard's batch has answered, cancelling one that is not over, and answer the rest live."""
    if not Lake(settings.lake).has(outcome_key(shard_key)):
        shard = _Shard.open(settings, shard_key, say)
        batch = find_batch(shard.space.state, shard.uri)
        if batch is not None and batch.status == "submitted":
            _collect(shard, batch)
    return run_shard(settings, shard_key, say)


def answer_batch(settings: Settings, shard_key: str, say: Say, submitted: Waiting | None = None) -> ShardReport:
    """Work through a shard of the batch lane in this process, waiting for its batch and keeping the run's lease meanwhile."""
    waiting = submitted or submit_shard(settings, shard_key, say)
    while waiting is not None and datetime.now(UTC) < waiting.until:
        hold_run(settings, shard_key, datetime.now(UTC) + LEASE_TTL)
        deployment = gateway.deployment_of(load_profile(settings.profile, settings.include), waiting.tier, waiting.deployment)
        pause = min(waiting.until, datetime.now(UTC) + LEASE_TTL / 3)
        status = asyncio.run(gateway.wait_for_batch(deployment, waiting.provider_batch_id, pause, say))
        if status != gateway.TIME_IS_UP:
            break
        say(f"still waiting for the batch {waiting.provider_batch_id}, until {waiting.until:%Y-%m-%d %H:%M:%S} UTC at most")
    return finish_shard(settings, shard_key, say)


def hold_run(settings: Settings, shard_key: str, until: datetime) -> None:
    """Keep the run's lease until a moment, for a shard that waits without a process."""
    plan = RunPlan.load(Lake(settings.lake), run_of(shard_key))
    renew_lease(Workspace.of_plan(settings, plan).state, plan.lease, plan.lease_owner, until)


def _hand_over(shard: _Shard) -> Batch | None:
    """Prepare a batch of what has to be asked and hand it over; None when that is nothing, or when the provider takes none of it."""
    plan, tier, now = shard.plan, shard.tier, datetime.now(UTC)
    ends_at = now + BATCH_WINDOW + WINDOW_GRACE
    queue, deployments = shard.queue(), shard.profile.deployments(tier)
    # Decided once more: a try may come late, a shard may be another run's. That its tier's queue was long enough is known.
    decision = choose_lane(
        plan.lane, replace(queue, n_items=max(queue.n_items, LEAST_ITEMS)), deployments, shard.prices, now, shard.deadline
    )
    offer = find_offer(queue, deployments, shard.prices, now)
    if decision.lane == "live" or offer is None:
        shard.say(f"{plan.skill}: no batch: {decision.reason}")
        return None
    requests = [make_request(tier, item, shard.space.skill, plan, shard.profile) for item in shard.items]
    requests = [r for r in requests if n_tokens_needed(r) <= shard.profile.context_tokens(tier)]
    batch = Batch(uuid4().hex, plan.run_id, plan.skill, shard.uri, tier, offer.deployment, "preparing", 0, now, ends_at)
    deployment = gateway.deployment_of(shard.profile, tier, offer.deployment)
    limits = run_limits(shard.space.settings, plan)
    prepared = gateway.prepare(shard.space.state, batch, requests, deployments, deployment, shard.prices, limits)
    for alert in prepared.alerts:
        shard.say(f"{plan.skill}: {alert}")
    if not prepared.calls:
        return None
    try:
        return gateway.hand_over(shard.space.state, batch, deployment, prepared.calls)
    except BatchRefused as error:
        shard.say(f"{plan.skill}: no batch, all of it is asked live: {error}")
        return None


def _collect(shard: _Shard, batch: Batch) -> None:
    assert batch.provider_batch_id is not None
    state, deployment = shard.space.state, gateway.deployment_of(shard.profile, batch.tier, batch.deployment)
    _, latest = shard.times(batch.created_at, batch.ends_at)
    shown = gateway.stop_batch(deployment, batch.provider_batch_id, min(latest, datetime.now(UTC) + CANCEL_TIME))
    if shown is None:
        shard.say(f"{batch.skill}: the batch {batch.provider_batch_id} would not end and is no longer waited for")
        gateway.abandon(state, batch)
        return
    n_answered = gateway.collect(state, batch, deployment, shown, shard.prices, shard.space.skill.share == "all")
    shard.say(
        f"{batch.skill}: the batch {shown.batch_id} is {shown.status}, {n_answered} of {batch.n_requests} answered{_why(shown.problem)}"
    )


def _why(problem: str) -> str:
    return f" ({problem})" if problem else ""
