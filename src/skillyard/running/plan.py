"""Plan a run from the lake's state: which items apply, which are pending, what they may cost.

Everything that can be refused is refused here, before a call is paid: unknown names, a lake that cannot be written, a missing key
or price, another run at work.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc

from skillyard.costs.prices import PriceBook, Usage, load_prices
from skillyard.errors import ConfigError, UnknownName
from skillyard.lake.lake import Lake
from skillyard.lake.publish import mark_stale
from skillyard.lake.read import read
from skillyard.profiles import Profile, load_profile
from skillyard.running.items import ITEM_SCHEMA, Item, find_items
from skillyard.running.lanes import check_lane
from skillyard.running.lease import release_lease, take_lease
from skillyard.running.runs import PlanRequest, RunPlan, Workspace, check_ready, cli_owner, results_of, run_key
from skillyard.settings import Settings
from skillyard.skills import Catalogue, Skill
from skillyard.skills.enabled import load_enabled
from skillyard.skills.teams import check_teams, load_teams
from skillyard.tokens import estimate_tokens


@dataclass(frozen=True, slots=True)
class Done:
    """What the lake already holds for a skill: fingerprints by item, and the items given up on."""

    fingerprints: dict[str, str]
    rejected: dict[str, str]
    """error_kind by item, for the current fingerprint."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The items of one run."""

    n_applicable: int
    selected: list[Item]
    planned: list[Item]
    stale: list[Item]
    n_done: int
    n_rejected: int


def plan_run(settings: Settings, request: PlanRequest) -> RunPlan:
    """Write the run's items to the lake and return what it will do. Nothing to do is a plan too: ``is_empty``."""
    space = Workspace.open(settings, request.skill)
    profile = load_profile(settings.profile, settings.include)
    prices = load_prices(settings)
    team = check_request(request, space.skill, settings)
    check_ready(space.skill, profile, prices)
    check_lane(request.lane, space.skill, profile, prices, datetime.now(UTC))
    fingerprint = space.skill.fingerprint(request.parameters)
    owner = cli_owner() if request.dag_id == "cli" else f"airflow:{request.dag_id}"
    lease = f"skill.{request.skill} on {settings.lake}"
    if request.is_dry_run:
        return _make_plan(request, space.skill, profile, prices, _select(space, request, fingerprint), team, fingerprint, lease, owner)
    space.lake.check_writable()
    if space.lake.has(f"{run_key(request.skill, request.run_id)}/plan.json"):
        raise ConfigError(f"the run {request.run_id!r} of {request.skill} exists: a run is planned once. Give the new one another run_id.")
    take_lease(space.state, lease, owner)
    try:
        selection = _select(space, request, fingerprint)
        plan = _make_plan(request, space.skill, profile, prices, selection, team, fingerprint, lease, owner)
        if not space.skill.cosmetic:
            mark_stale(space.lake, results_of(space.skill), fingerprint)
        if not plan.is_empty:
            space.lake.write_frame(f"{plan.run_key}/items.parquet", _to_frame(selection.planned))
        plan.save(space.lake)
    except BaseException:
        release_lease(space.state, lease, owner)
        raise
    if plan.is_empty:
        release_lease(space.state, lease, owner)
    return plan


def check_request(request: PlanRequest, skill: Skill, settings: Settings) -> str:
    """Return the team that pays, or raise for a value that is not allowed."""
    teams = load_teams(settings.include / "teams.yaml")
    check_teams(teams, Catalogue(settings.include).names())
    team = request.team or skill.owner
    if team not in teams:
        raise UnknownName("team", team, teams)
    if request.first_tier is not None and request.first_tier not in skill.lanes:
        raise UnknownName(f"first tier for {skill.name}", request.first_tier, skill.lanes)
    mode, _, n = request.reprocess.partition(":")
    if mode not in ("none", "stale", "all", "sample") or (mode == "sample") != n.isdigit():
        raise ConfigError(f"reprocess is {request.reprocess!r}. Allowed: none, stale, all, sample:N.")
    for name, value in (("limit", request.limit), ("shard_items", request.shard_items)):
        if value is not None and value < 1:
            raise ConfigError(f"{name} is {value}: it has to be 1 or more.")
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
    ids = {i.item_id for i in planned}
    n_done = sum(i.item_id in done.fingerprints and i.item_id not in ids for i in selected)
    n_rejected = sum(i.item_id in done.rejected and i.item_id not in ids for i in selected)
    return Selection(len(items), selected, planned, stale, n_done, n_rejected)


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


