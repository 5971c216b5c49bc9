"""The command line: every pipeline without Airflow, on the same lake and state store.

Data goes to standard output (``--json`` where a program reads it), progress and errors to standard error. Exit codes: 0 done, 1 the
work failed or is incomplete, 2 something asked for is not allowed.
"""

import json
import sys
from collections.abc import Iterable
from dataclasses import asdict, is_dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from uuid import uuid4

import typer

from skillyard.errors import ConfigError, SkillyardError, UnknownName
from skillyard.settings import AUDIT_SAMPLE, MOST_AUDITED, Settings

if TYPE_CHECKING:
    from skillyard.running.runs import RunPlan

app = typer.Typer(
    help="Skillyard: AI skills over documents in bulk, each call on the cheapest good tier, paid once, accounted for.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
skills_app = typer.Typer(help="The catalogue of skills.", no_args_is_help=True)
route_app = typer.Typer(help="Why an item goes to which tier.", no_args_is_help=True)
router_app = typer.Typer(help="What decides where items start: its versions, training, replay.", no_args_is_help=True)
quality_app = typer.Typer(help="What routing keeps of the highest tier's quality, measured.", no_args_is_help=True)
cost_app = typer.Typer(help="What was spent, by whom, on what.", no_args_is_help=True)
cache_app = typer.Typer(help="Answers that were paid: kept until they are published, then served again for a while.", no_args_is_help=True)
lake_app = typer.Typer(help="The output tables.", no_args_is_help=True)
airflow_app = typer.Typer(help="A local Airflow with the project's DAGs.", no_args_is_help=True)
for name, sub in (
    ("skills", skills_app),
    ("route", route_app),
    ("router", router_app),
    ("quality", quality_app),
    ("cost", cost_app),
    ("cache", cache_app),
    ("lake", lake_app),
    ("airflow", airflow_app),
):
    app.add_typer(sub, name=name)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a program to read.")]
SkillName = Annotated[str, typer.Argument(help="A skill's name, see: skillyard skills list", show_default=False)]
RouterVersion = Annotated[str | None, typer.Argument(help="A version; the champion by default.", show_default=False)]
FirstDay = Annotated[
    datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="First UTC day; the first of the last day's month by default.")
]
LastDay = Annotated[datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="Last UTC day; today by default.")]
_FLAG_COLUMNS = ("usage_date", "flag", "skill", "message")


