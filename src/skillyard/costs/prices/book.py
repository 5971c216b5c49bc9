"""The price book: effective-dated prices, exact in decimals.

A model is priced by tokens (``input`` and ``output``, with the cache's meters where the provider has them), by seconds of own compute
(``compute_s``), and by image and request where that is charged. A provider has a price list by service tier (``batch`` is its batch API),
may charge more for long prompts, and otherwise in a region. A day's calls cost what stood in the book for that UTC day.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import ROUND_CEILING, ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import Any

from skillyard.costs.prices.files import check_doubles, read_prices
from skillyard.costs.prices.price import BATCH, STANDARD, Price
from skillyard.errors import Unpriced
from skillyard.settings import Settings

__all__ = ["BATCH", "CHARGED", "METERS", "PLACES", "PROMPT", "STANDARD", "Cost", "Price", "PriceBook", "Usage", "load_prices", "usage_of"]

PLACES = Decimal("0.000000000001")
ZERO = Decimal(0)
CHARGED: dict[str, tuple[str, ...]] = {
    "input": ("input",),
    "cache_read": ("cache_read", "input"),
    "cache_write": ("cache_write", "input"),
    "cache_write_1h": ("cache_write_1h", "cache_write", "input"),
    "output": ("output",),
    "image": ("image",),
    "request": ("request",),
    "compute_s": ("compute_s",),
}
"""Each part of a usage, and the meters by whose price it is charged: the first that the model has in that service tier."""
METERS = (
    "input_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "output_tokens",
    "n_images",
    "compute_s",
)
"""The columns of ``llm_calls`` that a cost is made of."""
PROMPT = ("input", "cache_read", "cache_write", "cache_write_1h")
ALIKE = ("image", "request")
"""What costs as in the standard tier where a service tier has no price of its own for it."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What one attempt used. The meters are disjoint; reasoning is a memo inside the output, idle time one inside ``compute_s``."""

    input_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    compute_s: Decimal = ZERO
    cache_write_1h_tokens: int = 0
    """Written to a cache that holds for an hour; ``cache_write_tokens`` hold for minutes."""
    n_images: int = 0
    idle_s: Decimal = ZERO

    @property
    def prompt_tokens(self) -> int:
        """All that was sent: what the context tier goes by."""
        return self.input_tokens + self.cache_read_tokens + self.cache_write_tokens + self.cache_write_1h_tokens


NOTHING = Usage()


@dataclass(frozen=True, slots=True)
class Cost:
    """USD to 12 places, rounded once, half-even; and the rows of the book that made it."""

    usd: Decimal
    price_ids: tuple[str, ...]
    service_tier: str = STANDARD
    """The price list they are of."""


@dataclass(frozen=True, slots=True)
class _Charges:
    """The prices of prompts of more than ``over`` tokens, by the part of a usage that they charge."""

    over: int
    prices: Mapping[str, Price]

    def rate(self, part: str) -> Decimal:
        price = self.prices.get(part)
        return ZERO if price is None else price.price


