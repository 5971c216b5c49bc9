"""The bill of some days, as tables and as a page."""

from datetime import date, datetime
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from skillyard.cli.cost.group import app
from skillyard.cli.options import AsJson, Zone, days_of
from skillyard.cli.output import print_rows, say
from skillyard.settings import Settings


@app.command("report")
def report_cost(
    first: Annotated[
        datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="First day; the first of the last day's month by default.")
    ] = None,
    last: Annotated[datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="Last day; today by default.")] = None,
    by: Annotated[str, typer.Option(help="team, skill, tier, model, dag, purpose, run or document.")] = "skill",
    tz: Zone = None,
    top: Annotated[int, typer.Option(min=1, help="By run or document: name so many of the dearest; the others are one row.")] = 50,
    as_page: Annotated[
        bool, typer.Option("--html", help="Write the report as one HTML page with charts, into the lake's folder _reports.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="With --html: write it to this file instead.")] = None,
    as_json: AsJson = False,
) -> None:
    """Attribute the ledger of these days and print the bill: what was charged, and of what it is made. Sums agree to the last decimal.

    charged = direct + waste + allocated; cost = direct + waste + shared, of which idle pays for idle time of own endpoints; unknown is the
    most that calls of unknown outcome can have cost and in no sum; saved is what answers from the cache once cost. By team, skill and tier
    also the same work sent to the expert tier and what routing, cache and batch saved. By skill also what routing keeps of its quality
    (estimate, 95 % interval, audited items, target, router) and its red flags. By run and document from the ledger, without allocation.
    Drill down: skillyard cost calls.
    """
    from skillyard.costs.attribution import attribute, check_range
    from skillyard.costs.ledger.zones import interval_of, load_zone, utc_days
    from skillyard.costs.page.reading import first_before
    from skillyard.costs.report import cost_report

    settings = Settings.from_env()
    zone = load_zone(tz or settings.timezone)
    days = days_of(first, last, zone)
    check_range(*days)
    earliest = first_before(*days) if as_page else days[0]
    for refused in attribute(settings, *utc_days(*interval_of(earliest, days[1], zone))):
        if refused.problem:
            say(f"{refused.day} stands as it was last attributed: {refused.problem}")
    report = cost_report(settings, *days, by, zone, top)
    if as_page:
        say(f"written to {_write_page(settings, *days, zone, out)}")
    print_rows(report.as_dicts() if as_json else report.bill_rows(), as_json)
    for rows in (report.savings_rows(), report.quality_rows()):
        if rows and not as_json:
            print()
            print_rows(rows, as_json)


def _write_page(settings: Settings, first: date, last: date, zone: ZoneInfo, out: Path | None) -> str:
    """Write the page and return where it is."""
    from skillyard.lake.lake import Lake
    from skillyard.running.nightly import render_days

    page = render_days(settings, first, last, zone).encode()
    if out is not None:
        out.write_bytes(page)
        return str(out)
    lake, key = Lake(settings.lake), f"_reports/cost-{first}-{last}.html"
    lake.storage.put(key, page)
    return lake.storage.uri(key)
