"""What could be changed, with what each change would save a month: one function per kind of change."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from math import ceil
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from skillyard.costs.classifier import Balance
from skillyard.costs.plan.projection import Repriced
from skillyard.costs.rules import Flag
from skillyard.lake.lake import Lake
from skillyard.lake.read import scan
from skillyard.lake.tables import LLM_CALLS
from skillyard.routing.bounds import is_positive
from skillyard.routing.decide import HARD
from skillyard.routing.evidence import CALIBRATE, FIT, Evidence
from skillyard.routing.outcomes import replayable, tabulate, tiers_of

MOST_REPEATS = 64
"""Evidence that would have to be so many times as large proves nothing in sight."""


@dataclass(frozen=True, slots=True)
class Change:
    """One change, worth doing when ``saves_usd`` is."""

    skill: str
    kind: str
    """batch, cache, tier, cascade or classifier."""
    saves_usd: Decimal
    """A month."""
    basis: str
    """measured or modelled."""
    what: str
    """What to change and why, with its numbers."""
    how: str
    """The command or the line of a file."""


def batch_changes(repriced: Sequence[Repriced], factor: Decimal) -> list[Change]:
    """Return the skills whose scheduled runs could wait for a provider's batch lane."""
    saved: dict[str, Decimal] = defaultdict(Decimal)
    for item in repriced:
        saved[item.skill] += item.batch_saves_usd * factor
    cost = {skill: sum((i.today_usd * factor for i in repriced if i.skill == skill), Decimal(0)) for skill in saved}
    return [
        Change(
            skill,
            "batch",
            usd,
            "modelled",
            f"runs of {skill} that a DAG starts may wait a day: the batch lane takes {usd / cost[skill]:.0%} off the cost of the skill",
            f"skillyard run {skill} --lane batch, or Lane in the form of skill.{skill}",
        )
        for skill, usd in saved.items()
        if usd > 0 and cost[skill]
    ]


def cache_changes(lake: Lake, first: date, last: date, scores: Mapping[tuple[str, str], float], factor: Decimal) -> list[Change]:
    """Return the skills that paid for the same request of the same item again, hard items left out."""
    where = (pc.field("usage_date") >= first) & (pc.field("usage_date") <= last)
    where &= (pc.field("status") == "settled") & (pc.field("purpose") == "answer")
    where &= pc.field("finish_reason").is_null() | (pc.field("finish_reason") != "length")  # one that was cut off is asked again longer
    key = ["skill", "team", "item_id", "request_hash"]
    batches = [pa.Table.from_batches([batch]) for batch in scan(lake, LLM_CALLS, [*key, "cost_usd"], where)]
    if not batches:
        return []
    asked = (
        pa.concat_tables(batches).group_by(key, use_threads=False).aggregate([("cost_usd", "sum"), ("cost_usd", "max"), ([], "count_all")])
    )
    again: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in asked.filter(pc.greater(asked.column("count_all"), 1)).to_pylist():
        if scores.get((row["skill"], row["item_id"]), 0.0) < HARD:
            again[row["skill"]].append(row)
    return [
        Change(
            skill,
            "cache",
            factor * sum((row["cost_usd_sum"] - row["cost_usd_max"] for row in rows), Decimal(0)),
            "measured",
            f"{sum(row['count_all'] - 1 for row in rows)} answers of {skill} were bought again although the request was the same",
            f"cache_ttl_s: fingerprint in include/skills/{skill}/skill.yaml",
        )
        for skill, rows in again.items()
    ]


def cascade_changes(flags: Iterable[Flag], n_days: int) -> list[Change]:
    """Return the skills whose cheap tier fails more often than it pays. ``flags``: red flags over ``n_days`` of calls."""
    changes = []
    for flag in flags:
        if flag.flag == "cheap_tier_fails":
            numbers = flag.numbers
            n_items, n_kept = numbers["n_items"], numbers["n_items"] - numbers["n_escalated"]
            lost: Decimal = numbers["cost_usd"] * n_items - numbers["next_cost_usd"] * n_kept
            failing = f"{numbers['n_escalated']} of {n_items} items of {flag.skill} fail on {numbers['tier']}"
            what = f"{failing}: starting one tier higher is cheaper"
            how = f"tier.default in include/skills/{flag.skill}/skill.yaml, or mend what {numbers['tier']} fails"
            changes.append(Change(flag.skill, "cascade", lost * 30 / n_days, "measured", what, how))
    return changes


