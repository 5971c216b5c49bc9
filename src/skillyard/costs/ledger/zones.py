"""Days of a reporting time zone: intervals of instants, 23 or 25 hours long where the clocks change."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from skillyard.errors import ConfigError

UTC_NAME = "UTC"


def load_zone(name: str) -> ZoneInfo:
    """Return an IANA time zone; ConfigError for a name that is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ConfigError(
            f"{name!r} is no time zone: --tz and SKILLYARD_TIMEZONE take an IANA name such as UTC, Europe/Berlin or America/New_York."
        ) from None


def start_of(day: date, zone: ZoneInfo) -> datetime:
    """Return the instant, in UTC, at which a day begins: its midnight, the first where there are two, or the jump where there is none."""
    return datetime.combine(day, time(), zone).astimezone(UTC)


def interval_of(first: date, last: date, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Return the instants [start, end) of the days from first to last."""
    return start_of(first, zone), start_of(last + timedelta(days=1), zone)


def utc_days(start: datetime, end: datetime) -> tuple[date, date]:
    """Return the first and the last UTC day that [start, end) touches."""
    return start.date(), (end - timedelta(microseconds=1)).date()


def days_between(first: date, last: date) -> list[date]:
    """Return every day from first to last."""
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def today_in(zone: ZoneInfo) -> date:
    """Return the day it is now."""
    return datetime.now(zone).date()
