"""Route a planned run: a tier per item, the items written as shards, one folder of manifests per lane."""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from math import ceil
from typing import Any

import pyarrow as pa

from skillyard.costs.prices.book import load_prices
from skillyard.gateway.batch_rows import adopt
from skillyard.gateway.budgets import Limit, balances_of, soft_reached
from skillyard.gateway.state import reading
from skillyard.lake.lake import Lake
from skillyard.profiles import load_profile
from skillyard.routing.decide import Decision
from skillyard.running.classify import Classifier, Decided, classify_items
from skillyard.running.decider import Decider
from skillyard.running.items import ITEM_FIELDS
from skillyard.running.lanes import shard_uri, take_batches
from skillyard.running.limits import MAX_SHARDS
from skillyard.running.runs import RunPlan, Workspace, run_limits
from skillyard.settings import Settings
from skillyard.tiers import TIERS

LANE_SCHEMA = pa.schema(
    [
        *ITEM_FIELDS,
        pa.field("tier", pa.string(), nullable=False),
        pa.field("route_score", pa.float64(), nullable=False),
        pa.field("route_reason", pa.string(), nullable=False),
        pa.field("router_version", pa.string(), nullable=False),
    ]
)


def route_run(settings: Settings, run_key: str, say: Callable[[str], None] | None = None) -> dict[str, int]:
    """Decide every planned item's tier and lane, write the lanes' shards and return the number of shards per lane.

    ``say`` is told which router decides.
    """
    plan = RunPlan.load(Lake(settings.lake), run_key)
    space = Workspace.of_plan(settings, plan)
    profile = load_profile(settings.profile, settings.include)
    prices, now = load_prices(settings), datetime.now(UTC)
    items = space.lake.read_frame(f"{run_key}/items.parquet")
    lanes: dict[str, list[dict[str, Any]]] = {lane: [] for lane in space.skill.lanes}
    is_library = space.skill.kind == "library"
    soft = None if is_library else _lowering_limit(space, plan)
    decider = None if is_library else Decider.of_plan(space, plan, profile, prices, now)
    if say and decider:
        say(f"{plan.skill}: {decider.champion.text}")
    decided: Iterable[Decided] = _decide(items, decider)
    if decider and space.skill.classifier and not soft:  # with a soft limit reached, nothing is spent on choosing
        decided = classify_items(Classifier(space, plan, profile, prices, now), decider, decided, say)
    for row, routed in decided:
        decision = lower_tier(routed, soft, decider.ruled_out) if soft and decider else routed
        lane = "library" if is_library else decision.tier
        routed_by = {"route_score": decision.score, "route_reason": decision.reason, "router_version": decision.router_version}
        lanes[lane].append(row | {"tier": decision.tier, **routed_by})
    batches = [] if is_library else take_batches(space, plan, lanes, profile, prices, now)
    shards = {lane: _write_shards(space.lake, run_key, lane, rows, plan.shard_items) for lane, rows in lanes.items()}
    if not is_library:
        shards["batch"] = [_write_shard(space.lake, run_key, "batch", shard.name, shard.rows) for shard in batches]
        for shard, key in zip(batches, shards["batch"], strict=True):
            if shard.adopted:
                adopt(space.state, shard.adopted.batch, plan.run_id, shard_uri(space.lake, key))
    space.lake.write_json(f"{run_key}/lanes.json", shards)
    return {lane: len(keys) for lane, keys in shards.items()}


def lane_shards(settings: Settings, run_key: str, lane: str) -> list[str]:
    """Return the shards of one lane, as a plain list to map over."""
    found: list[str] = Lake(settings.lake).read_json(f"{run_key}/lanes.json").get(lane, [])
    return found


def planned_shards(lake: Lake, run_key: str) -> list[str]:
    """Return every shard of a run, in order; none when it was planned but never routed."""
    key = f"{run_key}/lanes.json"
    lanes: dict[str, list[str]] = lake.read_json(key) if lake.has(key) else {}
    return [shard for lane in sorted(lanes) for shard in lanes[lane]]


def _lowering_limit(space: Workspace, plan: RunPlan) -> Limit | None:
    """Return a soft limit that is reached and whose policy is to begin one tier lower."""
    bounds = [limit for limit in run_limits(space.settings, plan).on(datetime.now(UTC).date()) if limit.lowers_tier]
    with reading(space.state) as connection:
        balances = balances_of(connection, [limit.counter for limit in bounds])
    return next(iter(soft_reached(bounds, balances)), None)


def lower_tier(decision: Decision, soft: Limit, ruled_out: Collection[str] = ()) -> Decision:
    """Return the decision one tier lower, and why. What does not fit the lower tier's window escalates from there.

    Not on a tier that the skill's cases rule out: what is paid there is lost.
    """
    if decision.tier not in TIERS[1:]:
        return decision
    lower, reached = TIERS[TIERS.index(decision.tier) - 1], f"the soft limit is reached: {soft.label}"
    if lower in ruled_out:
        return replace(decision, reason=f"{decision.reason}; no tier lower, evals rule {lower} out, although {reached}")
    return replace(decision, tier=lower, reason=f"{decision.reason}; one tier lower, {reached}")


def _decide(items: pa.Table, decider: Decider | None) -> Iterator[Decided]:
    for batch in items.to_batches(max_chunksize=1000):
        for row in batch.to_pylist():
            if decider is None:
                yield row, Decision("none", 0.0, "library skill: no model is asked")
            else:
                yield row, decider.decide(row["text"], row["language"])


def _write_shards(lake: Lake, run_key: str, lane: str, rows: list[dict[str, Any]], shard_items: int) -> list[str]:
    """Write a lane's items in shards, larger ones when there would be more than MAX_SHARDS."""
    size = max(shard_items, ceil(len(rows) / MAX_SHARDS))
    starts = range(0, len(rows), size)
    return [_write_shard(lake, run_key, lane, f"{n:04d}", rows[start : start + size]) for n, start in enumerate(starts)]


def _write_shard(lake: Lake, run_key: str, lane: str, name: str, rows: list[dict[str, Any]]) -> str:
    return lake.write_frame(f"{run_key}/lanes/{lane}/{name}.parquet", pa.Table.from_pylist(rows, schema=LANE_SCHEMA))
