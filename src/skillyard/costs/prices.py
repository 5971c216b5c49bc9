"""The price book: effective-dated prices from CSV files, exact in decimals.

A model is priced by tokens (``input`` and ``output``, with ``cache_read`` and ``cache_write`` where the provider has them)
or by seconds of own compute (``compute_s``). In the lane ``batch``, a provider's batch API, it is priced by the meters of the same
names that begin with ``batch_``. A day's calls cost what stood in the book for that UTC day.
"""

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import ROUND_CEILING, ROUND_HALF_EVEN, Decimal, InvalidOperation
from itertools import pairwise
from pathlib import Path

from skillyard.errors import ConfigError, Unpriced
from skillyard.settings import Settings

PLACES = Decimal("0.000000000001")
PRICE_PLACES = 20
MOST_USD = 100_000_000
"""What a price may be: with these bounds every sum over a day's calls stays exact."""
UNITS = {
    "input": "token",
    "cache_read": "token",
    "cache_write": "token",
    "output": "token",
    "compute_s": "second",
    "batch_input": "token",
    "batch_cache_read": "token",
    "batch_cache_write": "token",
    "batch_output": "token",
}
"""Every meter and the unit its price is for."""
CHARGED: dict[str, dict[str, tuple[str, ...]]] = {
    "live": {
        "input": ("input",),
        "cache_read": ("cache_read", "input"),
        "cache_write": ("cache_write", "input"),
        "output": ("output",),
        "compute_s": ("compute_s",),
    },
    "batch": {
        "input": ("batch_input",),
        "cache_read": ("batch_cache_read", "batch_input"),
        "cache_write": ("batch_cache_write", "batch_input"),
        "output": ("batch_output",),
        "compute_s": (),
    },
}
"""By lane: the meters whose price each part of a usage is charged, the first that the model has."""
COLUMNS = ("price_id", "model", "meter", "unit", "price_usd", "valid_from", "valid_to", "source")


@dataclass(frozen=True, slots=True)
class Usage:
    """What one attempt used. The meters are disjoint; reasoning is a memo inside the output, idle time one inside ``compute_s``."""

    input_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    compute_s: Decimal = Decimal(0)
    cache_write_1h_tokens: int = 0
    """Written to a cache that holds for an hour; ``cache_write_tokens`` hold for minutes."""
    n_images: int = 0
    idle_s: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class Cost:
    """USD to 12 places, rounded once, half-even; and the rows of the book that made it."""

    usd: Decimal
    price_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Price:
    """One row of the book: it holds from ``valid_from`` until the day before ``valid_to``."""

    price_id: str
    model: str
    meter: str
    price_usd: Decimal
    valid_from: date
    valid_to: date | None
    source: str
    where: str
    """File and line."""

    def holds_on(self, day: date) -> bool:
        """Say whether the price applies on a day."""
        return self.valid_from <= day and (self.valid_to is None or day < self.valid_to)


class PriceBook:
    """The prices of all models. ``load`` reads ``include/prices/*.csv`` and any further files."""

    def __init__(self, prices: Iterable[Price], files: Iterable[Path] = ()) -> None:
        self._files = tuple(files)
        self._by_model: dict[str, list[Price]] = {}
        for price in prices:
            self._by_model.setdefault(price.model, []).append(price)
        self._of_day: dict[tuple[str, date, str], dict[str, Price]] = {}

    @classmethod
    def load(cls, include: Path, *extra: Path) -> "PriceBook":
        """Read the book. ConfigError names file and line of a malformed, doubled or overlapping row."""
        files = (*sorted((include / "prices").glob("*.csv")), *extra)
        prices = [price for file in files for price in _read(file)]
        _reject_doubles(prices)
        return cls(prices, files)

    def cost(self, model: str, usage: Usage, at: datetime, lane: str = "live") -> Cost:
        """Return what the usage costs at the lane's prices of that UTC day; Unpriced when the model has none."""
        prices = self._prices(model, at, lane)
        exact, used = Decimal(0), []
        for part, amount in _parts(usage):
            price = prices.get(part)
            if amount and price is not None:
                exact += price.price_usd * amount
                used.append(price.price_id)
        return Cost(exact.quantize(PLACES, ROUND_HALF_EVEN), tuple(dict.fromkeys(used)))

    def upper_bound(
        self, model: str, input_tokens: int, output_tokens: int, compute_s: Decimal | float, at: datetime, lane: str = "live"
    ) -> Decimal:
        """Return a cost no attempt of this size can exceed: input at its dearest price, ``compute_s`` the most it can take, rounded up."""
        rates = self.rates(model, at, lane)
        tokens = max(rates["input"], rates["cache_read"], rates["cache_write"]) * input_tokens + rates["output"] * output_tokens
        return (tokens + rates["compute_s"] * Decimal(str(compute_s))).quantize(PLACES, ROUND_CEILING)

    def check(self, model: str, at: datetime, lane: str = "live") -> None:
        """Raise Unpriced unless the model can be priced in that lane on that UTC day."""
        self._prices(model, at, lane)

    def rates(self, model: str, at: datetime, lane: str = "live") -> dict[str, Decimal]:
        """Return USD per unit of each part of a usage on that UTC day, 0 for what is not charged; Unpriced when the model has no price."""
        prices = self._prices(model, at, lane)
        return {part: prices[part].price_usd if part in prices else Decimal(0) for part in CHARGED[lane]}

    def _prices(self, model: str, at: datetime, lane: str) -> dict[str, Price]:
        """Return the price of each part of a usage that is charged."""
        if at.tzinfo is None:
            raise ValueError(f"{at} has no time zone: prices are looked up by UTC day")
        key = (model, at.astimezone(UTC).date(), lane)
        if key not in self._of_day:
            self._of_day[key] = self._find(*key)
        return self._of_day[key]

    def _find(self, model: str, day: date, lane: str) -> dict[str, Price]:
        found = {p.meter: p for p in self._by_model.get(model, ()) if p.holds_on(day)}
        chosen = {part: next((found[m] for m in meters if m in found), None) for part, meters in CHARGED[lane].items()}
        prices = {part: price for part, price in chosen.items() if price is not None}
        if "compute_s" not in prices and not {"input", "output"} <= prices.keys():
            raise Unpriced(self._why_unpriced(model, day, lane, found))
        return prices

    def _why_unpriced(self, model: str, day: date, lane: str, found: Iterable[str]) -> str:
        files = ", ".join(str(f) for f in self._files) or "no price file"
        known = self._by_model.get(model, [])
        if not known:
            detail = "the model is in none of them"
        elif not list(found):
            periods = (f"{p.meter} from {p.valid_from} until {p.valid_to or 'further notice'}" for p in known)
            detail = f"its prices there hold: {'; '.join(periods)}"
        else:
            detail = f"only {', '.join(sorted(found))} has a price that day"
        missing = {
            "live": "input and output (per token) or for compute_s (per second)",
            "batch": "batch_input and batch_output (per token)",
        }
        return f"model {model!r} has no {lane} price on {day}: {detail}. Looked in {files}. Add rows for {missing[lane]}."


