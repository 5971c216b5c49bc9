"""Changes of the price book: a price ends on the day the next one begins, and no row is edited otherwise.

What a call cost stands in the ledger with the ids of its prices, whatever becomes of the book.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from pathlib import Path

from skillyard.costs.prices.book import own_prices
from skillyard.costs.prices.files import check_doubles, parse_price, read_prices, write_prices
from skillyard.costs.prices.price import SERVICE_TIERS, STANDARD, UNITS, Listed, Price, hash_of, plain
from skillyard.errors import ConfigError
from skillyard.gateway.litellm_prices import litellm_prices, litellm_source
from skillyard.lake.contents import find_contents
from skillyard.lake.cost_tables import COST_DAILY
from skillyard.lake.lake import Lake
from skillyard.lake.manifest import day_of
from skillyard.settings import Settings


@dataclass(frozen=True, slots=True)
class NewPrice:
    """What a unit of a meter costs from a day on."""

    model: str
    meter: str
    price: Decimal
    valid_from: date
    source: str
    service_tier: str = STANDARD
    context_over: int = 0
    region: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """One row that begins, and the one that ends with it."""

    file: Path
    opened: Price
    closed: Price | None


def plan_price(settings: Settings, new: NewPrice, today: date, *, may_back_date: bool = False) -> Change:
    """Return what adding a price would do. ConfigError for one that is not newer than the open one, or that begins before today."""
    if new.valid_from < today and not may_back_date:
        raise ConfigError(
            f"{new.valid_from} is in the past: calls since then are in the ledger at the prices of their days. "
            f"Let the price begin on {today} or later; or use --back-dated, which leaves what those calls cost as it is, "
            "and attribute the days that it names again."
        )
    rows = _rows(settings)
    opened = _row(new, {p.price_id for p in rows})
    last = max((p for p in rows if p.key == opened.key), key=lambda p: p.valid_from, default=None)
    if last is None:
        return Change(_file_of(settings, opened, rows), opened, None)
    if new.valid_from <= last.valid_from:
        raise ConfigError(
            f"{last.where}: {last.label} costs {plain(last.price)} from {last.valid_from}: a new price has to begin later than that, "
            f"not on {new.valid_from}."
        )
    is_open = last.valid_to is None or last.valid_to > new.valid_from
    if is_open and last.price == new.price:
        raise ConfigError(
            f"{last.where}: {last.label} costs {plain(last.price)} already, since {last.valid_from}: there is nothing to change."
        )
    closed = replace(last, valid_to=new.valid_from) if is_open else None
    return Change(Path(last.where.rpartition(":")[0]), opened, closed)


def plan_seed(settings: Settings, model: str, valid_from: date) -> list[Change]:
    """Return the rows that litellm's map has for a model. ConfigError when it has none, or the book has a row for the model already."""
    rows = _rows(settings)
    if known := [p for p in rows if p.model == model]:
        raise ConfigError(f"{known[0].where}: the book has prices for {model} already; change one with `skillyard prices add`.")
    listed = litellm_prices(model)
    if not {"input", "output"} <= {one.meter for one in listed if one.service_tier == STANDARD}:
        raise ConfigError(f"{litellm_source()} has no price by token for {model}: add its prices with `skillyard prices add`.")
    taken = {p.price_id for p in rows}
    opened = [_row(_as_new(model, one, valid_from), taken) for one in sorted(listed, key=_order)]
    return [Change(_file_of(settings, price, rows), price, None) for price in opened]


def apply(settings: Settings, changes: Sequence[Change]) -> None:
    """Write the files anew, each in one step, after the whole book with the changes has been checked."""
    rows = _rows(settings)
    closed = {change.closed.price_id: change.closed for change in changes if change.closed}
    files: dict[Path, list[Price]] = {change.file: [] for change in changes}
    for price in rows:
        files.setdefault(Path(price.where.rpartition(":")[0]), []).append(closed.get(price.price_id, price))
    for change in changes:
        files[change.file].append(change.opened)
    check_doubles(price for own in files.values() for price in own)
    for file in {change.file for change in changes}:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_prices(file, files[file])


def attributed_days(settings: Settings, since: date) -> list[date]:
    """Return the days from one on that stand in ``cost_daily``."""
    days = {date.fromisoformat(day_of(key)) for key in find_contents(Lake(settings.lake), COST_DAILY).keys}
    return sorted(day for day in days if day >= since)


def _rows(settings: Settings) -> list[Price]:
    files = (*sorted((settings.include / "prices").glob("*.csv")), *own_prices(settings))
    return [price for file in files for price in read_prices(file)]


def _as_new(model: str, listed: Listed, valid_from: date) -> NewPrice:
    source = f"{litellm_source()}: {listed.how}" if listed.how else litellm_source()
    return NewPrice(model, listed.meter, listed.price, valid_from, source, listed.service_tier, listed.context_over)


def _row(new: NewPrice, taken: Collection[str]) -> Price:
    provider, _, name = new.model.rpartition("/")
    special = "" if new.service_tier == STANDARD else f"{new.service_tier}_"
    special = f"{special}{new.meter}{f'_over_{new.context_over}' if new.context_over else ''}{f'_{new.region}' if new.region else ''}"
    price_id = f"{name}.{special}.{new.valid_from}"
    fields = {
        "price_id": f"{provider}.{price_id}" if price_id in taken else price_id,
        "model": new.model,
        "meter": new.meter,
        "service_tier": new.service_tier,
        "context_over": str(new.context_over),
        "region": new.region,
        "unit": UNITS.get(new.meter, "?"),
        "price": str(new.price),
        "valid_from": new.valid_from.isoformat(),
        "valid_to": "",
        "source": new.source,
    }
    price = parse_price(fields, "the new price")
    return replace(price, hash=hash_of(price))


def _file_of(settings: Settings, price: Price, rows: Iterable[Price]) -> Path:
    """Return where the model's other prices are, else the file of its provider."""
    known = next((p for p in rows if p.model == price.model), None)
    return Path(known.where.rpartition(":")[0]) if known else settings.include / "prices" / f"{price.provider}.csv"


def _order(listed: Listed) -> tuple[int, int, int]:
    return (SERVICE_TIERS.index(listed.service_tier), listed.context_over, list(UNITS).index(listed.meter))