def _make_plan(
    request: PlanRequest,
    skill: Skill,
    profile: Profile,
    prices: PriceBook,
    selection: Selection,
    team: str,
    fingerprint: str,
    lease: str,
    owner: str,
) -> RunPlan:
    cost = estimate_cost(skill, profile, prices, selection.planned, request)
    quote = estimate_cost(skill, profile, prices, selection.stale, request)
    return RunPlan(
        run_key=run_key(request.skill, request.run_id),
        run_id=request.run_id,
        dag_id=request.dag_id,
        skill=request.skill,
        kind=skill.kind,
        fingerprint=fingerprint,
        team=team,
        first_tier=request.first_tier,
        deadline=request.deadline.isoformat() if request.deadline else None,
        lane=request.lane,
        parameters=dict(request.parameters),
        shard_items=request.shard_items,
        n_applicable=selection.n_applicable,
        n_selected=len(selection.selected),
        n_done=selection.n_done,
        n_rejected=selection.n_rejected,
        n_stale=len(selection.stale),
        n_planned=len(selection.planned),
        estimated_cost_usd=str(cost),
        reprocess_quote_usd=str(quote),
        lease=lease,
        lease_owner=owner,
        message=_message(request, selection, cost, quote),
    )


def estimate_cost(skill: Skill, profile: Profile, prices: PriceBook, items: Iterable[Item], request: PlanRequest) -> Decimal:
    """Return an estimate: every item once, on the dearest deployment of its first tier, with a full-length answer.

    Models priced by time are taken at 250 tokens read and 65 written a second, measured on two cores.
    """
    if skill.kind == "library":
        return Decimal(0)
    tier = request.first_tier or skill.tier_default
    n_prompt = _n_prompt_tokens(skill, request)
    n_items, n_input = 0, 0
    for item in items:
        n_items, n_input = n_items + 1, n_input + n_prompt + estimate_tokens(item.text)
    n_output = n_items * skill.limits.output_tokens
    usage = Usage(input_tokens=n_input, output_tokens=n_output, compute_s=Decimal(n_input) / 250 + Decimal(n_output) / 65)
    now = datetime.now(UTC)
    return max(prices.cost(d.model, usage, now).usd for d in profile.deployments(tier))


def _n_prompt_tokens(skill: Skill, request: PlanRequest) -> int:
    """Return the tokens that every item's request begins with."""
    return sum(estimate_tokens(m["content"]) for m in skill.messages("", request.parameters))


def _message(request: PlanRequest, selection: Selection, cost: Decimal, quote: Decimal) -> str:
    """Return one sentence for the log and the terminal."""
    n = len(selection.planned)
    said = [f"{request.skill}: {selection.n_applicable} items apply, {len(selection.selected)} selected"]
    said.append(f"{n} to answer, for about ${cost:.6f} on the first tier" if n else "nothing is pending, no call is made")
    if selection.stale and request.reprocess == "none" and not request.force:
        said.append(
            f"{len(selection.stale)} results are stale (made before the skill was edited) and stay: "
            f"--reprocess stale would ask them again for about ${quote:.6f}"
        )
    if selection.n_rejected and not request.retry_rejects:
        said.append(f"{selection.n_rejected} rejects are final for this fingerprint (--retry-rejects KIND tries them again)")
    return "; ".join(said) + "."


def _to_frame(items: list[Item]) -> pa.Table:
    names = ITEM_SCHEMA.names
    return pa.table({name: [getattr(i, name) for i in items] for name in names}, schema=ITEM_SCHEMA)