def classifier_changes(balances: Mapping[str, Balance]) -> list[Change]:
    """Return the skills whose classifier costs more than it saves, by balances of 30 days."""
    return [
        Change(
            skill,
            "classifier",
            balance.cost_usd - balance.saved_usd,
            "modelled",
            f"the classifier of {skill} cost ${balance.cost_usd:.6f} on {balance.n} items and saved ${balance.saved_usd:.6f}",
            f"take routing out of include/skills/{skill}/skill.yaml (cosmetic: true)",
        )
        for skill, balance in balances.items()
        if balance.is_loss
    ]


def tier_changes(
    rows: Sequence[Evidence], highest: Mapping[str, str], targets: Mapping[str, float], repriced: Sequence[Repriced], factor: Decimal
) -> list[Change]:
    """Return the skills that a cheaper first tier would do for, as far as their evidence shows, though it does not prove it yet.

    ``highest`` names the highest tier of the skills to look at.
    """
    changes = []
    for skill in sorted({row.skill for row in rows} & highest.keys()):
        own, items = [row for row in rows if row.skill == skill], [item for item in repriced if item.skill == skill]
        tiers = tiers_of(own, highest[skill])
        lower = _lower_start(own, tiers, targets[skill]) if tiers[-1:] == (highest[skill],) else None
        if lower is not None:
            on_top = sum((item.tier_usd[highest[skill]] for item in items), Decimal(0))
            saves = sum((item.today_usd for item in items), Decimal(0)) - on_top * Decimal(str(lower.cost_share))
            kept = f"keeps {lower.kept:.1%} of the quality of {skill} on {lower.n} items of evidence (target {targets[skill]:.0%})"
            how = f"{lower.missing}: skillyard quality audit {skill}, then skillyard router train"
            changes.append(Change(skill, "tier", factor * saves, "modelled", f"{lower.tier} first {kept}", how))
    return changes


@dataclass(frozen=True, slots=True)
class _Lower:
    """The cheapest first tier that keeps the target, as measured."""

    tier: str
    kept: float
    """Share of the highest tier's quality."""
    cost_share: float
    """Of what everything on the highest tier costs, escalations counted in."""
    n: int
    missing: str


def _lower_start(rows: Sequence[Evidence], tiers: Sequence[str], target: float) -> _Lower | None:
    held = replayable(rows, tiers)
    outcomes = tabulate(held, tiers)
    if len(tiers) < 2 or not held or not outcomes.quality[:, -1].any():
        return None
    quality, cost = outcomes.served()
    kept, costs = outcomes.mean(quality) / outcomes.mean(quality[:, -1]), outcomes.mean(cost)
    good = [n for n in range(len(tiers) - 1) if kept[n] >= target and costs[n] < costs[-1]]
    if not good:
        return None
    best = min(good, key=lambda n: float(costs[n]))
    gains = outcomes.by_group(quality[:, best] - target * quality[:, -1])
    missing = _missing(gains, target * float(outcomes.by_group(np.ones(len(held))).max()))
    return _Lower(tiers[best], float(kept[best]), float(costs[best] / costs[-1]), len(held), missing)


def _missing(gains: np.ndarray[Any, np.dtype[np.float64]], most: float) -> str:
    """Return how many more audits would prove it, if they go like these: only a part of the evidence is held out for the proof."""
    for times in range(1, MOST_REPEATS + 1):
        if is_positive(np.tile(gains, times)[:, None], most)[0]:
            n_more = ceil(times * len(gains) / (CALIBRATE - FIT)) - len(gains)
            return f"about {n_more} more audits would prove it"
    return "it is too close to the target to be proven soon"
