"""The price book beside two other lists: litellm's map, which has no dates, and genai-prices, which has. Neither asks the network.

Either list may be the one that is wrong: a disagreement is looked up at the provider, and then closed by ``skillyard prices add`` or left.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal

from skillyard.costs.prices.book import PriceBook, load_prices
from skillyard.costs.prices.price import BATCH, SERVICE_TIERS, STANDARD, UNITS, Listed
from skillyard.errors import Unpriced
from skillyard.gateway.litellm_prices import litellm_prices
from skillyard.settings import Settings

LITELLM, GENAI = "litellm", "genai-prices"
MTOK = Decimal(1_000_000)
GENAI_METERS = {
    "input_mtok": ("input", MTOK),
    "cache_read_mtok": ("cache_read", MTOK),
    "cache_write_mtok": ("cache_write", MTOK),
    "cache_write_1h_mtok": ("cache_write_1h", MTOK),
    "output_mtok": ("output", MTOK),
    "requests_kcount": ("request", Decimal(1000)),
}
GENAI_PROVIDERS = {"bedrock": "aws", "vertex_ai": "google", "gemini": "google", "xai": "x-ai"}
"""Providers that genai-prices calls otherwise than a model's name here does."""
GENAI_CONTEXTS = {STANDARD: {}, BATCH: {"processing": "batch"}, "flex": {"service_tier": "flex"}, "priority": {"service_tier": "priority"}}

_Key = tuple[str, int, str]
"""service_tier, context_over, meter."""


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A price that the book and another list do not share."""

    model: str
    meter: str
    service_tier: str
    context_over: int
    ours: Decimal | None
    """What the book would charge, None where it has no price."""
    theirs: Decimal | None
    """None where the list has none."""
    whose: str
    note: str

    @property
    def differs(self) -> bool:
        """Both have a price, and not the same one: a call on that day may be charged wrongly."""
        return self.ours is not None and self.theirs is not None


def check_prices(settings: Settings, day: date) -> list[Disagreement]:
    """Compare the book's prices of a day with both lists, model by model; those that differ come first.

    A model that is priced by compute is one's own: no list has it.
    """
    book = load_prices(settings)
    models = sorted({price.model for price in book if price.holds_on(day) and price.meter != "compute_s"})
    found = [one for model in models for one in _of_model(book, model, day)]
    return sorted(found, key=lambda one: not one.differs)


def _of_model(book: PriceBook, model: str, day: date) -> Iterator[Disagreement]:
    lists = {name: prices for name, listed in LISTS.items() if (prices := listed(model, day))}
    for absent in (name for name in LISTS if name not in lists):
        note = f"only {' and '.join(lists)} knows the model" if lists else "neither list knows the model"
        yield Disagreement(model, "*", STANDARD, 0, None, None, absent, note)
    if not lists:
        return
    listed = {key for prices in lists.values() for key in prices}
    ours = _ours(book, model, day, listed)
    charged = {service_tier for service_tier, _, _ in ours}
    for key in sorted(ours.keys() | {key for key in listed if key[0] in charged}, key=_order):
        theirs = {name: price for name, prices in lists.items() if (price := _charge(prices, key)) is not None}
        yield from _of_key(model, key, ours.get(key), theirs)


def _of_key(model: str, key: _Key, ours: Decimal | None, theirs: Mapping[str, Decimal]) -> Iterator[Disagreement]:
    """Yield a disagreement for each price that is not ours, or one when nobody else has a price."""
    service_tier, over, meter = key
    whose: dict[Decimal, list[str]] = defaultdict(list)
    for name, price in theirs.items():
        whose[price].append(name)
    for price, names in whose.items():
        if price != ours:
            others = [name for name in theirs if name not in names]
            if not others:
                note = "both lists agree" if len(names) > 1 else "the other list has no such price"
            else:
                note = f"{others[0]} agrees with the book" if theirs[others[0]] == ours else "the lists differ from each other too"
            yield Disagreement(model, meter, service_tier, over, ours, price, " and ".join(names), note)
    if not theirs:
        yield Disagreement(model, meter, service_tier, over, ours, None, " and ".join(LISTS), "only the book has a price for it")


def _charge(prices: Mapping[_Key, Decimal], key: _Key) -> Decimal | None:
    """Return a list's price of a meter for prompts of more tokens than the key's: that of the highest context tier up to there."""
    service_tier, over, meter = key
    steps = [n for tier, n, m in prices if (tier, m) == (service_tier, meter) and n <= over]
    return prices[service_tier, max(steps), meter] if steps else None


def _ours(book: PriceBook, model: str, day: date, asked: set[_Key]) -> dict[_Key, Decimal]:
    """Return what the book charges: for all it has a row of, and for what is asked, by whichever row that is charged."""
    own = {(p.service_tier, p.context_over, p.meter) for p in book if p.model == model and not p.region and p.holds_on(day)}
    found: dict[_Key, Decimal] = {}
    at = datetime.combine(day, time(12), UTC)
    for service_tier, over, meter in own | asked:
        try:
            rates = book.rates(model, at, service_tier, context_tokens=over + 1 if over else 0)
        except Unpriced:
            continue
        found[service_tier, over, meter] = rates[meter]
    return found


def _litellm(model: str, day: date) -> dict[_Key, Decimal]:
    return _by_key(litellm_prices(model))


def _genai(model: str, day: date) -> dict[_Key, Decimal]:
    """Return what genai-prices says of a day; a price list that it gives from a later day on is left out."""
    from genai_prices.data_snapshot import get_snapshot

    provider, _, name = model.partition("/")
    try:
        _, known = get_snapshot().find_provider_model(name, None, GENAI_PROVIDERS.get(provider, provider), None)
    except LookupError:
        return {}
    at = datetime.combine(day, time(12), UTC)
    found: list[Listed] = []
    for service_tier, context in GENAI_CONTEXTS.items():
        variants = [v for v in known.price_variants or () if v.when == context and (v.constraint is None or v.constraint.active(at))]
        if service_tier == STANDARD or variants:
            found += _rows(service_tier, vars(known.get_prices(at, context)))
    return _by_key(found)


def _rows(service_tier: str, prices: Mapping[str, object]) -> Iterator[Listed]:
    from genai_prices.types import TieredPrices

    for name, (meter, per) in GENAI_METERS.items():
        price = prices.get(name)
        if isinstance(price, TieredPrices):
            yield Listed(meter, service_tier, 0, price.base / per)
            yield from (Listed(meter, service_tier, tier.start, tier.price / per) for tier in price.tiers)
        elif isinstance(price, Decimal):
            yield Listed(meter, service_tier, 0, price / per)


def _by_key(listed: list[Listed]) -> dict[_Key, Decimal]:
    return {(one.service_tier, one.context_over, one.meter): one.price for one in listed}


def _order(key: _Key) -> tuple[int, int, int]:
    return (SERVICE_TIERS.index(key[0]), key[1], list(UNITS).index(key[2]))


LISTS: dict[str, Callable[[str, date], dict[_Key, Decimal]]] = {LITELLM: _litellm, GENAI: _genai}
