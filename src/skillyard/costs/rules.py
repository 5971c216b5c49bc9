"""What counts as a red flag: one function per flag, from numbers to what is wrong and what to do about it.

Thresholds come from published guides to model routing (expert share under 30 %, high complexity never from a cache, a cascade only where
the cheap tier passes more often than the ratio of the costs) or from the skill itself. Below the least counts nothing is a flag: an
interval of 50 items is about ±14 points wide, of 30 paired answers about ±18.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np

from skillyard.costs.classifier import Balance
from skillyard.costs.ledger.operations import Operation
from skillyard.routing.bounds import ALPHA
from skillyard.routing.decide import HARD
from skillyard.tiers import TIERS

ALL_SKILLS = "*"
LEAST_ITEMS = 50
LEAST_TIMED = 30
LEAST_AUDITED = 30
LEAST_CACHED = 10
LEAST_ESCALATED = 10
MOST_EXPERT = 0.30
"""Share of the items that may end on the highest tier. Source: the targets published for tiered routing."""
ALL = 0.99
"""Share of a skill's items from which "everything" is said."""
ONE_SIDED = 1.645
"""Standard errors of a one-sided bound at 95 %."""

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Flag:
    """One thing that is wrong: a fixed word, the skill or ALL_SKILLS, a sentence with numbers and advice, and the numbers."""

    flag: str
    skill: str
    message: str
    value: float
    bound: float
    numbers: Mapping[str, Any]


def by_skill(operations: Iterable[Operation]) -> dict[str, list[Operation]]:
    """Return the operations that were answered, by skill, in the order of their names."""
    found: dict[str, list[Operation]] = defaultdict(list)
    for operation in operations:
        if operation.last_tier is not None:
            found[operation.skill].append(operation)
    return dict(sorted(found.items()))


def find_all_on_top(skills: Mapping[str, Sequence[Operation]], tops: Mapping[str, str]) -> list[Flag]:
    """Flag skills whose items all start on their highest tier. ``tops`` names it for the skills that have more than one."""
    flags = []
    for skill, own in skills.items():
        top, n_items = tops.get(skill), len(own)
        n_top = sum(operation.first_tier == top for operation in own)
        if n_items >= LEAST_ITEMS and n_top >= ALL * n_items:
            message = (
                f"{n_top} of {n_items} items of {skill} started on {top}, its dearest tier: routing saves nothing. Audit it until a "
                f"cheaper tier is proven good enough: skillyard quality audit {skill}"
            )
            flags.append(Flag("all_on_top", skill, message, n_top / n_items, ALL, {"n_items": n_items, "n_on_top": n_top, "tier": top}))
    return flags


def find_expert_share(skills: Mapping[str, Sequence[Operation]]) -> list[Flag]:
    """Flag a share of items on the expert tier above MOST_EXPERT, over all skills."""
    counts = {skill: Counter(operation.last_tier for operation in own) for skill, own in skills.items()}
    n_items, n_expert = sum(c.total() for c in counts.values()), sum(c[TIERS[-1]] for c in counts.values())
    if n_items < LEAST_ITEMS or n_expert <= MOST_EXPERT * n_items:
        return []
    most = sorted(counts, key=lambda skill: -counts[skill][TIERS[-1]])[:3]
    named = ", ".join(f"{skill} {counts[skill][TIERS[-1]]} of {counts[skill].total()}" for skill in most if counts[skill][TIERS[-1]])
    message = (
        f"{n_expert} of {n_items} items ({n_expert / n_items:.0%}) ended on {TIERS[-1]}; the goal is below {MOST_EXPERT:.0%}. Most: "
        f"{named}. Audit these skills, or mend the check that their cheaper tiers fail (skillyard lake show rejects)"
    )
    numbers = {"n_items": n_items, "n_expert": n_expert, "skills": {skill: dict(count) for skill, count in counts.items()}}
    return [Flag("expert_share", ALL_SKILLS, message, n_expert / n_items, MOST_EXPERT, numbers)]


def find_classifier_cost(balances: Mapping[str, Balance]) -> list[Flag]:
    """Flag skills whose classifier costs more than it saves."""
    flags = []
    for skill, balance in balances.items():
        if balance.is_loss:
            message = (
                f"the classifier of {skill} cost ${balance.cost_usd:.6f} on {balance.n} items and saved ${balance.saved_usd:.6f}: "
                "it switches itself off unless its skill.yaml says always; take routing out of there (cosmetic: true)"
            )
            numbers = {"n_items": balance.n, "cost_usd": balance.cost_usd, "saved_usd": balance.saved_usd}
            flags.append(Flag("classifier_cost", skill, message, float(balance.cost_usd), float(balance.saved_usd), numbers))
    return flags


