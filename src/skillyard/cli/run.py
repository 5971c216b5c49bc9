"""One skill over the documents on the lake."""

import json
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from skillyard.cli.options import AsJson, SkillName, amount, new_run_id
from skillyard.cli.output import print_value, say
from skillyard.errors import ConfigError, UnknownName
from skillyard.settings import Settings

if TYPE_CHECKING:
    from skillyard.running.runs import RunPlan


def run(
    skill: SkillName,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N items that apply, by item_id.")] = None,
    source_prefix: Annotated[str, typer.Option(help="Only documents whose path below the inbox begins so.")] = "",
    force: Annotated[bool, typer.Option(help="Answer items again that have a result or a reject.")] = False,
    first_tier: Annotated[str | None, typer.Option(help="Start every item on this tier: fast, standard or expert.")] = None,
    team: Annotated[str | None, typer.Option(help="Who pays; the skill's owner by default.")] = None,
    deadline: Annotated[datetime | None, typer.Option(help="Items not begun by then (UTC) stay pending.")] = None,
    lane: Annotated[
        str, typer.Option(help="live or batch (a provider's batch API: cheaper, within a day); auto decides per tier.")
    ] = "auto",
    reprocess: Annotated[str, typer.Option(help="Results of an older fingerprint: none, stale, all, sample:N.")] = "none",
    retry_rejects: Annotated[str | None, typer.Option(help="Try rejects of this error_kind again, or: any.")] = None,
    param: Annotated[list[str] | None, typer.Option(help="A parameter of the skill as name=value; may be repeated.")] = None,
    labels: Annotated[
        Path | None,
        typer.Option(help="A file like the skill's assets/labels.yaml: for this run, its labels stand in for the skill's.", metavar="FILE"),
    ] = None,
    budget: Annotated[
        Decimal | None, typer.Option(parser=amount, metavar="USD", help="The most this run may cost, beside its team's budgets.")
    ] = None,
    probe: Annotated[bool, typer.Option("--probe", help="Only the first 50 pending items: a paid sample for later quotes.")] = False,
    is_quote: Annotated[
        bool, typer.Option("--quote", "--dry-run", help="Say what it would cost, between what and how long it would take; write nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Approve a run whose quote is above the team's threshold.")] = False,
    as_json: AsJson = False,
) -> None:
    """Run one skill over the documents on the lake: plan, quote, route, answer, publish.

    Only items without a result are asked. Interrupted at any point, run it again: answers that were paid are not paid again.
    """
    from skillyard.running.pipeline import run_skill
    from skillyard.running.plan import plan_run
    from skillyard.running.runs import PlanRequest
    from skillyard.skills.labels import read_labels

    settings = Settings.from_env()
    request = PlanRequest(
        skill=skill,
        run_id=new_run_id(),
        limit=limit,
        source_prefix=source_prefix,
        force=force,
        first_tier=first_tier,
        team=team,
        deadline=deadline.replace(tzinfo=UTC) if deadline else None,
        lane=lane,
        reprocess=reprocess,
        retry_rejects=retry_rejects,
        parameters=_parameters(settings, skill, param or []),
        labels=read_labels(labels) if labels else None,
        budget_usd=budget,
        is_probe=probe,
        is_dry_run=is_quote,
    )
    plan = plan_run(settings, request)
    say(plan.message)
    if as_json and (is_quote or plan.is_empty):
        print_value(plan, as_json)
    elif is_quote:
        print(plan.quote.text)
    if is_quote or plan.is_empty:
        return
    say(plan.quote.text)
    if plan.quote.approval and not yes:
        _ask_approval(settings, plan)
    print_value(run_skill(settings, plan, say), as_json)


def _ask_approval(settings: Settings, plan: "RunPlan") -> None:
    """Go on when the person at the terminal agrees; otherwise the run is given up and ConfigError says how it can be approved."""
    from skillyard.running.plan import approve_plan, decline_plan

    is_approved = False
    try:
        is_approved = sys.stdin.isatty() and typer.confirm("Go on?", err=True)
    finally:
        if not is_approved:
            decline_plan(settings, plan, "the command line")
    if not is_approved:
        raise ConfigError(
            f"not approved, nothing was asked: {plan.quote.approval}. Approve it with --yes, or begin with --probe or --limit."
        )
    approve_plan(settings, plan)


def _parameters(settings: Settings, skill: str, pairs: list[str]) -> dict[str, Any]:
    """Return name=value pairs with each value in the type of the parameter's default."""
    from skillyard.skills import Catalogue

    declared = Catalogue(settings.include).load(skill).parameters
    values: dict[str, Any] = {}
    for pair in pairs:
        name, sign, value = pair.partition("=")
        if not sign:
            raise ConfigError(f"--param {pair!r} is not name=value.")
        if name not in declared:
            raise UnknownName(f"parameter of {skill}", name, declared)
        is_text = isinstance(declared[name].default, str)
        values[name] = value if is_text else json.loads(value)
    return values
