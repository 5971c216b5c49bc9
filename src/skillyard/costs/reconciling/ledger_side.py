"""What the ledger says of a model on a day, in the terms of a provider's cost report: tokens by price list and part, and what they cost.

Each token is worth what its row's own prices say, so that tokens which only one side has can be priced. Where a row's cost is not that
of its prices, as one that was settled by a bill, its tokens are worth what it cost, in the proportions of the prices.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from decimal import Decimal
from fractions import Fraction
from typing import Any

from skillyard.costs.prices.book import PriceBook
from skillyard.costs.prices.price import STANDARD
from skillyard.errors import Unpriced

KINDS = ("missing_calls", "price", "rounding", "unexplained")
"""Why a bill and the ledger differ: ``error_kind`` of a correction."""
TOKENS = {
    "input": "input_tokens",
    "cache_read": "cache_read_tokens",
    "cache_write": "cache_write_tokens",
    "cache_write_1h": "cache_write_1h_tokens",
    "output": "output_tokens",
}
PAID = ("settled", "failed")
STEP = Fraction(1, 10**12)
"""The last place of money: each row's cost was rounded to it once."""
Part = tuple[str, str]
"""Service tier and part."""


@dataclass(slots=True)
class Side:
    """A model's rows of one day."""

    n_calls: int = 0
    """Settled."""
    n_unknown: int = 0
    unknown_reserved_usd: Decimal = Decimal(0)
    settled_usd: Decimal = Decimal(0)
    """Without corrections."""
    tiers: Counter[str] = field(default_factory=Counter)
    tokens: Counter[Part] = field(default_factory=Counter)
    worth: dict[Part, Fraction] = field(default_factory=dict)
    """What they cost."""
    uncounted: Fraction = Fraction(0)
    """What rows cost whose tokens nobody has counted."""
    other: Fraction = Fraction(0)
    """What was paid for anything but tokens: requests, images, seconds."""
    corrected: Counter[str] = field(default_factory=Counter)
    """By kind: what earlier corrections add."""

    @property
    def is_empty(self) -> bool:
        """Nothing was settled."""
        return not self.n_calls and not self.settled_usd

    @property
    def ledger_usd(self) -> Decimal:
        """Settled, earlier corrections included."""
        return self.settled_usd + sum(self.corrected.values(), Decimal(0))


def ledger_sides(
    lines: Iterable[Mapping[str, Any]], corrections: Iterable[Mapping[str, Any]], book: PriceBook
) -> dict[tuple[date, str], Side]:
    """Return what each day and model has: ``lines`` are those of ``costs/ledger/lines.py``, ``corrections`` rows of the ledger."""
    sides: dict[tuple[date, str], Side] = {}
    for line in lines:
        if line["status"] in (*PAID, "unknown"):
            _add(sides.setdefault((line["usage_date"], line["model"]), Side()), line, book)
    for row in corrections:
        side = sides.setdefault((row["usage_date"], row["model"]), Side())
        side.corrected[row["error_kind"]] += row["cost_usd"]
    return sides


def _add(side: Side, line: Mapping[str, Any], book: PriceBook) -> None:
    if line["status"] == "unknown":
        side.n_unknown += line["n_calls"]
        side.unknown_reserved_usd += line["reserved_usd"]
        return
    if line["status"] == "settled":
        side.n_calls += line["n_calls"]
        side.tiers[line["tier"]] += line["n_calls"]
    side.settled_usd += line["cost_usd"]
    rates, cost = _rates(line, book), Fraction(line["cost_usd"])
    tokens = {part: line[column] for part, column in TOKENS.items()}
    worth = {part: rates.get(part, Fraction(0)) * n for part, n in tokens.items()}
    amounts = (("image", line["n_images"]), ("request", line["n_calls"]), ("compute_s", line["compute_s"]))
    other = sum((rates.get(part, Fraction(0)) * Fraction(n) for part, n in amounts), Fraction(0)) if cost else Fraction(0)
    total = sum(worth.values(), other)
    if not total:
        side.uncounted += cost
        return
    scale = Fraction(1) if abs(total - cost) <= STEP * line["n_calls"] else cost / total
    side.other += other * scale
    service_tier = _service_tier(line)
    for part, n in tokens.items():
        if n:
            side.tokens[service_tier, part] += n
            side.worth[service_tier, part] = side.worth.get((service_tier, part), Fraction(0)) + worth[part] * scale


def _service_tier(line: Mapping[str, Any]) -> str:
    return "batch" if line["lane"] == "batch" else str(line["service_tier"])


def _rates(line: Mapping[str, Any], book: PriceBook) -> dict[str, Fraction]:
    """Return USD per unit of each part as the line's own rows of the book say; without such rows, as the book says for its day."""
    prices = [price for price in map(book.by_id, line["price_ids"].split(",")) if price is not None]
    over = max((price.context_over for price in prices), default=0)
    region = next((price.region for price in prices if price.region), "")
    return book_rates(book, line["model"], line["usage_date"], _service_tier(line), region, over + 1 if over else 0)


def book_rates(
    book: PriceBook, model: str, day: date, service_tier: str = STANDARD, region: str = "", context_tokens: int = 0
) -> dict[str, Fraction]:
    """Return the book's prices of a day, nothing for a model without any."""
    try:
        rates = book.rates(model, datetime.combine(day, time(12), UTC), service_tier, region, context_tokens)
    except Unpriced:
        return {}
    return {part: Fraction(rate) for part, rate in rates.items()}
