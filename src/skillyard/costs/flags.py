"""Red flags of a day: what is wrong with routing as the days up to it show, kept in ``red_flags``."""

import json
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from skillyard.costs.attribution import check_range
from skillyard.costs.classifier import classifier_balance
from skillyard.costs.ledger.operations import Operation, read_operations
from skillyard.costs.partitions import publish_day
from skillyard.costs.rules import (
    Flag,
    by_skill,
    find_all_on_top,
    find_cached_high_complexity,
    find_cheap_tier_fails,
    find_classifier_cost,
    find_dominated,
    find_expert_share,
    find_latency,
    find_retention,
)
from skillyard.errors import UnknownName
from skillyard.lake.lake import Lake
from skillyard.lake.read import read, scan
from skillyard.lake.tables import AUDITS, LLM_CALLS, QUALITY_DAILY, RED_FLAGS
from skillyard.routing.decide import HARD
from skillyard.settings import Settings
from skillyard.skills import Catalogue, SkillError

LEDGER_DAYS = 7
"""A week of calls: every weekday once, and enough of them for small installations."""
AUDIT_DAYS = 30
"""Audits are few a night."""
_AUDITED = ["audit_id", "skill", "fingerprint", "item_id", "tier", "weight", "agreement", "cost_usd", "audited_at"]


def flag_day(settings: Settings, day: date) -> list[Flag]:
    """Find the red flags as of the end of a day, make them its partition of ``red_flags``, and return them."""
    flags = find_flags(settings, day)
    _publish(Lake(settings.lake), day, flags)
    return flags


def find_flags(settings: Settings, day: date) -> list[Flag]:
    """Return the red flags as of the end of a day; nothing is written."""
    lake, first = Lake(settings.lake), day - timedelta(days=LEDGER_DAYS - 1)
    skills = by_skill(read_operations(lake, first, day))
    tops, since = _highest_tiers(settings, skills), day - timedelta(days=AUDIT_DAYS - 1)
    return [
        *find_all_on_top(skills, tops),
        *find_expert_share(skills),
        *find_classifier_cost({skill: classifier_balance(settings, skill, since) for skill in skills}),
        *find_cached_high_complexity(skills, _hard_items(lake, skills)),
        *find_latency(skills, tops, _latencies(lake, tops, first, day)),
        *find_cheap_tier_fails(skills),
        *find_dominated(_newest_audits(lake, day)),
        *find_retention(newest_quality(lake, day)),
    ]


def read_flags(settings: Settings, first: date, last: date) -> list[dict[str, Any]]:
    """Return the flags of the days from first to last, the newest day first, ``numbers`` as a value."""
    check_range(first, last)
    where = (pc.field("usage_date") >= first) & (pc.field("usage_date") <= last)
    rows = read(Lake(settings.lake), RED_FLAGS.name, where=where).to_pylist()
    ordered = sorted(rows, key=lambda row: (-row["usage_date"].toordinal(), row["flag"], row["skill"]))
    return [row | {"numbers": json.loads(row["numbers"])} for row in ordered]


def newest_quality(lake: Lake, day: date) -> list[dict[str, Any]]:
    """Return each skill's newest row of ``quality_daily`` up to a day."""
    where = (pc.field("usage_date") <= day) & (pc.field("usage_date") > day - timedelta(days=AUDIT_DAYS))
    rows = sorted(read(lake, QUALITY_DAILY.name, where=where).to_pylist(), key=lambda row: (row["skill"], row["usage_date"]))
    return list({row["skill"]: row for row in rows}.values())


def _highest_tiers(settings: Settings, skills: Mapping[str, object]) -> dict[str, str]:
    """Return the highest tier of those skills that have several; a skill that is gone or broken by now has none."""
    catalogue, tops = Catalogue(settings.include), {}
    for name in catalogue.names():
        if name in skills:
            try:
                lanes = catalogue.load(name).lanes
            except SkillError:
                continue
            if len(lanes) > 1:
                tops[name] = lanes[-1]
    return tops


def _hard_items(lake: Lake, skills: Mapping[str, Sequence[Operation]]) -> dict[tuple[str, str], float]:
    """Return the route_score of the hard items among those that were answered from the cache."""
    scores: dict[tuple[str, str], float] = {}
    for skill, own in skills.items():
        cached = [operation.item_id for operation in own if operation.is_cached]
        if cached:
            where = (pc.field("route_score") >= HARD) & pc.field("item_id").isin(cached)
            try:
                rows = read(lake, f"results/{skill}", ["item_id", "route_score"], where)
            except UnknownName:
                continue
            scores |= {(skill, row["item_id"]): row["route_score"] for row in rows.to_pylist()}
    return scores


def _latencies(lake: Lake, tops: Mapping[str, str], first: date, last: date) -> dict[str, list[float]]:
    """Return the seconds of every live call that a skill's highest tier answered, whatever it was asked for."""
    where = (pc.field("usage_date") >= first) & (pc.field("usage_date") <= last) & (pc.field("status") == "settled")
    where &= (pc.field("lane") == "live") & pc.field("latency_ms").is_valid()
    found: dict[str, list[float]] = {}
    for batch in scan(lake, LLM_CALLS, ["skill", "tier", "latency_ms"], where):
        for skill, tier, latency_ms in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            if tops.get(skill) == tier:
                found.setdefault(skill, []).append(latency_ms / 1000)
    return found


def _newest_audits(lake: Lake, day: date) -> list[dict[str, Any]]:
    """Return the audits of each skill's fingerprint that was audited last."""
    where = (pc.field("audited_on") <= day) & (pc.field("audited_on") > day - timedelta(days=AUDIT_DAYS))
    rows = sorted(read(lake, AUDITS.name, _AUDITED, where).to_pylist(), key=lambda row: row["audited_at"])
    newest = {row["skill"]: row["fingerprint"] for row in rows}
    return [row for row in rows if row["fingerprint"] == newest[row["skill"]]]


def _publish(lake: Lake, day: date, flags: Sequence[Flag]) -> None:
    rows = [
        {
            "usage_date": day,
            "flag": flag.flag,
            "skill": flag.skill,
            "message": flag.message,
            "value": flag.value,
            "bound": flag.bound,
            "numbers": json.dumps(flag.numbers, default=_plain, sort_keys=True),
        }
        for flag in flags
    ]
    publish_day(lake, RED_FLAGS, day, pa.Table.from_pylist(rows, schema=RED_FLAGS.schema))


def _plain(value: object) -> str:
    if isinstance(value, Decimal):
        return f"{value:f}"
    raise TypeError(f"{type(value).__name__} has no JSON form")
