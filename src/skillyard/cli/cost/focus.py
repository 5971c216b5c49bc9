"""The bill in FOCUS for another tool."""

from pathlib import Path
from typing import Annotated

import typer

from skillyard.cli.cost.group import app
from skillyard.cli.options import AsJson, FirstDay, LastDay, days_of
from skillyard.cli.output import print_value, say
from skillyard.settings import Settings


@app.command("focus")
def export_bill(
    out: Annotated[Path, typer.Option(help="The file to write: .parquet, or .csv.", show_default=False)],
    first: FirstDay = None,
    last: LastDay = None,
    as_json: AsJson = False,
) -> None:
    """Write the bill of these days in FOCUS 1.2 as one file, for a FinOps tool to load. Exit code 1 when it is not that of cost_daily.

    Days whose ledger, rejects or prices changed are attributed again first. Decimals are exact: CSV has them in plain text, times as
    2026-01-31T00:00:00Z.
    """
    from skillyard.costs.attribution import attribute_changed, check_range, check_reports
    from skillyard.costs.focus.export import export_focus
    from skillyard.lake.export import check_export
    from skillyard.lake.lake import Lake

    settings, days = Settings.from_env(), days_of(first, last)
    check_range(*days)
    check_export(out)
    check_reports(report for report in attribute_changed(settings) if days[0] <= report.day <= days[1])
    summary = export_focus(Lake(settings.lake), *days, out)
    print_value(summary, as_json)
    if not summary.is_equal:
        say("the bill in FOCUS is not that of cost_daily: make the differing days again, with skillyard cost attribute --from DAY --to DAY")
        raise typer.Exit(1)