def load_prices(settings: Settings) -> PriceBook:
    """Read the installation's book; a profile given by its path may have a ``prices.csv`` beside it."""
    beside = Path(settings.profile).with_name("prices.csv")
    is_path = settings.profile.endswith((".yaml", ".yml"))
    return PriceBook.load(settings.include, *([beside] if is_path and beside.is_file() else []))


def _parts(usage: Usage) -> Iterator[tuple[str, int | Decimal]]:
    yield "input", usage.input_tokens
    yield "cache_read", usage.cache_read_tokens
    yield "cache_write", usage.cache_write_tokens
    yield "output", usage.output_tokens
    yield "compute_s", usage.compute_s


def _read(file: Path) -> Iterator[Price]:
    """Yield the rows of one file."""
    with file.open(encoding="utf-8", newline="") as stream:
        rows = csv.DictReader(stream)
        if tuple(rows.fieldnames or ()) != COLUMNS:
            raise ConfigError(f"{file}:1: the columns are {', '.join(rows.fieldnames or ())}; they have to be {', '.join(COLUMNS)}.")
        for row in rows:
            yield _parse(row, f"{file}:{rows.line_num}")


def _parse(row: dict[str, str], where: str) -> Price:
    if None in row or any(value is None for value in row.values()):
        raise ConfigError(f"{where}: the row does not have {len(COLUMNS)} fields: {', '.join(COLUMNS)}.")
    empty = [name for name in COLUMNS if name != "valid_to" and not row[name].strip()]
    if empty:
        raise ConfigError(f"{where}: {', '.join(empty)} is empty; only valid_to may be.")
    if UNITS.get(row["meter"]) != row["unit"]:
        allowed = ", ".join(f"{meter} per {unit}" for meter, unit in UNITS.items())
        raise ConfigError(f"{where}: meter {row['meter']!r} per {row['unit']!r}: allowed are {allowed}.")
    valid_from, valid_to = _day(row, "valid_from", where), _day(row, "valid_to", where) if row["valid_to"] else None
    if valid_to is not None and valid_to <= valid_from:
        raise ConfigError(f"{where}: valid_to {valid_to} is not after valid_from {valid_from}; it is the first day without this price.")
    return Price(row["price_id"], row["model"], row["meter"], _amount(row, where), valid_from, valid_to, row["source"], where)


def _day(row: dict[str, str], column: str, where: str) -> date:
    try:
        return date.fromisoformat(row[column])
    except ValueError:
        raise ConfigError(f"{where}: {column} is {row[column]!r}: it has to be a day such as 2026-01-31.") from None


def _amount(row: dict[str, str], where: str) -> Decimal:
    try:
        amount = Decimal(row["price_usd"])
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or not 0 <= amount < MOST_USD or amount != round(amount, PRICE_PLACES):
        allowed = f"a decimal number of USD, 0 or more, below {MOST_USD}, with at most {PRICE_PLACES} places"
        raise ConfigError(f"{where}: price_usd is {row['price_usd']!r}: it has to be {allowed}.")
    return amount


def _reject_doubles(prices: list[Price]) -> None:
    """Raise when two rows share an id, or two prices of one meter hold on the same day."""
    by_id: dict[str, Price] = {}
    for price in prices:
        other = by_id.setdefault(price.price_id, price)
        if other is not price:
            raise ConfigError(f"{price.where}: price_id {price.price_id!r} stands in {other.where} too; each row needs its own.")
    ordered = sorted(prices, key=lambda p: (p.model, p.meter, p.valid_from))
    for earlier, later in pairwise(ordered):
        is_same = (earlier.model, earlier.meter) == (later.model, later.meter)
        if is_same and (earlier.valid_to is None or later.valid_from < earlier.valid_to):
            until = earlier.valid_to or "further notice"
            raise ConfigError(
                f"{later.where}: {later.model} {later.meter} from {later.valid_from} overlaps {earlier.where}, which holds until {until}: "
                "end the earlier one with valid_to."
            )
