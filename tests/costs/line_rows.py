"""Lines of a day, and a book of prices, small enough to reckon with by hand."""

from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import Any

import pyarrow as pa

from skillyard.costs.ledger.lines import LINE_KEY, LINES, Day
from skillyard.costs.prices.book import PriceBook
from skillyard.costs.prices.price import UNITS, Price
from tests.costs.ledger import DAY

FAST, STANDARD, EXPERT = "acme/fast", "acme/standard", "acme/expert"
MODEL_OF = {"fast": FAST, "standard": STANDARD, "expert": EXPERT}


def price(model: str, meter: str, amount: str, service_tier: str = "standard", over: int = 0, **changes: Any) -> Price:
    """Return a price that holds from 2026 on."""
    fields = {
        "price_id": f"{model}.{meter}.{service_tier}.{over}.{changes.get('valid_from', 0)}",
        "provider": "acme",
        "model": model,
        "meter": meter,
        "service_tier": service_tier,
        "context_over": over,
        "region": "",
        "unit": UNITS[meter],
        "price": Decimal(amount),
        "currency": "USD",
        "valid_from": date(2026, 1, 1),
        "valid_to": None,
        "source": "test",
        "hash": "",
        "where": "test:1",
    }
    return Price(**(fields | changes))


def prices(model: str, input_usd: str, output_usd: str) -> list[Price]:
    """Return a model's prices by token: half of them in a batch, a tenth for what is read from a cache."""
    amounts = {"input": Decimal(input_usd), "output": Decimal(output_usd), "cache_read": Decimal(input_usd) / 10}
    live = [price(model, meter, str(amount)) for meter, amount in amounts.items()]
    return live + [price(model, meter, str(amount / 2), "batch") for meter, amount in amounts.items()]


BOOK_ROWS = [*prices(FAST, "0.001", "0.002"), *prices(STANDARD, "0.005", "0.01"), *prices(EXPERT, "0.01", "0.05")]
BOOK = PriceBook(BOOK_ROWS)


def line(tier: str = "fast", cost: str = "0", **changes: Any) -> dict[str, Any]:
    """Return a line of one served live answer, without tokens."""
    texts = {field.name: "x" for field in LINE_KEY if pa.types.is_string(field.type)}
    numbers = {field.name: 0 for field in LINES if not pa.types.is_string(field.type)}
    row = {
        **texts,
        **numbers,
        "usage_date": DAY,
        "team": "records",
        "skill": "tag-document",
        "tier": tier,
        "model": MODEL_OF[tier],
        "lane": "live",
        "service_tier": "batch" if changes.get("lane") == "batch" else "standard",
        "purpose": "answer",
        "status": "settled",
        "use": "served",
        "price_ids": f"{MODEL_OF[tier]}.input.standard.0.0",
        "n_calls": 1,
        "cost_usd": Decimal(cost),
    }
    return row | changes


def day_of(rows: Iterable[dict[str, Any]], day: date = DAY) -> Day:
    """Return the day that these lines make; the distinct counts are left empty."""
    lines = pa.Table.from_pylist([{**row, **{n: Decimal(row[n]) for n in ("compute_s", "idle_s", "saved_usd")}} for row in rows], LINES)
    empty = pa.table({})
    return Day(*([day, lines] + [empty] * (len(Day.__dataclass_fields__) - 2)))
