"""The bill of some days."""

from typing import Annotated

import typer

from skillyard.cli.cost.group import app
from skillyard.cli.options import AsJson, FirstDay, LastDay, days_of
from skillyard.cli.output import print_rows
from skillyard.settings import Settings


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
