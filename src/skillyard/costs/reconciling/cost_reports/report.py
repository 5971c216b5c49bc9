"""What a provider's cost report says, in one form for all of them: charges and token counts by UTC day, in exact decimals."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from skillyard.errors import ConfigError

PROVIDERS = ("openai", "anthropic", "bedrock")
PARTS = ("input", "cache_read", "cache_write", "cache_write_1h", "output")
"""What tokens are charged as: the meters of the price book."""
REQUESTS = "requests"
"""A count of requests beside those of tokens."""
MOST_USD = 100_000_000
"""What one line of a report may ask for, either way; above it the column is surely another one."""
PLACES = 12
"""Of USD in the ledger: a report's amounts may have more, its sums are rounded to them once."""
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Charge:
    """One line of a report."""

    day: date
    item: str
    """As the report names it."""
    model: str
    """The model as the report names it; empty for what is of no model."""
    is_tokens: bool
    """It is for tokens of the model; else for something beside them, such as searches."""
    amount_usd: Decimal
    """Negative for a credit."""
    project: str
    """The project, workspace or account that it was charged to; empty where the report does not say."""


@dataclass(frozen=True, slots=True)
class TokenCount:
    """How many tokens of a model were charged as ``part`` in one of its price lists; or how many requests it had."""

    day: date
    model: str
    service_tier: str
    part: str
    n: int
    project: str


@dataclass(frozen=True, slots=True)
class CostReport:
    """What a provider asks for on some days."""

    provider: str
    source: str
    """The names of its files, or api."""
    days: tuple[date, ...]
    """The UTC days that it is whole for, in order."""
    charges: tuple[Charge, ...]
    counts: tuple[TokenCount, ...]
    notes: tuple[str, ...] = ()
    """What a reader has to know of it."""

    @property
    def unit_usd(self) -> Decimal:
        """The last place that it states amounts to, where they are rounded: that of the finest one, a cent at most."""
        places = max((-int(charge.amount_usd.as_tuple().exponent) for charge in self.charges), default=PLACES)
        return Decimal(1).scaleb(-min(max(places, 2), PLACES))


def narrowed(report: CostReport, first: date | None, last: date | None, projects: Sequence[str] = ()) -> CostReport:
    """Return the part of the report that is of these days and projects; it is taken to be whole for days given by both ends.

    ConfigError for a project that it does not have: a slip would read as a bill of nothing.
    """
    found = ({charge.project for charge in report.charges} | {count.project for count in report.counts}) - {""}
    for name in projects:
        if name not in found:
            raise ConfigError(
                f"the report has no charges of project {name!r}; it has those of {', '.join(sorted(found)) or 'none by name'}."
            )

    def is_meant(line: Charge | TokenCount) -> bool:
        is_then = (first is None or first <= line.day) and (last is None or line.day <= last)
        return is_then and (not projects or line.project in projects)

    days = report.days
    if first is not None and last is not None:
        days = tuple(days_between(first, last))
    return replace(
        report,
        days=tuple(day for day in days if (first is None or first <= day) and (last is None or day <= last)),
        charges=tuple(charge for charge in report.charges if is_meant(charge)),
        counts=tuple(count for count in report.counts if is_meant(count)),
    )


def days_between(first: date, last: date) -> list[date]:
    """Return the days from first to last."""
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def whole_day(start: datetime, end: datetime, today: date, where: str) -> date:
    """Return the UTC day that a bucket is for; ConfigError unless it is exactly one, and over."""
    begins, ends = start.astimezone(UTC), end.astimezone(UTC)
    if begins.time() != datetime.min.time() or ends - begins != DAY:
        raise ConfigError(
            f"{where}: it goes from {begins:%Y-%m-%dT%H:%M:%SZ} to {ends:%Y-%m-%dT%H:%M:%SZ}: it has to be one whole UTC day."
        )
    return over(begins.date(), today, where)


def over(day: date, today: date, where: str) -> date:
    """Return the day; ConfigError for one that is not over: its charges are not all there yet."""
    if day >= today:
        raise ConfigError(f"{where}: {day} is not over yet (UTC), so its charges are not all there: leave it out, by --to {today - DAY}.")
    return day


def amount(value: Any, name: str, where: str) -> Decimal:
    """Return an amount exactly as it is written."""
    number = decimal(value)
    if not number.is_finite() or abs(number) >= MOST_USD:
        raise ConfigError(f"{where}: {name} is {shown(value)}: it has to be an amount below {MOST_USD}.")
    return number


def decimal(value: Any) -> Decimal:
    """Return the number as it reads, NaN for what is none; a float of a binary file is its shortest decimal form."""
    try:
        is_number = isinstance(value, str | int | float | Decimal) and not isinstance(value, bool)
        return Decimal(str(value).strip()) if is_number else Decimal("NaN")
    except InvalidOperation:
        return Decimal("NaN")


def count(value: Any, name: str, where: str) -> int:
    """Return a whole number of tokens; an empty one is 0."""
    if value is None or value == "":
        return 0
    number = decimal(value)
    if not number.is_finite() or number < 0 or number != number.to_integral_value():
        raise ConfigError(f"{where}: {name} is {shown(value)}: it has to be a whole number, 0 or more.")
    return int(number)


def usd(currency: Any, where: str) -> None:
    """Refuse another currency: the ledger is in USD, and a rate of exchange would be a guess."""
    if str(currency or "").upper() != "USD":
        raise ConfigError(f"{where}: the currency is {shown(currency)}: it has to be USD.")


def moment(text: Any, where: str) -> datetime:
    """Return a time in ISO 8601; one without an offset is in UTC, as exports write it."""
    try:
        parsed = datetime.fromisoformat(str(text).strip().replace(" UTC", "+00:00"))
    except ValueError:
        raise ConfigError(f"{where}: {shown(text)} is not a time such as 2026-11-01T00:00:00Z.") from None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def shown(value: Any) -> str:
    """Return a value for a message, cut."""
    return repr(value if isinstance(value, str) else str(value))[:60]