def _amount(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise typer.BadParameter(f"{text!r} is not an amount of USD such as 2.50") from None


def main() -> None:
    """Run the command line; an error of ours is one readable line."""
    try:
        app()
    except SkillyardError as error:
        print(f"skillyard: {error}", file=sys.stderr)
        sys.exit(2 if isinstance(error, ConfigError) else 1)


@app.command()
def ingest(
    prefix: Annotated[str, typer.Option(help="Only objects whose path below the inbox begins so.")] = "",
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many new documents.")] = None,
    force: Annotated[bool, typer.Option(help="Look at every document again, and try again those that were rejected.")] = False,
    as_json: AsJson = False,
) -> None:
    """Find new or changed documents in the inbox (SKILLYARD_INBOX) and publish documents, pages and rejects.

    Running it again does nothing twice: what has not changed is skipped.
    """
    from skillyard.running import ingest as steps

    settings = Settings.from_env()
    plan = steps.discover(settings, _new_run_id(), prefix=prefix, limit=limit, force=force)
    try:
        for shard in steps.ingest_shards(settings, plan.run_key):
            steps.parse_shard(settings, shard, _say)
    finally:
        report = steps.publish_documents(settings, plan.run_key)
    _print(report, as_json)
    if report.n_pending:
        raise typer.Exit(1)


@app.command()
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
    budget: Annotated[
        Decimal | None, typer.Option(parser=_amount, metavar="USD", help="The most this run may cost, beside its team's budgets.")
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

    settings = Settings.from_env()
    request = PlanRequest(
        skill=skill,
        run_id=_new_run_id(),
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
        budget_usd=budget,
        is_probe=probe,
        is_dry_run=is_quote,
    )
    plan = plan_run(settings, request)
    _say(plan.message)
    if as_json and (is_quote or plan.is_empty):
        _print(plan, as_json)
    elif is_quote:
        print(plan.quote.text)
    if is_quote or plan.is_empty:
        return
    _say(plan.quote.text)
    if plan.quote.approval and not yes:
        _ask_approval(settings, plan)
    _print(run_skill(settings, plan, _say), as_json)


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


@skills_app.command("list")
def list_skills(as_json: AsJson = False) -> None:
    """List the catalogue: kind, tiers, owner, what each skill is for."""
    from skillyard.skills import Catalogue

    catalogue = Catalogue(Settings.from_env().include)
    rows = []
    for name in catalogue.names():
        s = catalogue.load(name)
        tiers = "none" if s.kind == "library" else f"{s.tier_default}-{s.tier_max}"
        rows.append({"skill": s.name, "kind": s.kind, "tiers": tiers, "owner": s.owner, "version": s.version, "description": s.description})
    _print_rows(rows, as_json, widths={"description": 90})


@skills_app.command("show")
def show_skill(skill: SkillName, as_json: AsJson = False) -> None:
    """Show one skill: instructions, labels, output fields, checks, fingerprint."""
    from skillyard.skills import Catalogue

    s = Catalogue(Settings.from_env().include).load(skill)
    shown = {
        "skill": s.name,
        "version": s.version,
        "fingerprint": s.fingerprint(),
        "kind": s.kind,
        "tiers": s.lanes,
        "owner": s.owner,
        "applies_to": asdict(s.applies_to),
        "parameters": {name: asdict(p) for name, p in s.parameters.items()},
        "labels": {name: label.description for name, label in (s.labels or {}).items()},
        "checks": [c.name for c in s.checks],
        "output_schema": s.output_schema,
        "instructions": s.instructions,
    }
    _print(shown, as_json)


@skills_app.command("check")
def check_skills(
    skill: Annotated[str | None, typer.Argument(help="One skill; all of them by default.", show_default=False)] = None,
    as_json: AsJson = False,
) -> None:
    """Check skill folders: the standard, schema, labels, cases. Exit code 1 when there are problems."""
    from skillyard.lake.tables import RESERVED
    from skillyard.skills import Catalogue
    from skillyard.skills.inspection import check_skill
    from skillyard.skills.teams import check_teams, load_teams

    settings = Settings.from_env()
    catalogue, teams = Catalogue(settings.include), load_teams(settings.include / "teams.yaml")
    names = catalogue.names()
    check_teams(teams, names)
    if skill is not None and skill not in names:
        raise UnknownName("skill", skill, names)
    problems = [asdict(p) for name in ([skill] if skill else names) for p in check_skill(catalogue.folder / name, RESERVED, teams)]
    if problems or as_json:
        _print_rows(problems, as_json)
    if problems:
        raise typer.Exit(1)
    _say(f"{1 if skill else len(names)} skill folders are clean.")


@skills_app.command("eval")
def evaluate_skill(
    skill: SkillName,
    tier: Annotated[
        str | None, typer.Option(help="Only this tier, which then decides the exit code; by default the skill's default tier decides.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Ask the skill's own cases on its tiers, paid by its owner, and say what passes. Exit code 1 below the skill's min_pass_rate."""
    from skillyard.evals.run import eval_skill

    report = eval_skill(Settings.from_env(), skill, tier)
    if as_json:
        _print(asdict(report) | {"pass_rates": report.pass_rates, "is_good": report.is_good}, as_json)
    else:
        _print_rows([asdict(v) for v in report.verdicts], as_json, widths={"message": 90})
        for name, share in report.pass_rates.items():
            _say(f"{name}: {share:.0%} of the cases are right")
        _say(f"{report.decided_on} has to reach {report.min_pass_rate:.0%}: {'reached' if report.is_good else 'not reached'}.")
    for unasked in report.unasked:
        _say(f"not answered: {unasked}")
    if not report.is_good:
        raise typer.Exit(1)


@router_app.command("train")
def train_router(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Train and compare, but save and promote nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Train a challenger on audits and evals, replay it beside the champion, promote it only if it is better with confidence."""
    from skillyard.running.training import train_challenger

    report = train_challenger(Settings.from_env(), datetime.now(UTC), dry_run, "the command line")
    if as_json:
        _print(report, as_json)
    else:
        print(report.text)


@router_app.command("replay")
def replay_router(version: RouterVersion = None, as_json: AsJson = False) -> None:
    """Replay a version beside declared traits on the evidence that no router learns from: what it saves and keeps, per skill."""
    from skillyard.running.training import replay_rows, replay_versions

    replays = replay_versions(Settings.from_env(), version, datetime.now(UTC))
    if as_json:
        _print_rows(map(asdict, replays), as_json)
    else:
        _print_rows([row for made in replays for row in replay_rows(made)], as_json)


@router_app.command("show")
def show_router(version: RouterVersion = None, as_json: AsJson = False) -> None:
    """Show a version, the champion by default: what it was made of, each skill's policy, the versions that there are."""
    from skillyard.running.routers import describe_router

    _print(describe_router(Settings.from_env(), version), as_json)


@router_app.command("promote")
def promote_router(
    version: Annotated[str, typer.Argument(help="A version, or heuristic: declared traits.", show_default=False)], as_json: AsJson = False
) -> None:
    """Make a version the champion, whatever a comparison says; the one before can be had back with rollback."""
    from skillyard.lake.lake import Lake
    from skillyard.running.routers import promote

    by = "the command line"
    _print(promote(Lake(Settings.from_env().lake), version, by, "asked for", datetime.now(UTC)), as_json)


@router_app.command("rollback")
def roll_router_back(as_json: AsJson = False) -> None:
    """Go back to the champion of before the last training or promotion; doing it twice undoes it."""
    from skillyard.lake.lake import Lake
    from skillyard.running.routers import rollback

    _print(rollback(Lake(Settings.from_env().lake), "the command line", datetime.now(UTC)), as_json)


@route_app.command("explain")
def explain_route(
    skill: SkillName,
    item: Annotated[str, typer.Argument(help="A file to parse, or the text itself.", show_default=False)],
    first_tier: Annotated[str | None, typer.Option(help="Start on this tier whatever the score.")] = None,
    as_json: AsJson = False,
) -> None:
    """Say on which tier an item would start, its score and the reason, without asking any model."""
    from skillyard.running.explain import explain_item

    explained = explain_item(Settings.from_env(), skill, item, first_tier)
    tiers = {} if as_json else explained.pop("tiers", {})
    _print(explained, as_json)
    if tiers:
        print()
        said = {tier: {n: "no evidence" if v is None else f"{v:.6g}" for n, v in own.items()} for tier, own in tiers.items()}
        _print_rows([{"tier": tier} | own for tier, own in said.items()], as_json)


@quality_app.command("audit")
def audit_skill(
    skill: SkillName,
    sample: Annotated[
        int, typer.Option(min=1, max=MOST_AUDITED, help="How many results, new ones first; those of earlier audits are left out.")
    ] = AUDIT_SAMPLE,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be asked and what it would cost; write nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Answer a sample of a skill's results on every tier it may use, compare with the highest tier's answers, and keep what came of it.

    The team that owns the skill pays, within its budgets. The night's quality_audit does this for every skill with results.
    """
    from skillyard.running.audit import audit

    _print(audit(Settings.from_env(), skill, n=sample, is_dry_run=dry_run, say=_say), as_json)


@quality_app.command("report")
def report_quality(as_json: AsJson = False) -> None:
    """Print each skill's retained quality with its bounds, as quality_audit last computed it."""
    from skillyard.costs.flags import newest_quality
    from skillyard.lake.lake import Lake

    _print_rows(newest_quality(Lake(Settings.from_env().lake), datetime.now(UTC).date()), as_json)


@cost_app.command("report")
def report_cost(
    first: FirstDay = None,
    last: LastDay = None,
    by: Annotated[str, typer.Option(help="team, skill, tier, model, dag or purpose.")] = "skill",
    as_json: AsJson = False,
) -> None:
    """Attribute the ledger of these days and print the bill: settled cost, unknown attempts, cache savings, all-expert baseline.

    By skill, also what routing keeps of each skill's quality (estimate, 95 % interval, audited items, target, router) and its red flags.
    """
    from skillyard.costs.attribution import attribute
    from skillyard.costs.report import cost_report

    settings, days = Settings.from_env(), _days(first, last)
    attribute(settings, *days)
    report = cost_report(settings, *days, by)
    _print_rows(report.as_dicts() if as_json else report.bill_rows(), as_json)
    if report.quality_rows() and not as_json:
        print()
        _print_rows(report.quality_rows(), as_json)


@cost_app.command("flags")
def show_flags(first: FirstDay = None, last: LastDay = None, as_json: AsJson = False) -> None:
    """Compute the red flags of the last day, and print those of all these days: what is wrong with routing, and what to do.

    Each looks at a week of calls and a month of audits up to its day; docs/operations.md says what the words mean.
    """
    from skillyard.costs.flags import flag_day, read_flags

    settings, days = Settings.from_env(), _days(first, last)
    _say(f"red flags on {days[1]}: {len(flag_day(settings, days[1]))}")
    rows = read_flags(settings, *days)
    _print_rows(rows if as_json else [{name: row[name] for name in _FLAG_COLUMNS} for row in rows], as_json, {"message": 400})


@cost_app.command("plan")
def plan_cost(
    last: LastDay = None,
    out: Annotated[Path | None, typer.Option(help="Write the Markdown to this file, not to standard output.")] = None,
    as_json: AsJson = False,
) -> None:
    """Write the scaling plan of this installation, from the ledger and the audits of the last 30 days.

    Per class of complexity: share, tiers, latency, cost and cache; what a month costs and would cost otherwise, with intervals; the quality
    kept; red flags; what to change, in order of money saved; and what is not known yet, with the command that would tell.
    """
    from skillyard.costs.plan import make_plan
    from skillyard.costs.plan_text import render

    plan = make_plan(Settings.from_env(), _days(None, last)[1])
    if out is not None:
        out.write_text(render(plan), encoding="utf-8")
        _say(f"written to {out}")
    if as_json:
        _print(plan, as_json)
    elif out is None:
        print(render(plan))


@cost_app.command("endpoints")
def report_endpoints(first: FirstDay = None, last: LastDay = None, as_json: AsJson = False) -> None:
    """Compare the deployments: calls, tokens, cost, USD per million tokens; for one paid by the hour, its measured utilisation too."""
    from skillyard.costs.endpoints import endpoint_report

    _print_rows([asdict(row) for row in endpoint_report(Settings.from_env(), *_days(first, last))], as_json)


@cost_app.command("reconcile")
def reconcile_bill(
    bill: Annotated[
        Path, typer.Argument(help="A .json or .csv file of lines: call_id or request_id, model, amount_usd.", show_default=False)
    ],
    first: Annotated[
        datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="First UTC day that the bill is whole for.")
    ] = None,
    last: Annotated[datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="Last UTC day that the bill is whole for.")] = None,
    deployment: Annotated[
        list[str] | None, typer.Option(help="A deployment that the bill is whole for, may be repeated; by default those it has lines of.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be closed; change nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Close attempts of unknown outcome by a provider's bill, and compare it with the ledger. Exit code 1 when they differ.

    An attempt without a line is closed as not billed only on days that the bill is said to be whole for.
    """
    from skillyard.costs.comparison import Coverage
    from skillyard.gateway.reconcile import reconcile

    if (first is None) != (last is None) or (deployment and first is None):
        raise ConfigError("--from and --to belong together, and --deployment needs both: they say what the bill is whole for.")
    covered = Coverage(first.date(), last.date(), frozenset(deployment or ())) if first and last else None
    report = asdict(reconcile(Settings.from_env(), bill, covered, is_dry_run=dry_run))
    entries = report["entries"] if as_json else report.pop("entries")
    _print(report, as_json)
    if entries and not as_json:
        print()
        _print_rows(entries, as_json)
    if report["n_differing"]:
        raise typer.Exit(1)


@cache_app.command("stats")
def show_cache(
    days: Annotated[int, typer.Option(min=1, max=30, help="Count what the cache saved in so many days.")] = 7,
    as_json: AsJson = False,
) -> None:
    """Show the stored answers by skill: paid and not yet published (journal), serving again (cache), expired; and what they saved."""
    from skillyard.gateway.cache import cache_stats
    from skillyard.gateway.state import open_state

    stats = asdict(cache_stats(open_state(Settings.from_env().state), datetime.now(UTC), days))
    entries = stats["entries"] if as_json else stats.pop("entries")
    _print(stats, as_json)
    if not as_json:
        print()
        _print_rows(entries, as_json)


@cache_app.command("clear")
def empty_cache(
    skill: Annotated[str | None, typer.Option(help="Only answers of this skill.")] = None,
    team: Annotated[str | None, typer.Option(help="Only answers of this team; * for those that serve all teams.")] = None,
    expired: Annotated[bool, typer.Option("--expired", help="Of the published answers, only those whose time has passed.")] = False,
    unpublished: Annotated[
        bool, typer.Option("--unpublished", help="Also answers that are not published yet: they would be paid again. Needs --yes.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete published answers from the cache; whoever asks for them again pays again. Results on the lake stay."""
    from skillyard.gateway.cache import Choice, chosen_answers, clear_cache
    from skillyard.gateway.state import open_state

    state, choice, now = open_state(Settings.from_env().state), Choice(skill, team, expired, unpublished), datetime.now(UTC)
    n, n_unpublished, cost = chosen_answers(state, choice, now)
    if n_unpublished and not yes:
        raise ConfigError(
            f"{n_unpublished} of these {n} answers are not published yet. They cost ${cost:.6f}, and whoever asks again pays again: "
            "finish their runs first, or say --yes."
        )
    if n and not yes and not sys.stdin.isatty():
        raise ConfigError(f"this would delete {n} answers, and nobody can be asked here: say --yes.")
    if n and not yes:
        typer.confirm(f"Delete {n} published answers?", abort=True)
    _say(f"{clear_cache(state, choice, now)} answers are deleted.")


@lake_app.command("tables")
def list_tables(as_json: AsJson = False) -> None:
    """List the tables with their row counts."""
    from skillyard.lake.lake import Lake
    from skillyard.lake.read import read, table_names
    from skillyard.lake.tables import TABLES

    lake = Lake(Settings.from_env().lake)
    rows = []
    for name in table_names(lake):
        key = TABLES[name].key[0] if name in TABLES else "item_id"
        rows.append({"table": name, "rows": read(lake, name, [key]).num_rows, "location": lake.storage.uri(name)})
    _print_rows(rows, as_json, widths={"location": 90})


@lake_app.command("show")
def show_table(
    table: Annotated[str, typer.Argument(help="documents, pages, rejects, llm_calls, cost_daily, results/<skill>", show_default=False)],
    limit: Annotated[int, typer.Option(min=1, help="Rows to show.")] = 20,
    columns: Annotated[str | None, typer.Option(help="Comma-separated names; all by default.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show the first rows of a table."""
    from skillyard.lake.lake import Lake
    from skillyard.lake.read import read

    rows = read(Lake(Settings.from_env().lake), table, columns.split(",") if columns else None)
    _say(f"{table}: {rows.num_rows} rows, {rows.num_columns} columns")
    _print_rows(rows.slice(0, limit).to_pylist(), as_json)


@airflow_app.command("up")
def airflow_up() -> None:
    """Start Airflow on http://127.0.0.1:8080 and leave it running; prints the login."""
    from skillyard.local.up import up

    up()


@airflow_app.command("down")
def airflow_down() -> None:
    """Stop what ``up`` started."""
    from skillyard.local.up import down

    down()


@airflow_app.command("setup")
def airflow_setup() -> None:
    """Make the pools, and unpause ingestion, attribution and the enabled skills."""
    from skillyard.local.setup import setup

    setup()


@airflow_app.command("demo")
def airflow_demo() -> None:
    """Run the main job on the samples, from documents to the bill, through a real Airflow."""
    from skillyard.local.demo import demo

    raise typer.Exit(demo())


def _new_run_id() -> str:
    return f"cli-{datetime.now(UTC):%Y%m%dT%H%M%S}-{uuid4().hex[:6]}"


def _days(first: datetime | None, last: datetime | None) -> tuple[date, date]:
    """Return the days asked for; the last day's month until today by default."""
    last_day = last.date() if last else datetime.now(UTC).date()
    return first.date() if first else last_day.replace(day=1), last_day


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


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _print(value: Any, as_json: bool) -> None:
    """Print one value: JSON, or a line per field."""
    shown = asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
    if as_json:
        print(json.dumps(shown, default=_plain, ensure_ascii=False, indent=1))
        return
    width = max(map(len, shown))
    for name, field in shown.items():
        is_nested = isinstance(field, dict | list | tuple)
        text = json.dumps(field, default=_plain, ensure_ascii=False) if is_nested else _shown(field)
        print(f"{name:<{width}}  {text}")


def _print_rows(rows: Iterable[dict[str, Any]], as_json: bool, widths: dict[str, int] | None = None) -> None:
    """Print rows: a JSON list, or a table cut to readable columns."""
    listed = list(rows)
    if as_json:
        print(json.dumps(listed, default=_plain, ensure_ascii=False, indent=1))
        return
    if not listed:
        print("no rows")
        return
    cells = [{k: _cell(v, (widths or {}).get(k, 44)) for k, v in row.items()} for row in listed]
    names = list(cells[0])
    wide = {n: max(len(n), *(len(c[n]) for c in cells)) for n in names}
    for line in [dict(zip(names, names, strict=True)), *cells]:
        print("  ".join(f"{line[n]:<{wide[n]}}" for n in names).rstrip())


def _cell(value: Any, width: int) -> str:
    plain = f"{value:.6g}" if isinstance(value, float) else _plain(value) if isinstance(value, Decimal | date) else value
    text = " ".join((plain if isinstance(plain, str) else json.dumps(plain, default=_plain, ensure_ascii=False)).split())
    return text if len(text) <= width else text[: width - 1] + "…"


def _shown(value: Any) -> str:
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def _plain(value: Any) -> Any:
    """Return what JSON has no type for as text: money to its last place, dates in ISO form."""
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, date | datetime):
        return value.isoformat()
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, bytes):
        return value.hex()
    raise TypeError(f"{type(value).__name__} has no JSON form")


if __name__ == "__main__":
    main()
