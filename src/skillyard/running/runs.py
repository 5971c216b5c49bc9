"""One run of one skill: what was asked, what was planned, and where its files lie under ``_runs/`` on the lake."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Engine

from skillyard.costs.prices.book import PriceBook
from skillyard.errors import ConfigError, Unpriced
from skillyard.gateway.budgets import Limits
from skillyard.gateway.owner import own_name
from skillyard.gateway.state import open_state
from skillyard.lake.expectations import Suite, skill_suite
from skillyard.lake.lake import Lake
from skillyard.lake.results import results_table
from skillyard.lake.tables import Table
from skillyard.profiles import Deployment, Profile, voter_pool
from skillyard.running.limits import SHARD_ITEMS
from skillyard.running.quote import Quote
from skillyard.running.voters import voters_of
from skillyard.settings import Settings
from skillyard.skills import Catalogue, Label, Skill
from skillyard.skills.labels import of_values
from skillyard.skills.teams import Team, find_team, load_teams
from skillyard.tiers import TIERS


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """What a caller asks of a run."""

    skill: str
    run_id: str
    dag_id: str = "cli"
    limit: int | None = None
    """Only the first items by item_id."""
    is_following: bool = False
    """Started by new documents, not by a person: the bounds of ``enabled.yaml`` hold."""
    force: bool = False
    """Answer items again that have a result or a reject."""
    first_tier: str | None = None
    team: str | None = None
    """Who pays; the skill's owner unless given."""
    deadline: datetime | None = None
    """Items not begun by then stay pending."""
    lane: str = "auto"
    """``live`` or ``batch``: overrides the decision which of the two."""
    source_prefix: str = ""
    """Only documents whose path below the inbox begins so."""
    reprocess: str = "none"
    """none, stale, all, or sample:N of the stale ones."""
    retry_rejects: str | None = None
    """An error_kind whose rejects are tried again, or ``any``."""
    shard_items: int = SHARD_ITEMS
    budget_usd: Decimal | None = None
    """The most this run may cost, beside its team's budgets."""
    is_probe: bool = False
    """Only the first pending items, a few: a paid sample that gives the skill a history."""
    is_dry_run: bool = False
    """Only say what would be done: nothing is written, no lease is taken."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    labels: Mapping[str, Label] | None = None
    """In place of the skill's own, for this run."""


@dataclass(frozen=True, slots=True)
class RunPlan:
    """What a run will do, and what it found already done."""

    run_key: str
    run_id: str
    dag_id: str
    skill: str
    kind: str
    fingerprint: str
    team: str
    first_tier: str | None
    deadline: str | None
    parameters: dict[str, Any]
    shard_items: int
    n_applicable: int
    n_selected: int
    """Applicable, after the limit."""
    n_done: int
    n_rejected: int
    n_stale: int
    """Selected items whose result was made by an older fingerprint."""
    n_planned: int
    quote: Quote
    reprocess_quote_usd: str
    """What is expected for the stale items, which are left alone unless asked for."""
    lake: str
    """Root of the lake it works on."""
    lease_owner: str
    message: str
    budget_usd: str | None = None
    lane: str = "auto"
    learned_max_tokens: dict[str, int] = field(default_factory=dict)
    """By tier, an output limit that nearly every answer of the past kept within."""
    mean_output_tokens: dict[str, float] = field(default_factory=dict)
    """By tier, the mean length of the past's answers; empty without a past."""
    labels: dict[str, Any] | None = None
    """What stands in for the skill's own labels, as in a file of labels: all tasks of the run go by it, whatever that file says by then."""

    @property
    def is_empty(self) -> bool:
        """Nothing is pending: the run ends here, without a call."""
        return self.n_planned == 0

    @property
    def lease(self) -> str:
        """The name of the lease it holds."""
        return run_lease(self.skill, self.lake)

    def save(self, lake: Lake) -> None:
        """Write it into the run's folder."""
        lake.write_json(f"{self.run_key}/plan.json", asdict(self))

    @classmethod
    def load(cls, lake: Lake, run_key: str) -> "RunPlan":
        """Read it back in a later task."""
        value = lake.read_json(f"{run_key}/plan.json")
        return cls(**{**value, "quote": Quote.load(value["quote"])})


