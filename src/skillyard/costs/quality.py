"""The quality that routing keeps, day by day: what was served beside the highest tier's answers, as the audits that still hold show it.

Retained quality is the weighted mean agreement of the served answers, by that of the highest tier (its own answers agree with themselves).
Audits hold as far back as the quality of what was served has not changed, whether a model or the router was the cause. The interval misses
the truth in at most one case of twenty, however few audits there are, see ``routing.bounds``.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from skillyard.lake.lake import Lake
from skillyard.lake.publish import replace_partition
from skillyard.lake.read import read
from skillyard.lake.tables import AUDITS, LLM_CALLS, QUALITY_DAILY
from skillyard.lake.validate import validate
from skillyard.routing.bounds import ALPHA, lower_bound
from skillyard.routing.evidence import Evidence, Observation, hash_share, still_valid
from skillyard.routing.policy import DEFAULT_TARGET
from skillyard.running.routers import champion
from skillyard.settings import Settings
from skillyard.skills import Catalogue, SkillError
from skillyard.tiers import TIERS

WINDOW = timedelta(days=180)
"""Older audits are not looked at."""
ONE_SIDE = ALPHA / 2
"""Level of each end of the interval."""
SERVED = TIERS[0]
"""The outcome of what was served stands under one name, whichever tier it came from: a change of the mix is a change of its quality."""
_COLUMNS = ["skill", "fingerprint", "item_id", "doc_id", "weight", "has_passed", "agreement", "audited_at"]

Row = dict[str, Any]


def quality_daily(settings: Settings, day: date) -> list[Row]:
    """Make ``quality_daily`` of a day what the audits up to its end show, and return its rows: one per skill that was audited."""
    lake = Lake(settings.lake)
    wanted = (pc.field("audited_on") > day - WINDOW) & (pc.field("audited_on") <= day) & pc.field("is_served")
    by_skill: dict[str, list[Row]] = defaultdict(list)
    for row in read(lake, AUDITS, _COLUMNS, wanted).to_pylist():
        by_skill[row["skill"]].append(row)
    targets, costs, version = _targets(settings, by_skill), _audit_costs(lake, day), _router_on(lake, day)
    rows = [
        {"usage_date": day, "skill": skill, "router_version": version}
        | retained_of(held_rows(by_skill[skill]), day)
        | {"target": targets.get(skill, DEFAULT_TARGET), "audit_cost_usd": costs.get(skill, Decimal(0))}
        for skill in sorted(by_skill)
    ]
    table = pa.Table.from_pylist(rows, schema=QUALITY_DAILY.schema)
    validate(lake, QUALITY_DAILY, table)
    replace_partition(lake, QUALITY_DAILY, day, table)
    return rows


def held_rows(rows: Sequence[Row]) -> list[Evidence]:
    """Return one skill's audits, given the rows of what was served: those that still hold as of the newest."""
    newest = max(rows, key=lambda row: row["audited_at"])
    return still_valid([_evidence(row) for row in rows], newest["fingerprint"])


def retained_of(held: Sequence[Evidence], day: date) -> Row:
    """Return estimate and interval of the retained quality, and how many items they rest on. Documents are independent, their pages not."""
    groups: dict[str, list[Evidence]] = defaultdict(list)
    for row in held:
        groups[row.group].append(row)
    ordered = [groups[group] for group in sorted(groups, key=lambda group: (hash_share("order", group), group))]
    served = np.array([sum(row.weight * row.outcomes[SERVED].quality for row in own) for own in ordered])
    whole = np.array([sum(row.weight for row in own) for own in ordered])
    retained, most = float(served.sum() / whole.sum()), float(whole.max())
    return {
        "n_audited": len(held),
        "n_audited_today": sum(row.observed_at.date() == day for row in held),
        "retained": retained,
        "retained_lower": min(lower_bound(served, whole, most, ONE_SIDE), retained),
        "retained_upper": max(1 - lower_bound(whole - served, whole, most, ONE_SIDE), retained),
    }


def _evidence(row: Row) -> Evidence:
    return Evidence(
        skill=row["skill"],
        fingerprint=row["fingerprint"],
        item_id=row["item_id"],
        group=row["doc_id"],
        text=row["item_id"],  # nothing is learned from it here
        language=None,
        outcomes={SERVED: Observation(row["has_passed"], row["agreement"], 0.0)},
        weight=row["weight"],
        served_tier=SERVED,
        observed_at=row["audited_at"],
        source="audit",
    )


def _targets(settings: Settings, skills: Mapping[str, object]) -> dict[str, float]:
    """Return what the skills ask for that can be loaded."""
    catalogue, found = Catalogue(settings.include), {}
    for name in catalogue.names():
        if name in skills:
            try:
                found[name] = catalogue.load(name).retained_target
            except SkillError:
                continue
    return found


def _audit_costs(lake: Lake, day: date) -> dict[str, Decimal]:
    """Return by skill what its audits of a day cost, judges included."""
    where = (pc.field("usage_date") == day) & (pc.field("status") == "settled") & pc.field("purpose").isin(["audit", "judge"])
    found: dict[str, Decimal] = defaultdict(Decimal)
    for row in read(lake, LLM_CALLS, ["skill", "cost_usd"], where).to_pylist():
        found[row["skill"]] += row["cost_usd"]
    return found


def _router_on(lake: Lake, day: date) -> str:
    """Return the router in use at the end of a day, as far back as the pointer remembers."""
    current = champion(lake)
    if current.pointer and datetime.fromisoformat(current.pointer.promoted_at).date() > day:
        return current.pointer.previous
    return current.version