def find_cached_high_complexity(skills: Mapping[str, Sequence[Operation]], scores: Mapping[tuple[str, str], float]) -> list[Flag]:
    """Flag skills whose hard items are answered from the cache. ``scores``: route_score by skill and item."""
    flags = []
    for skill, own in skills.items():
        cached = [operation for operation in own if operation.is_cached]
        n_hard = sum(scores.get((skill, operation.item_id), 0.0) >= HARD for operation in cached)
        if n_hard >= LEAST_CACHED:
            message = (
                f"{n_hard} answers of {skill} to hard items (route_score {HARD} or more) came from the cache, of {len(cached)} cached "
                "ones. An answer that took judgement is best asked for anew: lower cache_ttl_s in its skill.yaml"
            )
            numbers = {"n_cached": len(cached), "n_hard": n_hard, "hard_from": HARD}
            flags.append(Flag("cached_high_complexity", skill, message, float(n_hard), float(LEAST_CACHED), numbers))
    return flags


def find_latency(
    skills: Mapping[str, Sequence[Operation]], tops: Mapping[str, str], top_latencies_s: Mapping[str, Sequence[float]]
) -> list[Flag]:
    """Flag skills whose median or 95th percentile is not below that of their highest tier's own calls (``top_latencies_s``)."""
    flags = []
    for skill, own in skills.items():
        mix = [operation.latency_s for operation in own if operation.latency_s is not None]
        top = top_latencies_s.get(skill, ())
        is_routed = any(operation.first_tier != tops.get(skill) for operation in own)
        if len(mix) < LEAST_TIMED or len(top) < LEAST_TIMED or not is_routed:
            continue
        (p50, p95), (top_p50, top_p95) = np.quantile(mix, [0.5, 0.95]).tolist(), np.quantile(top, [0.5, 0.95]).tolist()
        if p50 < top_p50 and p95 < top_p95:
            continue
        value, bound, name = (p50, top_p50, "median") if p50 >= top_p50 else (p95, top_p95, "95th percentile")
        message = (
            f"the {name} of {skill} is {value:.2f} s over {len(mix)} items as they are routed, {bound:.2f} s over {len(top)} calls of its "
            "highest tier alone: routing makes it no faster. Look at the cheap tier's endpoints (skillyard cost endpoints) and at how many "
            "items escalate"
        )
        numbers = {"n_items": len(mix), "n_top": len(top), "p50_s": p50, "p95_s": p95, "top_p50_s": top_p50, "top_p95_s": top_p95}
        flags.append(Flag("latency", skill, message, value, bound, numbers))
    return flags


def find_cheap_tier_fails(skills: Mapping[str, Sequence[Operation]]) -> list[Flag]:
    """Flag skills with a tier on which starting costs more than starting on what it escalates to.

    With c the mean cost there, e the share that escalates and C the mean cost of what follows: c + e·C > C, so e > 1 - c / C.
    """
    flags = []
    for skill, own in skills.items():
        found = [flag for tier in TIERS[:-1] if (flag := _failing_tier(skill, tier, own))]
        flags += sorted(found, key=lambda flag: flag.bound - flag.value)[:1]
    return flags


def _failing_tier(skill: str, tier: str, operations: Sequence[Operation]) -> Flag | None:
    asked = [operation.costs_usd for operation in operations if tier in operation.costs_usd and not operation.is_cached]
    after = [sum((c for t, c in costs.items() if TIERS.index(t) > TIERS.index(tier)), Decimal(0)) for costs in asked]
    escalated = [cost for costs, cost in zip(asked, after, strict=True) if list(costs)[-1] != tier]
    if len(asked) < LEAST_ITEMS or len(escalated) < LEAST_ESCALATED or not sum(escalated):
        return None
    cost, next_cost = _mean([costs[tier] for costs in asked]), _mean(escalated)
    rate, most = len(escalated) / len(asked), float(1 - cost / next_cost)
    if rate <= most:
        return None
    message = (
        f"{len(escalated)} of {len(asked)} items of {skill} on {tier} ({rate:.0%}) failed there and went up; it pays up to "
        f"{max(most, 0):.0%} (${cost:.6f} a call beside ${next_cost:.6f} for what follows). Mend the check or the instructions that "
        f"{tier} fails, or raise tier.default in its skill.yaml"
    )
    numbers = {"tier": tier, "n_items": len(asked), "n_escalated": len(escalated), "cost_usd": cost, "next_cost_usd": next_cost}
    return Flag("cheap_tier_fails", skill, message, rate, most, numbers)


