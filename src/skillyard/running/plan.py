"""Plan a run from the lake's state: which items apply, which are pending, what they may cost.

Everything that can be refused is refused here, before a call is paid: unknown names, a lake that cannot be written, a missing key
or price, another run at work.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc

from skillyard.costs.prices.book import load_prices
from skillyard.errors import ConfigError, UnknownName
from skillyard.gateway.state import open_state
from skillyard.lake.iceberg import follow
from skillyard.lake.lake import Lake
from skillyard.lake.publish import mark_stale
from skillyard.lake.read import read
from skillyard.profiles import load_profile
from skillyard.running.items import ITEM_SCHEMA, Item, find_items
from skillyard.running.lanes import check_lane
from skillyard.running.lease import LEASE_TTL, release_lease, renew_lease, take_lease
from skillyard.running.limits import APPROVAL_WAIT, PROBE_ITEMS
from skillyard.running.quote import NO_QUOTE
from skillyard.running.quoter import Quoter
from skillyard.running.runs import PlanRequest, RunPlan, Workspace, check_ready, cli_owner, results_of, run_key, run_lease
from skillyard.settings import Settings
from skillyard.skills import Catalogue, Skill, Source
from skillyard.skills.enabled import load_enabled
from skillyard.skills.labels import RUN_LABELS, as_values, check_given_files
from skillyard.skills.teams import Team, check_teams, find_team, load_teams
from skillyard.tokens import estimate_messages, estimate_tokens


@dataclass(frozen=True, slots=True)
class Done:
    """What the lake already holds for a skill: fingerprints by item, and the items given up on."""

    fingerprints: dict[str, str]
    rejected: dict[str, str]
    """error_kind by item, for the current fingerprint."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The items of one run."""

    applicable: list[Item]
    selected: list[Item]
    planned: list[Item]
    stale: list[Item]
    n_done: int
    n_rejected: int


def plan_run(settings: Settings, request: PlanRequest) -> RunPlan:
    """Write the run's items to the lake and return what it will do. Nothing to do is a plan too: ``is_empty``."""
    space = Workspace.open(settings, request.skill)
    if request.labels is not None:
        space = replace(space, skill=space.skill.with_labels(request.labels, RUN_LABELS))
    team = check_request(request, space.skill, settings)
    fingerprint = space.skill.fingerprint(request.parameters)
    owner = cli_owner() if request.dag_id == "cli" else f"airflow:{request.dag_id}"
    if request.is_dry_run:
        return _make_plan(space, request, _select(space, request, fingerprint), team, fingerprint, owner)
    space.lake.check_writable()
    if space.lake.has(f"{run_key(request.skill, request.run_id)}/plan.json"):
        raise ConfigError(f"the run {request.run_id!r} of {request.skill} exists: a run is planned once. Give the new one another run_id.")
    lease = run_lease(request.skill, settings.lake)
    take_lease(space.state, lease, owner)
    try:
        selection = _select(space, request, fingerprint)
        plan = _make_plan(space, request, selection, team, fingerprint, owner)
        if not space.skill.cosmetic and mark_stale(space.lake, results_of(space.skill), fingerprint):
            follow(settings, space.lake, request.run_id, [results_of(space.skill).name])
        if not plan.is_empty:
            space.lake.write_frame(f"{plan.run_key}/items.parquet", _to_frame(selection.planned))
        plan.save(space.lake)
    except BaseException:
        release_lease(space.state, lease, owner)
        raise
    if plan.is_empty:
        release_lease(space.state, lease, owner)
    return plan


def hold_plan(settings: Settings, plan: RunPlan) -> None:
    """Keep the run's lease while a person may still approve it."""
    renew_lease(open_state(settings.state), plan.lease, plan.lease_owner, datetime.now(UTC) + APPROVAL_WAIT + LEASE_TTL)


def approve_plan(settings: Settings, plan: RunPlan) -> None:
    """Go on with a run that waited for a person; RunLocked when it waited for too long and another run is at work by now."""
    take_lease(open_state(settings.state), plan.lease, plan.lease_owner)