class PriceBook:
    """The prices of all models. ``load`` reads ``include/prices/*.csv`` and any further files."""

    def __init__(self, prices: Iterable[Price], files: Iterable[Path] = ()) -> None:
        self._files = tuple(files)
        self._by_id: dict[str, Price] = {}
        self._by_model: dict[str, list[Price]] = {}
        for price in prices:
            self._by_id[price.price_id] = price
            self._by_model.setdefault(price.model, []).append(price)
        self._of_day: dict[tuple[str, date, str, str], tuple[_Charges, ...]] = {}

    @classmethod
    def load(cls, include: Path, *extra: Path) -> "PriceBook":
        """Read the book. ConfigError names file and line of a malformed, altered, doubled or overlapping row."""
        files = (*sorted((include / "prices").glob("*.csv")), *extra)
        prices = [price for file in files for price in read_prices(file)]
        check_doubles(prices)
        return cls(prices, files)

    def __iter__(self) -> Iterator[Price]:
        """Yield all rows, file by file."""
        return iter(self._by_id.values())

    def cost(self, model: str, usage: Usage, at: datetime, service_tier: str = STANDARD, region: str = "") -> Cost:
        """Return what one attempt costs at the prices of that UTC day, nothing if it used nothing; Unpriced when the model has none."""
        tiers = self._charges(model, at, service_tier, region)
        prices = (tiers[0] if len(tiers) == 1 else _of_prompt(tiers, usage.prompt_tokens)).prices
        exact, used = ZERO, []
        for part, amount in _parts(usage):
            if amount and (price := prices.get(part)) is not None:
                exact += price.price * amount
                used.append(price.price_id)
        return Cost(exact.quantize(PLACES, ROUND_HALF_EVEN), tuple(dict.fromkeys(used)), service_tier)

    def upper_bound(
        self,
        model: str,
        input_tokens: int,
        output_tokens: int,
        compute_s: Decimal | float,
        at: datetime,
        service_tier: str = STANDARD,
        region: str = "",
        n_images: int = 0,
    ) -> Decimal:
        """Return a cost that no attempt of at most this size can exceed: each part at the dearest price it may have, rounded up."""
        reached = [c for c in self._charges(model, at, service_tier, region) if not c.over or c.over < input_tokens]
        dearest = {part: max(charges.rate(part) for charges in reached) for part in CHARGED}
        tokens = max(dearest[part] for part in PROMPT) * input_tokens + dearest["output"] * output_tokens
        rest = dearest["image"] * n_images + dearest["request"] + dearest["compute_s"] * Decimal(str(compute_s))
        return (tokens + rest).quantize(PLACES, ROUND_CEILING)

    def check(self, model: str, at: datetime, service_tier: str = STANDARD, region: str = "") -> None:
        """Raise Unpriced unless the model can be priced in that service tier on that UTC day."""
        self._charges(model, at, service_tier, region)

    def rates(
        self, model: str, at: datetime, service_tier: str = STANDARD, region: str = "", context_tokens: int = 0
    ) -> dict[str, Decimal]:
        """Return USD per unit of each part of a usage whose prompt has so many tokens, 0 for what is not charged.

        Unpriced when the model has no price on that UTC day.
        """
        charges = _of_prompt(self._charges(model, at, service_tier, region), context_tokens)
        return {part: charges.rate(part) for part in CHARGED}

    def by_id(self, price_id: str) -> Price | None:
        """Return the row with this id."""
        return self._by_id.get(price_id)

    def context_tiers(self, model: str, day: date) -> tuple[int, ...]:
        """Return the prompt lengths above which the model costs something else that day, ascending."""
        return tuple(sorted({p.context_over for p in self._by_model.get(model, ()) if p.context_over and p.holds_on(day)}))

    def _charges(self, model: str, at: datetime, service_tier: str, region: str) -> tuple[_Charges, ...]:
        """Return what is charged for prompts of any length, then for longer and longer ones."""
        if at.tzinfo is None:
            raise ValueError(f"{at} has no time zone: prices are looked up by UTC day")
        key = (model, at.astimezone(UTC).date(), service_tier, region)
        found = self._of_day.get(key)
        if found is None:
            found = self._of_day[key] = self._find(*key)
        return found

    def _find(self, model: str, day: date, service_tier: str, region: str) -> tuple[_Charges, ...]:
        holding = [p for p in self._by_model.get(model, ()) if p.holds_on(day) and p.region in ("", region)]
        listed = [p for p in holding if p.service_tier == service_tier]
        known = {p.meter for p in listed}
        listed += [p for p in holding if p.service_tier == STANDARD and p.meter in ALIKE and p.meter not in known]
        regional = {(p.meter, p.context_over) for p in listed if p.region}
        listed = [p for p in listed if p.region or (p.meter, p.context_over) not in regional]
        tiers = tuple(_charged(listed, over) for over in sorted({0, *(p.context_over for p in listed)}))
        priced = tiers[0].prices.keys()
        if "compute_s" not in priced and not {"input", "output"} <= priced:
            raise Unpriced(self._why_unpriced(model, day, service_tier, region, holding))
        return tiers

    def _why_unpriced(self, model: str, day: date, service_tier: str, region: str, holding: Iterable[Price]) -> str:
        files = ", ".join(str(f) for f in self._files) or "no price file"
        known = self._by_model.get(model, [])
        if not known:
            detail = "the model is in none of them"
        elif labels := sorted({p.label.removeprefix(f"{model} ") for p in holding}):
            detail = f"only {', '.join(labels)} has a price that day"
        else:
            periods = (f"{p.label.removeprefix(f'{model} ')} from {p.valid_from} until {p.valid_to or 'further notice'}" for p in known)
            detail = f"its prices there hold: {'; '.join(periods)}"
        place = f" in {region}" if region else ""
        return (
            f"model {model!r} has no {service_tier} price{place} on {day}: {detail}. Looked in {files}. "
            f"Add rows of service_tier {service_tier} for input and output (per token) or for compute_s (per second)."
        )


def usage_of(call: Mapping[str, Any]) -> Usage:
    """Return what a row of the ledger, read with METERS, was charged for."""
    return Usage(**{meter: call[meter] for meter in METERS})


def load_prices(settings: Settings) -> PriceBook:
    """Read the installation's book; a profile given by its path may have a ``prices.csv`` beside it."""
    return PriceBook.load(settings.include, *own_prices(settings))


def own_prices(settings: Settings) -> tuple[Path, ...]:
    """Return the price file beside a profile that is given by its path."""
    beside = Path(settings.profile).with_name("prices.csv")
    is_path = settings.profile.endswith((".yaml", ".yml"))
    return (beside,) if is_path and beside.is_file() else ()


def _charged(listed: Iterable[Price], over: int) -> _Charges:
    """Return by part what prompts of more than ``over`` tokens are charged: of each meter the price of the highest tier up to that."""
    by_meter = {p.meter: p for p in sorted(listed, key=lambda p: p.context_over) if p.context_over <= over}
    chosen = {part: next((by_meter[m] for m in meters if m in by_meter), None) for part, meters in CHARGED.items()}
    return _Charges(over, {part: price for part, price in chosen.items() if price is not None})


def _of_prompt(tiers: tuple[_Charges, ...], n_tokens: int) -> _Charges:
    return next((c for c in reversed(tiers) if n_tokens > c.over), tiers[0])


def _parts(usage: Usage) -> Iterator[tuple[str, int | Decimal]]:
    yield "input", usage.input_tokens
    yield "cache_read", usage.cache_read_tokens
    yield "cache_write", usage.cache_write_tokens
    yield "cache_write_1h", usage.cache_write_1h_tokens
    yield "output", usage.output_tokens
    yield "image", usage.n_images
    yield "compute_s", usage.compute_s
    yield "request", int(usage != NOTHING)