def _mean(amounts: Sequence[Decimal]) -> Decimal:
    return sum(amounts, Decimal(0)) / len(amounts)


def find_dominated(audits: Sequence[Row]) -> list[Flag]:
    """Flag skills with a tier below the highest that costs more than another and is not better. ``audits``: rows of ``audits``."""
    skills: dict[str, dict[str, dict[tuple[str, str], Row]]] = defaultdict(lambda: defaultdict(dict))
    for row in audits:
        skills[row["skill"]][row["tier"]][(row["audit_id"], row["item_id"])] = row
    flags = []
    for skill, tiers in sorted(skills.items()):
        held = [tier for tier in TIERS if tier in tiers]
        pairs = [(tier, other) for tier in held[:-1] for other in held if other != tier]
        found = [flag for tier, other in pairs if (flag := _dominated(skill, tier, other, tiers[tier], tiers[other]))]
        flags += sorted(found, key=lambda flag: flag.bound - flag.value)[-1:]
    return flags


def _dominated(skill: str, tier: str, other: str, own: Mapping[tuple[str, str], Row], others: Mapping[tuple[str, str], Row]) -> Flag | None:
    both = sorted(own.keys() & others.keys())
    if len(both) < LEAST_AUDITED:
        return None
    cost, other_cost = (_mean([rows[key]["cost_usd"] for key in both]) for rows in (own, others))
    weights = np.array([own[key]["weight"] for key in both])
    gains = np.array([own[key]["agreement"] - others[key]["agreement"] for key in both])
    mean = float(np.average(gains, weights=weights))
    spread = float(np.sqrt(np.sum((weights * (gains - mean)) ** 2)) / weights.sum())
    if cost <= other_cost or mean + ONE_SIDED * spread > 0:
        return None
    quality, other_quality = (float(np.average([rows[key]["agreement"] for key in both], weights=weights)) for rows in (own, others))
    message = (
        f"{tier} costs ${cost:.6f} a call of {skill} and agrees {quality:.2f} with the expert; {other} costs ${other_cost:.6f} "
        f"and agrees {other_quality:.2f}, on the same {len(both)} audited items. A trained router never starts there; "
        f"put another model on {tier} in the profile"
    )
    numbers = {"tier": tier, "other": other, "n_items": len(both), "cost_usd": cost, "other_cost_usd": other_cost}
    return Flag("dominated_tier", skill, message, quality, other_quality, numbers | {"difference": mean, "standard_error": spread})


def _least_to_prove(target: float) -> float:
    """Return twice the audits after which a perfect record proves a target at 95 %: 117 for 95 %. With fewer nothing is wrong yet."""
    return 2 * math.log(ALPHA) / math.log(target) if target < 1 else math.inf


def find_retention(rows: Iterable[Row]) -> list[Flag]:
    """Flag skills whose retained quality is not proven to be at its target. ``rows``: one of ``quality_daily`` per skill, its newest."""
    flags = []
    for row in rows:
        is_missed = row["retained_upper"] < row["target"]
        least = LEAST_AUDITED if is_missed else _least_to_prove(row["target"])
        if row["n_audited"] < least or row["retained_lower"] >= row["target"]:
            continue
        said = "misses its target" if is_missed else "is not proven to keep its target"
        advice = (
            "train on the audits that show it: skillyard router train"
            if is_missed
            else f"audit more: skillyard quality audit {row['skill']}"
        )
        message = (
            f"{row['skill']} {said}: it keeps {row['retained']:.1%} [{row['retained_lower']:.1%}, {row['retained_upper']:.1%}] of "
            f"its highest tier's quality on {row['n_audited']} audited items, the target is {row['target']:.0%}. To do: {advice}"
        )
        numbers = {name: row[name] for name in ("retained", "retained_lower", "retained_upper", "n_audited", "target", "router_version")}
        flags.append(Flag("retention", row["skill"], message, row["retained_lower"], row["target"], numbers))
    return flags
