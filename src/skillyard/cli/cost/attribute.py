"""The nightly tables of money, by hand."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated

import typer

from skillyard.cli.cost.group import app
from skillyard.cli.options import AsJson
from skillyard.cli.output import print_rows, say
from skillyard.errors import ConfigError
from skillyard.settings import Settings

_COLUMNS = ("day", "n_calls", "n_rows", "cost_usd", "is_changed", "problem")


@app.command("attribute")
def attribute_cost(
    first: Annotated[
        datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="First UTC day; by default the days that changed.")
    ] = None,
    last: Annotated[datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="Last UTC day; by default the first.")] = None,
    accept_loss: Annotated[
        bool, typer.Option("--accept-loss", help="Make these days although calls they were made of are gone from the ledger. Needs --from.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make cost_daily, unit_costs, savings_daily and focus of the ledger: of these days, or of every day that changed.

    A day has changed when rows of the ledger, rejects, audits or prices came that it was not made of. Nothing changed: nothing is read.
    Exit code 2 when a day was left as it is: its calls contradict each other, are negative, or are gone. All other days are made.
    """
    from skillyard.costs.attribution import attribute, attribute_changed, check_reports

    if first is None and (last is not None or accept_loss):
        raise ConfigError("--to and --accept-loss need --from: they are about days that you name.")
    settings = Settings.from_env()
    if first is None:
        reports = attribute_changed(settings)
    else:
        reports = attribute(settings, first.date(), (last or first).date(), accept_loss=accept_loss)
    rows = [asdict(report) for report in reports]
    if as_json:
        print_rows(rows, as_json)
    elif rows:
        print_rows([{name: row[name] for name in _COLUMNS} for row in rows], as_json)
    else:
        say("nothing has changed since the tables were made")
    for report in reports:
        for finding in report.findings:
            say(f"{report.day} {finding.kind}: {finding.message}")
    check_reports(reports)