@dataclass(frozen=True, slots=True)
class Workspace:
    """What every step of a run opens: the lake, the state store and the skill."""

    settings: Settings
    lake: Lake
    state: Engine
    skill: Skill

    @classmethod
    def open(cls, settings: Settings, skill: str) -> "Workspace":
        """Open them for a skill by its name."""
        return cls._of(settings, Catalogue(settings.include).load(skill))

    @classmethod
    def of_plan(cls, settings: Settings, plan: RunPlan) -> "Workspace":
        """Open them for a planned run: the skill has the labels that it had when it was planned."""
        labels = None if plan.labels is None else of_values(plan.labels)
        return cls._of(settings, Catalogue(settings.include).load_own(plan.skill).with_labels(labels))

    @classmethod
    def _of(cls, settings: Settings, skill: Skill) -> "Workspace":
        return cls(settings, Lake(settings.lake), open_state(settings.state), skill)


def run_lease(skill: str, lake: str) -> str:
    """Return the name of the lease that a run of a skill holds."""
    return f"skill.{skill} on {lake}"


def run_key(skill: str, run_id: str) -> str:
    """Return the folder of a run on the lake."""
    return f"_runs/skill.{skill}/{slug(run_id)}"


def slug(run_id: str) -> str:
    """Return a run id as a safe part of an object's name."""
    return re.sub(r"[^A-Za-z0-9.-]+", "-", run_id).strip("-.") or "run"


def run_of(shard_key: str) -> str:
    """Return the run a shard belongs to."""
    return shard_key.rsplit("/lanes/", 1)[0]


def outcome_key(shard_key: str) -> str:
    """Return where a shard's outcomes are written; that the object exists says the shard is done."""
    return shard_key.replace("/lanes/", "/outcomes/")


def cli_owner() -> str:
    """Return a lease owner for this process."""
    return f"cli:{own_name()}"


def results_of(skill: Skill) -> Table:
    """Return the table a skill's results go to."""
    return results_table(skill.name, skill.output_major, skill.output_schema)


def suite_of(skill: Skill) -> Suite:
    """Return the rules for a skill's results: from its output schema, its checks, and what its folder says by hand."""
    from skillyard.skills.expectations import read_expectations

    written = read_expectations(skill.folder)
    return skill_suite(
        skill.output_schema,
        [(check.name, check.arguments) for check in skill.checks],
        tuple(skill.labels or ()),
        [rule.model_dump() for rule in written.expectations],
        written.blocking,
    )


def run_limits(settings: Settings, plan: RunPlan) -> Limits:
    """Return the budgets that hold for a run, as ``teams.yaml`` and the run's own say now."""
    budget_usd = None if plan.budget_usd is None else Decimal(plan.budget_usd)
    return Limits.of(_load_team(settings, plan.team), plan.skill, plan.run_id, budget_usd)


def owner_limits(settings: Settings, skill: Skill, run_id: str) -> Limits:
    """Return the budgets of the team that owns a skill, for what is asked outside a run: an audit, an eval."""
    return Limits.of(_load_team(settings, skill.owner), skill.name, run_id)


def _load_team(settings: Settings, name: str) -> Team:
    return find_team(load_teams(settings.include / "teams.yaml"), name)


def check_ready(skill: Skill, profile: Profile, prices: PriceBook, *also: str) -> None:
    """Raise for a missing key or price of any tier that a run of the skill may reach, or of ``also``, or a rule that cannot be.

    Before a call is made.
    """
    suite_of(skill)
    tiers = [tier for tier in TIERS if tier in skill.lanes or tier in also]
    pools = tiers + [voter_pool(d.name) for voters in voters_of(skill, profile).values() for d in voters]
    profile.check_keys(pools)
    now = datetime.now(UTC)
    for deployment in {d.name: d for pool in pools for d in profile.deployments(pool)}.values():
        _check_priced(deployment, prices, now)
        if skill.max_pictures and deployment.image_tokens is None:
            raise ConfigError(
                f"{skill.name} shows pictures, and the deployment {deployment.name} of the profile {profile.name} sees none: choose a "
                "profile whose models do, or set image_tokens there to the most input tokens that a picture can count as."
            )


def _check_priced(deployment: Deployment, prices: PriceBook, now: datetime) -> None:
    """Raise unless every call of the deployment gets a cost: one priced by time needs to know the time."""
    rates = prices.rates(deployment.model, now, deployment.service_tier, deployment.region)
    is_by_time = rates["compute_s"] > 0 and not rates["input"] and not rates["output"]
    if is_by_time and deployment.utilisation is None and not deployment.model.startswith("embedded/"):
        raise Unpriced(
            f"deployment {deployment.name!r} ({deployment.model}) is priced by compute seconds, which its endpoint does not report: "
            "give it a utilisation in the profile (0.5 if it is busy half of the time it is paid for)."
        )