def decline_plan(settings: Settings, plan: RunPlan, who: str) -> None:
    """Give up a planned run that nobody approved: it stays on the lake as declined, its lease is free, nothing was asked."""
    Lake(settings.lake).write_json(_declined_key(plan.run_key), {"by": who, "at": datetime.now(UTC).isoformat()})
    release_lease(open_state(settings.state), plan.lease, plan.lease_owner)


def declined_by(settings: Settings, run_key: str) -> str | None:
    """Return who declined a planned run, or None."""
    lake = Lake(settings.lake)
    return str(lake.read_json(_declined_key(run_key))["by"]) if lake.has(_declined_key(run_key)) else None


def _declined_key(run_key: str) -> str:
    return f"{run_key}/declined.json"


def check_request(request: PlanRequest, skill: Skill, settings: Settings) -> Team:
    """Return the team that pays, or raise for a value that is not allowed."""
    teams = load_teams(settings.include / "teams.yaml")
    names = Catalogue(settings.include).names()
    check_teams(teams, names)
    check_given_files(settings.include, names)
    team = find_team(teams, request.team or skill.owner)
    if request.first_tier is not None and request.first_tier not in skill.lanes:
        raise UnknownName(f"first tier for {skill.name}", request.first_tier, skill.lanes)
    mode, _, n = request.reprocess.partition(":")
    if mode not in ("none", "stale", "all", "sample") or (mode == "sample") != n.isdigit():
        raise ConfigError(f"reprocess is {request.reprocess!r}. Allowed: none, stale, all, sample:N.")
    for name, value in (("limit", request.limit), ("shard_items", request.shard_items)):
        if value is not None and value < 1:
            raise ConfigError(f"{name} is {value}: it has to be 1 or more.")
    budget = request.budget_usd
    if budget is not None and (not budget.is_finite() or budget <= 0 or budget != round(budget, 12)):
        raise ConfigError(f"budget is {budget}: it has to be an amount of USD above 0, with at most 12 places.")
    profile, prices = load_profile(settings.profile, settings.include), load_prices(settings)
    check_ready(skill, profile, prices)
    check_lane(request.lane, skill, profile, prices, datetime.now(UTC))
    return team


def _select(space: Workspace, request: PlanRequest, fingerprint: str) -> Selection:
    skill, lake = space.skill, space.lake
    items = sorted(find_items(lake, skill, space.settings.inbox, request.source_prefix), key=lambda item: item.item_id)
    selected = _limit(space, request, items)
    done = _done(lake, skill, fingerprint)
    stale = [] if skill.cosmetic else [i for i in selected if done.fingerprints.get(i.item_id, fingerprint) != fingerprint]
    again = {i.item_id for i in _reprocessed(request, selected, stale)}
    planned = [
        i
        for i in selected
        if i.item_id in again
        or (i.item_id not in done.fingerprints and (i.item_id not in done.rejected or _is_retried(request, done.rejected[i.item_id])))
    ]
    if request.is_probe:
        planned = planned[:PROBE_ITEMS]
    ids = {i.item_id for i in planned}
    n_done = sum(i.item_id in done.fingerprints and i.item_id not in ids for i in selected)
    n_rejected = sum(i.item_id in done.rejected and i.item_id not in ids for i in selected)
    return Selection(items, selected, planned, stale, n_done, n_rejected)


def _limit(space: Workspace, request: PlanRequest, items: list[Item]) -> list[Item]:
    """Return the first items by item_id: as many as asked, or as ``enabled.yaml`` lets a following run have."""
    if request.limit is not None:
        return items[: request.limit]
    if not request.is_following:
        return items
    bounds = load_enabled(space.settings.enabled).get(request.skill)
    if bounds is None:
        raise ConfigError(f"{request.skill} is not in {space.settings.enabled}: it may not follow new documents by itself.")
    if bounds.max_input_tokens is not None:
        n_left = bounds.max_input_tokens - _n_prompt_tokens(space.skill, request)
        items = [i for i in items if estimate_tokens(i.text) <= n_left]
    return items[: bounds.first_items] if bounds.first_items is not None else items


