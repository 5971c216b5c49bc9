"""What a skill's newest evals say of its tiers now: those of its fingerprint, by the models that the profile has."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from skillyard.errors import ConfigError
from skillyard.lake.lake import Lake
from skillyard.lake.read import read
from skillyard.lake.tables import EVALS
from skillyard.profiles import Profile, load_profile
from skillyard.routing.adequacy import LIBRARY, PassRate, verdict
from skillyard.settings import Settings
from skillyard.skills import Skill
from skillyard.tiers import TIERS

WINDOW = timedelta(days=180)
"""Older evals are not looked at."""
COLUMNS = ("eval_id", "tier", "model", "is_right", "evaluated_at")


@dataclass(frozen=True, slots=True)
class EvalRate:
    """A tier's pass rate in the newest eval that asked it."""

    rate: PassRate
    evaluated_at: datetime


def eval_rates(lake: Lake, skill: Skill, profile: Profile, now: datetime | None = None) -> dict[str, EvalRate]:
    """Return by tier what the newest eval says of it; a tier without one since the skill was edited or its models changed is not there."""
    since = pa.scalar(((now or datetime.now(UTC)) - WINDOW).date(), pa.date32())
    own = (pc.field("skill") == skill.name) & (pc.field("fingerprint") == skill.fingerprint())
    rows = read(lake, EVALS, COLUMNS, own & (pc.field(EVALS.partition) >= since)).to_pylist()
    if skill.kind == "library":
        return {LIBRARY: _rate(newest)} if (newest := _newest(rows, LIBRARY)) else {}
    found = {tier: _newest(rows, tier) for tier in TIERS if tier in skill.lanes}
    models = {tier: {d.model for d in profile.deployments(tier)} for tier in found}
    return {tier: _rate(own) for tier, own in found.items() if {r["model"] for r in own if r["tier"] == tier and r["model"]} & models[tier]}


def tell_evals(settings: Settings, skill: Skill) -> str:
    """Return what a skill's newest evals prove, in words."""
    try:
        found = eval_rates(Lake(settings.lake), skill, load_profile(settings.profile, settings.include))
    except ConfigError as error:
        return f"not known: {error}"
    return tell_rates({tier: one.rate for tier, one in found.items()}, skill.min_pass_rate)


def tell_rates(rates: Mapping[str, PassRate], least: float) -> str:
    """Return what pass rates prove, in words, or that there are none."""
    return verdict(rates, least) if rates else "no eval of this fingerprint by these models yet: skillyard skills eval makes one"


def _newest(rows: list[Mapping[str, Any]], tier: str) -> list[Mapping[str, Any]]:
    """Return the rows of the newest eval that asked a tier, with those that the skill's own code settled there."""
    newest = max((row for row in rows if row["tier"] == tier), key=lambda row: row["evaluated_at"], default=None)
    return [row for row in rows if newest and row["eval_id"] == newest["eval_id"] and row["tier"] in (tier, LIBRARY)]


def _rate(rows: list[Mapping[str, Any]]) -> EvalRate:
    return EvalRate(PassRate(sum(row["is_right"] for row in rows), len(rows)), max(row["evaluated_at"] for row in rows))
