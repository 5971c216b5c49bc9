"""The price book."""

from dataclasses import asdict
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any

import typer

from skillyard.cli.options import AsJson
from skillyard.cli.output import print_rows, say
from skillyard.errors import ConfigError
from skillyard.settings import Settings

app = typer.Typer(help="The price book: what each model costs, from which day on.", no_args_is_help=True)

OnDay = Annotated[datetime | None, typer.Option("--on", formats=["%Y-%m-%d"], help="A UTC day; today by default.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be written, and write nothing.")]


def price_of(text: str) -> Decimal:
    """Return a price as typed; the book says what it may be."""
    try:
        return Decimal(text)
    except ArithmeticError:
        raise typer.BadParameter(f"{text!r} is not a price in USD such as 0.0000025") from None


@app.command("list")
def list_prices(
    model: Annotated[str | None, typer.Option(help="Only models whose name holds this.")] = None,
    on: OnDay = None,
    is_all: Annotated[bool, typer.Option("--all", help="Prices of all days, also those that ended or have yet to begin.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the prices of a day with where they come from, in USD per unit."""
    from skillyard.costs.prices.book import load_prices

    if is_all and on:
        raise ConfigError("--all is for every day: leave out --on, or leave out --all.")
    day = _day(on)
    rows = [
        price.fields() for price in load_prices(Settings.from_env()) if (model or "") in price.model and (is_all or price.holds_on(day))
    ]
    shown = ("model", "meter", "service_tier", "context_over", "region", "price", "unit", "valid_from", "valid_to", "source")
    print_rows(rows if as_json else ({name: row[name] for name in shown} for row in rows), as_json)


@app.command("check")
def check(on: OnDay = None, as_json: AsJson = False) -> None:
    """Compare the book with litellm's map and with genai-prices, both as installed. Exit code 1 when a price differs.

    Either may be wrong: look a difference up at the provider, then add the price, or leave it. Only genai-prices has prices by date.
    """
    from skillyard.costs.prices.check import check_prices

    found = check_prices(Settings.from_env(), _day(on))
    n_differing = sum(one.differs for one in found)
    print_rows(map(asdict, found), as_json, widths={"note": 60})
    say(f"{n_differing} prices differ, {len(found) - n_differing} cannot be compared")
    if n_differing:
        raise typer.Exit(1)


@app.command("add")
def add(
    model: Annotated[str, typer.Argument(help="As in a profile, such as openai/gpt-6-luna.", show_default=False)],
    meter: Annotated[
        str, typer.Argument(help="input, cache_read, cache_write, cache_write_1h, output, image, request or compute_s.", show_default=False)
    ],
    price: Annotated[Decimal, typer.Argument(parser=price_of, metavar="PRICE", help="USD per unit: token, image, …", show_default=False)],
    source: Annotated[str, typer.Option(help="Where the price comes from: an address and the day it was read.", show_default=False)],
    valid_from: Annotated[
        datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="First UTC day of the price; tomorrow by default.")
    ] = None,
    service_tier: Annotated[str, typer.Option(help="standard, batch, flex or priority.")] = "standard",
    context_over: Annotated[int, typer.Option(min=0, help="For prompts of more tokens than these.")] = 0,
    region: Annotated[str, typer.Option(help="For deployments in this region alone.")] = "",
    is_back_dated: Annotated[bool, typer.Option("--back-dated", help="The price may begin in the past.")] = False,
    is_dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """End the present price of a meter on the day the new one begins. Rows are never edited otherwise.

    What calls cost stays in the ledger as it is, also with --back-dated: then the days to attribute again are named, whose
    baselines and savings the new price changes.
    """
    from skillyard.costs.prices.changes import NewPrice, apply, attributed_days, plan_price

    settings, today = Settings.from_env(), _day(None)
    first = valid_from.date() if valid_from else date.fromordinal(today.toordinal() + 1)
    new = NewPrice(model, meter, price, first, source, service_tier, context_over, region)
    change = plan_price(settings, new, today, may_back_date=is_back_dated)
    if not is_dry_run:
        apply(settings, [change])
    rows = [{"change": "closed", **change.closed.fields()}] if change.closed else []
    _show([*rows, {"change": "opened", **change.opened.fields()}], as_json)
    if days := attributed_days(settings, first):
        say(f"{len(days)} attributed days are by the price before: skillyard cost attribute --from {days[0]} --to {days[-1]}")


@app.command("seed")
def seed(
    models: Annotated[
        list[str], typer.Argument(help="Models that the book does not have yet, such as openai/gpt-6-luna.", show_default=False)
    ],
    valid_from: Annotated[
        datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="First UTC day of the prices; today by default.")
    ] = None,
    is_dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Take up all prices that litellm's map, as installed, has for models: every service tier and context tier."""
    from skillyard.costs.prices.changes import apply, plan_seed

    settings, changes = Settings.from_env(), []
    for model in dict.fromkeys(models):
        changes += plan_seed(settings, model, _day(valid_from))
    if not is_dry_run:
        apply(settings, changes)
    _show([{"change": "opened", **change.opened.fields()} for change in changes], as_json)


def _day(asked: datetime | None) -> date:
    return (asked or datetime.now(UTC)).date()


def _show(rows: list[dict[str, Any]], as_json: bool) -> None:
    shown = ("change", "price_id", "model", "meter", "service_tier", "context_over", "region", "price", "unit", "valid_from", "valid_to")
    print_rows(rows if as_json else ({name: row[name] for name in shown} for row in rows), as_json)