def _done(lake: Lake, skill: Skill, fingerprint: str) -> Done:
    results = read(lake, results_of(skill), ["item_id", "fingerprint"])
    rejects = read(lake, "rejects", ["item_id", "error_kind"], (pc.field("skill") == skill.name) & (pc.field("fingerprint") == fingerprint))
    return Done(
        dict(zip(results["item_id"].to_pylist(), results["fingerprint"].to_pylist(), strict=True)),
        dict(zip(rejects["item_id"].to_pylist(), rejects["error_kind"].to_pylist(), strict=True)),
    )


def _reprocessed(request: PlanRequest, selected: list[Item], stale: list[Item]) -> Sequence[Item]:
    """Return the items to answer again although they have a result."""
    mode, _, n = request.reprocess.partition(":")
    if request.force or mode == "all":
        return selected
    if mode == "stale":
        return stale
    return stale[: int(n)] if mode == "sample" else []


def _is_retried(request: PlanRequest, error_kind: str) -> bool:
    return request.retry_rejects in ("any", error_kind)


def _make_plan(space: Workspace, request: PlanRequest, selection: Selection, team: Team, fingerprint: str, owner: str) -> RunPlan:
    plan = RunPlan(
        run_key=run_key(request.skill, request.run_id),
        run_id=request.run_id,
        dag_id=request.dag_id,
        skill=request.skill,
        kind=space.skill.kind,
        fingerprint=fingerprint,
        team=team.name,
        first_tier=request.first_tier,
        deadline=request.deadline.isoformat() if request.deadline else None,
        lane=request.lane,
        parameters=dict(request.parameters),
        shard_items=request.shard_items,
        n_applicable=len(selection.applicable),
        n_selected=len(selection.selected),
        n_done=selection.n_done,
        n_rejected=selection.n_rejected,
        n_stale=len(selection.stale),
        n_planned=len(selection.planned),
        quote=replace(NO_QUOTE, n_items=len(selection.planned)),
        reprocess_quote_usd="0",
        lake=space.settings.lake,
        lease_owner=owner,
        message="",
        budget_usd=None if request.budget_usd is None else f"{request.budget_usd:f}",
        labels=None if space.skill.given_labels is None else as_values(space.skill.given_labels),
    )
    if space.skill.kind != "library" and (selection.planned or selection.stale):
        plan = _quoted(space, request, selection, team, plan)
    return replace(plan, message=_message(request, plan))


def _quoted(space: Workspace, request: PlanRequest, selection: Selection, team: Team, plan: RunPlan) -> RunPlan:
    """Return the plan with its quote; a hard budget under which no call could be made is refused."""
    profile, prices = load_profile(space.settings.profile, space.settings.include), load_prices(space.settings)
    quoter = Quoter.open(space, plan, team, profile, prices, selection.applicable)
    planned, stale = quoter.route(selection.planned), quoter.route(selection.stale)
    quoter.check_budgets(planned)
    return replace(
        quoter.plan,
        quote=quoter.quote(len(selection.planned), planned, request.is_probe),
        reprocess_quote_usd=quoter.quote(len(selection.stale), stale).expected_usd,
    )


def _n_prompt_tokens(skill: Skill, request: PlanRequest) -> int:
    """Return the tokens that every item's request begins with."""
    return estimate_messages(skill.messages(Source(), request.parameters))


def _message(request: PlanRequest, plan: RunPlan) -> str:
    """Return one sentence for the log and the terminal."""
    said = [f"{request.skill}: {plan.n_applicable} items apply, {plan.n_selected} selected"]
    said.append(f"{plan.n_planned} to answer" if plan.n_planned else "nothing is pending, no call is made")
    if plan.n_stale and request.reprocess == "none" and not request.force:
        said.append(
            f"{plan.n_stale} results are stale (made before the skill was edited) and stay: "
            f"--reprocess stale would ask them again for about ${plan.reprocess_quote_usd}"
        )
    if plan.n_rejected and not request.retry_rejects:
        said.append(f"{plan.n_rejected} rejects are final for this fingerprint (--retry-rejects KIND tries them again)")
    return "; ".join(said) + "."


def _to_frame(items: list[Item]) -> pa.Table:
    names = ITEM_SCHEMA.names
    return pa.table({name: [getattr(i, name) for i in items] for name in names}, schema=ITEM_SCHEMA)
