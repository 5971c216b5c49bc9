"""What is wrong with the bill, and what to change: flags, plan, endpoints."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from skillyard.cli.cost.group import app
from skillyard.cli.options import AsJson, FirstDay, LastDay, days_of
from skillyard.cli.output import print_rows, print_value, say
from skillyard.settings import Settings

_FLAG_COLUMNS = ("usage_date", "flag", "skill", "message")


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
    from skillyard.costs.plan.plan import make_plan
    from skillyard.costs.plan.text import render

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
