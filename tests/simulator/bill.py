"""What the simulator would invoice: one line per request it did the work for, priced by its own list, in decimals."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import Any

PLACES = Decimal("0.000000000001")
PRICES_FILE = Path(__file__).with_name("prices.json")


@dataclass(frozen=True, slots=True)
class Prices:
    """USD per token of one model, live and as a row of a batch."""

    input: Decimal
    cache_read: Decimal
    output: Decimal
    batch_input: Decimal
    batch_cache_read: Decimal
    batch_output: Decimal

    def amount_usd(self, lane: str, input_tokens: int, cache_read_tokens: int, output_tokens: int) -> Decimal:
        """Return the price of one request, rounded once, half-even, to 12 places."""
        live = (self.input, self.cache_read, self.output)
        price = live if lane == "live" else (self.batch_input, self.batch_cache_read, self.batch_output)
        exact = price[0] * input_tokens + price[1] * cache_read_tokens + price[2] * output_tokens
        return exact.quantize(PLACES, ROUND_HALF_EVEN)


@dataclass(frozen=True, slots=True)
class Line:
    """One invoiced request; in the lane ``batch`` its ``call_id`` is the row's custom_id.

    ``input_tokens`` are those not read from the cache.
    """

    request_id: str
    call_id: str | None
    lane: str
    model: str
    input_tokens: int
    cache_read_tokens: int
    output_tokens: int
    amount_usd: Decimal

    def as_dict(self) -> dict[str, Any]:
        """Return the line as JSON values, the amount with its 12 places."""
        return {name: getattr(self, name) for name in self.__slots__ if name != "amount_usd"} | {"amount_usd": f"{self.amount_usd:f}"}


def load_prices(path: Path = PRICES_FILE) -> dict[str, Prices]:
    """Return the price list by model name."""
    listed = json.loads(path.read_text("utf-8"))
    return {model: Prices(**{meter: Decimal(price) for meter, price in meters.items()}) for model, meters in listed.items()}


@dataclass(slots=True)
class Bill:
    """All lines so far."""

    prices: dict[str, Prices] = field(default_factory=load_prices)
    lines: list[Line] = field(default_factory=list)

    def add(self, line: Mapping[str, Any]) -> None:
        """Invoice one request, given as a line without its amount."""
        tokens = line["input_tokens"], line["cache_read_tokens"], line["output_tokens"]
        self.lines.append(Line(**line, amount_usd=self.prices[line["model"]].amount_usd(line["lane"], *tokens)))

    def as_dict(self) -> dict[str, Any]:
        """Return total, total per model and lines."""
        by_model: dict[str, Decimal] = {}
        for line in self.lines:
            by_model[line.model] = by_model.get(line.model, Decimal(0)) + line.amount_usd
        return {
            "total_usd": f"{sum(by_model.values(), Decimal(0)):f}",
            "by_model": {model: f"{amount:f}" for model, amount in sorted(by_model.items())},
            "lines": [line.as_dict() for line in self.lines],
        }

    def save(self, path: Path) -> None:
        """Write the bill to a file that ``load`` reads."""
        path.write_text(json.dumps(self.as_dict(), indent=1), "utf-8")

    def load(self, path: Path) -> None:
        """Take up the lines of a saved bill."""
        saved = json.loads(path.read_text("utf-8"))["lines"]
        self.lines = [Line(**{**line, "amount_usd": Decimal(line["amount_usd"])}) for line in saved]
