"""Which of a run's items go through the batch lane: what an earlier run's batch holds already, and what the decision sends there."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from skillyard.costs.prices.book import PriceBook
from skillyard.errors import ConfigError, UnknownName
from skillyard.gateway.batch_rows import Batch, open_batches, waiting_items
from skillyard.lake.lake import Lake
from skillyard.profiles import Profile
from skillyard.routing.lane import LANES, Queue, choose_lane, find_offer
from skillyard.running.runs import RunPlan, Workspace
from skillyard.skills import Skill, Source
from skillyard.tiers import TIERS
from skillyard.tokens import estimate_messages, estimate_tokens, text_of

Row = dict[str, Any]

MOST_ITEMS = 5_000
MOST_BYTES = 80_000_000
"""What one batch may hold, well below what providers take: bodies grow when they are written as JSON."""
SAMPLE = 200


@dataclass(frozen=True, slots=True)
class BatchShard:
    """Rows of one tier that make one batch; ``adopted`` is the batch that holds them already."""

    name: str
    rows: list[Row]
    adopted: Batch | None = None


def check_lane(lane: str, skill: Skill, profile: Profile, prices: PriceBook, now: datetime) -> None:
    """Raise for a lane that does not exist, or for batches that no deployment the skill may reach offers."""
    if lane not in LANES:
        raise UnknownName("lane", lane, LANES)
    if lane == "batch" and skill.max_pictures:
        raise ConfigError(f"the lane batch was asked for, but {skill.name} shows pictures: they are read when they are asked about, live.")
    if lane == "batch" and skill.kind == "mixed":
        raise ConfigError(
            f"the lane batch was asked for, but {skill.name} is a mixed skill: its library answers most items, and the rest is asked live."
        )
    one = Queue(1, 1, 1, 1.0)
    if lane == "batch" and not any(find_offer(one, profile.deployments(t), prices, now) for t in skill.lanes if t in TIERS):
        raise ConfigError(
            f"the lane batch was asked for, but no deployment of the profile {profile.name} that {skill.name} may reach offers it: "
            "set `batch: true` for one, with prices of service_tier batch, or leave the lane to the route."
        )


def take_batches(
    space: Workspace, plan: RunPlan, lanes: Mapping[str, list[Row]], profile: Profile, prices: PriceBook, now: datetime
) -> list[BatchShard]:
    """Take the rows that go through the batch lane out of the tiers' lanes and return them as its shards.

    What is at a provider since an earlier run, one that was killed or gave up, is waited for and not bought again.
    """
    shards = list(_adopted(space, plan, lanes))
    deadline = datetime.fromisoformat(plan.deadline) if plan.deadline else None
    asked = "live" if plan.kind == "mixed" or space.skill.max_pictures else plan.lane
    for tier in (t for t in TIERS if lanes.get(t)):
        rows, deployments = lanes[tier], profile.deployments(tier)
        queue = queue_of(space.skill, plan, [row["text"] for row in rows])
        decision = choose_lane(asked, queue, deployments, prices, now, deadline)
        if plan.lane != "auto" or any(d.has_batch for d in deployments):
            for row in rows:
                row["route_reason"] += f"; {decision.lane}: {decision.reason}"
        if decision.lane == "batch":
            shards += [BatchShard(f"{tier}-{n:04d}", cut) for n, cut in enumerate(_cut(space.skill, plan, rows))]
            lanes[tier].clear()
    return shards


def _adopted(space: Workspace, plan: RunPlan, lanes: Mapping[str, list[Row]]) -> Iterator[BatchShard]:
    """Yield what is left to answer of each open batch. One run of a skill at a time: the run that made the batch is over."""
    for batch in open_batches(space.state, plan.skill, space.lake.url):
        waiting = waiting_items(space.state, batch.batch, plan.fingerprint)
        reason = f"; batch: in that of run {batch.run_id} since {batch.created_at:%Y-%m-%d %H:%M} UTC"
        found = []
        for rows in lanes.values():
            found += [row | {"tier": batch.tier, "route_reason": row["route_reason"] + reason} for row in rows if row["item_id"] in waiting]
            rows[:] = [row for row in rows if row["item_id"] not in waiting]
        if found:
            yield BatchShard(batch.batch, found, batch)


def shard_uri(lake: Lake, shard_key: str) -> str:
    """Return the name of a shard that no other lake has."""
    return f"{lake.url}/{shard_key}"


def queue_of(skill: Skill, plan: RunPlan, texts: Sequence[str]) -> Queue:
    """Return items as a queue, their size taken from the first of them."""
    n_prompt = estimate_messages(skill.messages(Source(), plan.parameters))
    sample = texts[:SAMPLE]
    n_input = n_prompt + sum(map(estimate_tokens, sample)) // len(sample)
    return Queue(len(texts), n_input, skill.limits.output_tokens, skill.limits.timeout_s)


def _cut(skill: Skill, plan: RunPlan, rows: list[Row]) -> Iterator[list[Row]]:
    """Yield rows in order, as many together as a batch may hold."""
    n_fixed = sum(len(text_of(m).encode()) for m in skill.messages(Source(), plan.parameters)) + len(str(skill.request_schema)) + 1_000
    held: list[Row] = []
    size_bytes = 0
    for row in rows:
        n_bytes = n_fixed + len(row["text"].encode())
        if held and (len(held) == MOST_ITEMS or size_bytes + n_bytes > MOST_BYTES):
            yield held
            held, size_bytes = [], 0
        held.append(row)
        size_bytes += n_bytes
    if held:
        yield held
