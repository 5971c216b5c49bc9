"""What the ledger's work would cost otherwise: on the highest tier alone, on the lowest, by the champion. Modelled, item by item.

Every item keeps the tokens that its last answer used, at today's prices of each tier's first deployment. By the champion's proven policy an
item starts where the router would start it now and escalates as often as the policy has measured; the items of a skill without such a
policy cost what they cost today. Intervals resample items (percentile bootstrap, 95 %).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from skillyard.costs.ledger.operations import Operation
from skillyard.costs.prices.book import METERS, PLACES, PriceBook, usage_of
from skillyard.lake.lake import Lake
from skillyard.lake.read import scan
from skillyard.lake.tables import LLM_CALLS
from skillyard.profiles import Deployment, Profile
from skillyard.routing.policy import SkillPolicy
from skillyard.running.decider import Decider
from skillyard.running.items import Item, items_of
from skillyard.running.voters import voters_of
from skillyard.skills import Skill

MOST_ITEMS = 5_000
"""More are sampled, by the hash that their operation's id is."""
N_RESAMPLES = 1000


@dataclass(frozen=True, slots=True)
class Span:
    """USD with a 95 % interval."""

    usd: Decimal
    low_usd: Decimal
    high_usd: Decimal


@dataclass(frozen=True, slots=True)
class Repriced:
    """One item: what it cost, and what it would cost."""

    skill: str
    today_usd: Decimal
    tier_usd: Mapping[str, Decimal]
    """One call on each tier of its skill, the cheapest first."""
    routed_usd: Decimal
    """By the champion's policy; ``today_usd`` where it has proven none."""
    is_routed: bool
    """It has one."""
    batch_saves_usd: Decimal
    """What its last call, asked live by a DAG, would have cost less in its provider's batch lane."""


def sample(operations: Sequence[Operation]) -> list[Operation]:
    """Return at most MOST_ITEMS of the operations."""
    return sorted(operations, key=lambda operation: operation.operation_id)[:MOST_ITEMS]


def reprice(
    lake: Lake, operations: Sequence[Operation], skills: Mapping[str, Skill], profile: Profile, prices: PriceBook, first: date
) -> list[Repriced]:
    """Return what operations that were paid for would cost; ``skills`` has all of theirs. ``first``: no call of them is older."""
    now = datetime.now(UTC)
    calls = _last_calls(lake, operations, first)
    deciders = _deciders(lake, calls, operations, skills, profile, prices, now)
    items = _items(lake, [operation for operation in operations if operation.skill in deciders], skills)
    found = []
    for operation in operations:
        call, skill = calls.get(operation.operation_id), skills[operation.skill]
        if call is None:
            continue
        costs = {tier: _cost(call, profile.deployments(tier)[0], call["lane"], prices, now) for tier in skill.lanes}
        item, routed = items.get((operation.skill, operation.item_id)), operation.cost_usd
        if item is not None:
            votes = voters_of(skill, profile)
            asked = {t: usd + sum(_cost(call, voter, "live", prices, now) for voter in votes.get(t, ())) for t, usd in costs.items()}
            routed = _routed(deciders[skill.name], item, asked)
        saves = _batch_saves(call, profile, prices, now)
        found.append(Repriced(skill.name, operation.cost_usd, costs, routed, item is not None, saves))
    return found


def total(amounts: Sequence[Decimal], factor: Decimal) -> Span:
    """Return the sum of amounts per item times a factor, with the interval that other items of the same kind would give."""
    if not amounts:
        return Span(Decimal(0), Decimal(0), Decimal(0))
    values, rng = np.array(amounts, float), np.random.default_rng(0)
    sums = [values[rng.integers(len(values), size=len(values))].sum() for _ in range(N_RESAMPLES)]
    low, high = (Decimal(str(bound)) for bound in np.quantile(sums, [0.025, 0.975]))
    return Span(*((value * factor).quantize(PLACES) for value in (sum(amounts, Decimal(0)), low, high)))


def _last_calls(lake: Lake, operations: Sequence[Operation], first: date) -> dict[str, dict[str, Any]]:
    """Return the last settled answer of each operation."""
    wanted = pa.array([operation.operation_id for operation in operations], pa.string())
    where = (pc.field("usage_date") >= first) & (pc.field("status") == "settled") & (pc.field("purpose") == "answer")
    columns = ["operation_id", "tier", "lane", "dag_id", "sent_at", *METERS]
    found: dict[str, dict[str, Any]] = {}
    for batch in scan(lake, LLM_CALLS, columns, where):
        for call in batch.filter(pc.is_in(batch.column("operation_id"), wanted)).to_pylist():
            other = found.setdefault(call["operation_id"], call)
            if call["sent_at"] > other["sent_at"]:
                found[call["operation_id"]] = call
    return found


def _deciders(
    lake: Lake,
    calls: Mapping[str, Mapping[str, Any]],
    operations: Sequence[Operation],
    skills: Mapping[str, Skill],
    profile: Profile,
    prices: PriceBook,
    now: datetime,
) -> dict[str, Decider]:
    """Return what decides for each skill that the champion has a proven policy for."""
    found = {}
    for skill in sorted({operation.skill for operation in operations}):
        own = [calls[o.operation_id]["output_tokens"] for o in operations if o.skill == skill and o.operation_id in calls]
        lengths = dict.fromkeys(skills[skill].lanes, float(np.mean(own))) if own else {}
        decider = Decider.open(lake, skills[skill], {}, lengths, None, profile, prices, now)
        policy = _policy(decider)
        if policy is not None and policy.is_proven:
            found[skill] = decider
    return found


def _policy(decider: Decider) -> SkillPolicy | None:
    return decider.champion.router.policies.get(decider.skill) if decider.champion.router else None


def _items(lake: Lake, operations: Sequence[Operation], skills: Mapping[str, Skill]) -> dict[tuple[str, str], Item]:
    """Return the items of the operations, as far as their texts are on the lake."""
    wanted = {(operation.skill, operation.item_id) for operation in operations}
    own = [skills[name] for name in sorted({operation.skill for operation in operations})]
    found = items_of(lake, {operation.doc_id for operation in operations}, own) if wanted else ()
    return {(name, item.item_id): item for name, item in found if (name, item.item_id) in wanted}


def _routed(decider: Decider, item: Item, costs: Mapping[str, Decimal]) -> Decimal:
    """Return the expected cost of an item that starts where the router says, from what asking each tier costs."""
    policy, start = _policy(decider), decider.decide(item.text, item.language).tier
    expected = Decimal(0)
    for tier in reversed(list(costs)):
        rate = policy.pass_rates.get(tier, 1.0) if policy else 1.0
        expected = costs[tier] + Decimal(str(1 - rate)) * expected
        if tier == start:
            break
    return expected


def _cost(call: Mapping[str, Any], deployment: Deployment, lane: str, prices: PriceBook, now: datetime) -> Decimal:
    """Return what a call would cost on a deployment, live where that has no batch lane."""
    service_tier = deployment.service_tier_in(lane if deployment.has_batch else "live")
    return prices.cost(deployment.model, usage_of(call), now, service_tier, deployment.region).usd


def _batch_saves(call: Mapping[str, Any], profile: Profile, prices: PriceBook, now: datetime) -> Decimal:
    if call["lane"] == "batch" or call["dag_id"] == "cli":
        return Decimal(0)
    live, batch = (_cost(call, profile.deployments(call["tier"])[0], lane, prices, now) for lane in ("live", "batch"))
    return live - batch
