"""Single calls of the ledger and how their costs come about."""

from dataclasses import asdict
from datetime import date, datetime, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer

from skillyard.cli.cost.group import app
from skillyard.cli.options import AsJson, Zone
from skillyard.cli.output import print_rows
from skillyard.settings import Settings

SPAN_DAYS = 31
"""Days that are looked through where none is named."""
_COLUMNS = ("sent_at", "call_id", "status", "use", "purpose", "tier", "model", "skill", "item_id", "run_id", "cost_usd")


@app.command("calls")
def show_calls(
    day: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help=f"The day they were sent; the last {SPAN_DAYS} days by default.")
    ] = None,
    run: Annotated[str | None, typer.Option(help="Calls of this run.")] = None,
    document: Annotated[str | None, typer.Option(help="Calls for this document (doc_id).")] = None,
    item: Annotated[str | None, typer.Option(help="Calls for this item.")] = None,
    skill: Annotated[str | None, typer.Option(help="Calls of this skill.")] = None,
    call: Annotated[str | None, typer.Option(help="This call.")] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Show each meter of a call x its price, to compute its cost by hand.")] = False,
    tz: Zone = None,
    top: Annotated[int, typer.Option(min=1, help="So many of the dearest.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Print calls of the ledger, the dearest first: from a day to the run, the document, the item, the single call.

    use says what a call was for: served (its answer was used), repeated (a later answer of its operation took its place), rejected
    (its item ended as a reject), shared (routing, audit, judge, eval), correction, or none (it was not settled). With --explain, and in
    JSON, each meter's amount x the price whose id stands on the row; their sum, rounded once to 12 places, is the call's cost.
    """
    from skillyard.costs.ledger.drill import explain as explained
    from skillyard.costs.ledger.drill import find_calls
    from skillyard.costs.ledger.zones import load_zone
    from skillyard.costs.prices.book import load_prices

    settings = Settings.from_env()
    zone = load_zone(tz or settings.timezone)
    wanted = {"run_id": run, "doc_id": document, "item_id": item, "skill": skill, "call_id": call}
    filters = {name: value for name, value in wanted.items() if value is not None}
    calls = [_in_zone(one, zone) for one in find_calls(settings, *_days(day, zone), zone, filters, top)]
    book = load_prices(settings)
    if as_json:
        print_rows([one | asdict(explained(one, book)) for one in calls], as_json)
        return
    if not explain:
        print_rows([{name: one[name] for name in _COLUMNS} for one in calls], as_json)
        return
    for one in calls:
        found = explained(one, book)
        print(f"{one['sent_at']:%Y-%m-%d %H:%M:%S%z}  call {one['call_id']}: {one['status']}, use {one['use']}, {one['purpose']}")
        print(f"  {one['tier']}  {one['model']}  {one['lane']}, {one['service_tier']}  by {one['deployment']}")
        print(f"  skill {one['skill']}, item {one['item_id']}, run {one['run_id']}, attempt {one['attempt_no']} of {one['operation_id']}")
        for charge in found.charges:
            print(f"    {charge.shown}")
        if found.computed_usd is not None:
            print(f"    = ${found.computed_usd:f}")
        if found.remark:
            print(f"    {found.remark}")


def _days(day: datetime | None, zone: ZoneInfo) -> tuple[date, date]:
    if day is not None:
        return day.date(), day.date()
    today = datetime.now(zone).date()
    return today - timedelta(days=SPAN_DAYS - 1), today


def _in_zone(call: dict[str, Any], zone: ZoneInfo) -> dict[str, Any]:
    return call | {"sent_at": call["sent_at"].astimezone(zone)}
