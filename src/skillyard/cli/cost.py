"""The bill, its flags and its plan."""

from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from skillyard.cli.options import AsJson, FirstDay, LastDay, days_of
from skillyard.cli.output import print_rows, print_value, say
from skillyard.errors import ConfigError
from skillyard.settings import Settings

app = typer.Typer(help="What was spent, by whom, on what.", no_args_is_help=True)
_FLAG_COLUMNS = ("usage_date", "flag", "skill", "message")


@app.command("report")
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

    settings, days = Settings.from_env(), days_of(first, last)
    attribute(settings, *days)
    report = cost_report(settings, *days, by)
    print_rows(report.as_dicts() if as_json else report.bill_rows(), as_json)
    if report.quality_rows() and not as_json:
        print()
        print_rows(report.quality_rows(), as_json)


@app.command("flags")
def show_flags(first: FirstDay = None, last: LastDay = None, as_json: AsJson = False) -> None:
    """Compute the red flags of the last day, and print those of all these days: what is wrong with routing, and what to do.

    Each looks at a week of calls and a month of audits up to its day; docs/operations.md says what the words mean.
    """
    from skillyard.costs.flags import flag_day, read_flags

    settings, days = Settings.from_env(), days_of(first, last)
    say(f"red flags on {days[1]}: {len(flag_day(settings, days[1]))}")
    rows = read_flags(settings, *days)
    print_rows(rows if as_json else [{name: row[name] for name in _FLAG_COLUMNS} for row in rows], as_json, {"message": 400})


@app.command("plan")
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

    plan = make_plan(Settings.from_env(), days_of(None, last)[1])
    if out is not None:
        out.write_text(render(plan), encoding="utf-8")
        say(f"written to {out}")
    if as_json:
        print_value(plan, as_json)
    elif out is None:
        print(render(plan))


@app.command("endpoints")
def report_endpoints(first: FirstDay = None, last: LastDay = None, as_json: AsJson = False) -> None:
    """Compare the deployments: calls, tokens, cost, USD per million tokens; for one paid by the hour, its measured utilisation too."""
    from skillyard.costs.endpoints import endpoint_report

    print_rows([asdict(row) for row in endpoint_report(Settings.from_env(), *days_of(first, last))], as_json)


@app.command("reconcile")
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
    print_value(report, as_json)
    if entries and not as_json:
        print()
        print_rows(entries, as_json)
    if report["n_differing"]:
        raise typer.Exit(1)
