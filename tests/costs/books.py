"""Prices for tests."""

from datetime import date
from decimal import Decimal

from skillyard.costs.prices.price import UNITS, Price


def price(
    price_id: str, model: str, meter: str, amount: str, service_tier: str = "standard", context_over: int = 0, region: str = ""
) -> Price:
    """Return a price that holds from 2020 on."""
    return Price(
        price_id=price_id,
        provider=model.split("/", 1)[0],
        model=model,
        meter=meter,
        service_tier=service_tier,
        context_over=context_over,
        region=region,
        unit=UNITS[meter],
        price=Decimal(amount),
        currency="USD",
        valid_from=date(2020, 1, 1),
        valid_to=None,
        source="test",
        hash="",
        where="here",
    )
