"""Price files: CSV under ``include/prices``, read and checked row by row, and written whole.

``provider``, ``service_tier``, ``context_over``, ``region``, ``currency`` and ``hash`` may be missing: then the provider is what the
model's name begins with, and the price is the standard one in USD for every prompt and region.
"""

import csv
import os
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from itertools import pairwise
from pathlib import Path

from skillyard.costs.prices.price import COLUMNS, SERVICE_TIERS, STANDARD, UNITS, Price, hash_of
from skillyard.errors import ConfigError

REQUIRED = ("price_id", "model", "meter", "unit", "price", "valid_from", "valid_to", "source")
PLACES = 20
MOST_USD = 100_000_000
"""What a price may be: with these bounds every sum over a day's calls stays exact."""


def read_prices(file: Path) -> Iterator[Price]:
    """Yield the rows of one file. ConfigError names file and line of one that is malformed, or altered since its hash was taken."""
    with file.open(encoding="utf-8", newline="") as stream:
        rows = csv.DictReader(stream)
        names = list(rows.fieldnames or ())
        if len(names) != len(set(names)) or not set(REQUIRED) <= set(names) <= set(COLUMNS):
            optional = ", ".join(name for name in COLUMNS if name not in REQUIRED)
            raise ConfigError(
                f"{file}:1: the columns are {', '.join(names)}; they have to be {', '.join(REQUIRED)}, and any of {optional}."
            )
        for row in rows:
            where = f"{file}:{rows.line_num}"
            if None in row or any(value is None for value in row.values()):
                raise ConfigError(f"{where}: the row does not have {len(names)} fields: {', '.join(names)}.")
            yield parse_price(row, where)


def write_prices(file: Path, prices: Iterable[Price]) -> None:
    """Replace the file by these rows; a reader sees the old or the new one."""
    partial = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        with partial.open("w", encoding="utf-8", newline="") as stream:
            rows = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
            rows.writeheader()
            rows.writerows(price.fields() for price in prices)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)


def check_doubles(prices: Iterable[Price]) -> None:
    """Raise ConfigError when two rows share an id, or two prices of the same thing hold on the same day."""
    by_id: dict[str, Price] = {}
    for price in (known := list(prices)):
        other = by_id.setdefault(price.price_id, price)
        if other is not price:
            raise ConfigError(f"{price.where}: price_id {price.price_id!r} stands in {other.where} too; each row needs its own.")
    for earlier, later in pairwise(sorted(known, key=lambda p: (p.key, p.valid_from))):
        if earlier.key == later.key and (earlier.valid_to is None or later.valid_from < earlier.valid_to):
            until = earlier.valid_to or "further notice"
            raise ConfigError(
                f"{later.where}: {later.label} from {later.valid_from} overlaps {earlier.where}, which holds until {until}: "
                "end the earlier one with valid_to."
            )


def parse_price(row: Mapping[str, str], where: str) -> Price:
    """Return the price that a row of a file says. ConfigError names where it stands and what is wrong with it."""
    empty = [name for name in REQUIRED if name != "valid_to" and not row[name].strip()]
    if empty:
        raise ConfigError(f"{where}: {', '.join(empty)} is empty; valid_to may be, and the columns that may be missing.")
    if UNITS.get(row["meter"]) != row["unit"]:
        allowed = ", ".join(f"{meter} per {unit}" for meter, unit in UNITS.items())
        raise ConfigError(f"{where}: meter {row['meter']!r} per {row['unit']!r}: allowed are {allowed}.")
    if (service_tier := row.get("service_tier") or STANDARD) not in SERVICE_TIERS:
        raise ConfigError(f"{where}: service_tier is {service_tier!r}: allowed are {', '.join(SERVICE_TIERS)}.")
    if (currency := row.get("currency") or "USD") != "USD":
        raise ConfigError(f"{where}: currency is {currency!r}: the ledger is in USD; convert the price and say the rate in its source.")
    valid_from, valid_to = _day(row, "valid_from", where), _day(row, "valid_to", where) if row["valid_to"] else None
    if valid_to is not None and valid_to <= valid_from:
        raise ConfigError(f"{where}: valid_to {valid_to} is not after valid_from {valid_from}; it is the first day without this price.")
    price = Price(
        price_id=row["price_id"],
        provider=row.get("provider") or row["model"].split("/", 1)[0],
        model=row["model"],
        meter=row["meter"],
        service_tier=service_tier,
        context_over=_count(row.get("context_over") or "0", where),
        region=row.get("region") or "",
        unit=row["unit"],
        price=_amount(row["price"], where),
        currency=currency,
        valid_from=valid_from,
        valid_to=valid_to,
        source=row["source"],
        hash=row.get("hash") or "",
        where=where,
    )
    if price.hash and price.hash != hash_of(price):
        raise ConfigError(
            f"{where}: price {price.price_id!r} was altered after it was written: its hash would be {hash_of(price)}, not {price.hash}. "
            "History is not edited: restore the row, close it and open a new one with `skillyard prices add`."
        )
    return price


def _day(row: Mapping[str, str], column: str, where: str) -> date:
    try:
        return date.fromisoformat(row[column])
    except ValueError:
        raise ConfigError(f"{where}: {column} is {row[column]!r}: it has to be a day such as 2026-01-31.") from None


def _count(text: str, where: str) -> int:
    if not text.isdecimal():
        raise ConfigError(f"{where}: context_over is {text!r}: it has to be a whole number of tokens, 0 or more.")
    return int(text)


def _amount(text: str, where: str) -> Decimal:
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or not 0 <= amount < MOST_USD or amount != round(amount, PLACES):
        allowed = f"a decimal number of USD, 0 or more, below {MOST_USD}, with at most {PLACES} places"
        raise ConfigError(f"{where}: price is {text!r}: it has to be {allowed}.")
    return amount
