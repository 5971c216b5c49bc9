"""Options and arguments that several commands share."""

from datetime import UTC, date, datetime, tzinfo
from decimal import Decimal, InvalidOperation
from typing import Annotated
from uuid import uuid4

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a program to read.")]
SkillName = Annotated[str, typer.Argument(help="A skill's name, see: skillyard skills list", show_default=False)]
RouterVersion = Annotated[str | None, typer.Argument(help="A version; the champion by default.", show_default=False)]
FirstDay = Annotated[
    datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="First UTC day; the first of the last day's month by default.")
]
LastDay = Annotated[datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="Last UTC day; today by default.")]

Zone = Annotated[
    str | None,
    typer.Option("--tz", help="Days of this IANA time zone, such as Europe/Berlin; SKILLYARD_TIMEZONE by default.", show_default=False),
]


def amount(text: str) -> Decimal:
    """Return an amount of USD as typed."""
    try:
        return Decimal(text)
    except InvalidOperation:
        raise typer.BadParameter(f"{text!r} is not an amount of USD such as 2.50") from None


def new_run_id() -> str:
    """Return an id for a run of the command line."""
    return f"cli-{datetime.now(UTC):%Y%m%dT%H%M%S}-{uuid4().hex[:6]}"


def days_of(first: datetime | None, last: datetime | None, zone: tzinfo = UTC) -> tuple[date, date]:
    """Return the days asked for; the last day's month until today, as the zone has it, by default."""
    last_day = last.date() if last else datetime.now(zone).date()
    return first.date() if first else last_day.replace(day=1), last_day
