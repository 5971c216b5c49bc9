"""Plans of charges: which rows a charge in FOCUS can have, and what these say, by the prices that stand on it.

A day has many charges and few combinations of model, prices and use: each combination is looked up once.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import pyarrow as pa

from skillyard.costs.focus.names import ADJUSTMENTS, BILL, CORRECTION, METERS, ROUNDING, UNPRICED, provider_of
from skillyard.costs.prices.book import CHARGED, STANDARD, Price, PriceBook
from skillyard.errors import Unpriced
from skillyard.lake.focus_table import AMOUNT
from skillyard.lake.tables import TEXT

BY_BILL = "bill"
"""What stands in ``price_ids`` where a provider's bill says the amount."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What the rows of one meter of one combination say; without a price it is an adjustment."""

    meter: str
    model: str
    provider_id: str
    price: Price | None = None
    list_price: Decimal | None = None

    def said(self) -> dict[str, Any]:
        """Return the columns that describe it."""
        named = provider_of(self.provider_id)
        provider = {
            "BillingAccountId": self.provider_id,
            **dict.fromkeys(("BillingAccountName", "InvoiceIssuerName", "ProviderName", "PublisherName"), named.name),
            "ServiceName": named.service,
            "x_Meter": self.meter,
        }
        if self.price is None:
            words = f"{self.model}: {ADJUSTMENTS[self.meter]}"
            return provider | {"ChargeCategory": "Adjustment", "ChargeFrequency": "One-Time", "ChargeDescription": words}
        price, meter = self.price, METERS[self.price.meter]
        tier = f", {price.service_tier}" if price.service_tier != STANDARD else ""
        details = {"x_ContextOver": price.context_over, "x_ServiceTier": price.service_tier}
        return provider | {
            "ChargeCategory": "Usage",
            "ChargeFrequency": "Usage-Based",
            "ChargeDescription": f"{self.model}: {METERS[self.meter].words}{tier}",
            "ConsumedUnit": meter.unit,
            "ContractedUnitPrice": price.price,
            "ListUnitPrice": self.list_price,
            "PricingCategory": "Standard",
            "PricingUnit": meter.unit,
            "RegionId": price.region or None,
            "SkuId": f"{price.model}:{price.meter}",
            "SkuMeter": meter.words,
            "SkuPriceDetails": json.dumps(details),
            "SkuPriceId": price.price_id,
        }


SAID = pa.schema(
    [
        *(pa.field(name, TEXT) for name in ("BillingAccountId", "BillingAccountName", "ChargeCategory", "ChargeDescription")),
        *(pa.field(name, TEXT) for name in ("ChargeFrequency", "ConsumedUnit", "InvoiceIssuerName", "PricingCategory", "PricingUnit")),
        *(pa.field(name, TEXT) for name in ("ProviderName", "PublisherName", "RegionId", "ServiceName", "SkuId", "SkuMeter")),
        *(pa.field(name, TEXT) for name in ("SkuPriceDetails", "SkuPriceId", "x_Meter")),
        *(pa.field(name, AMOUNT) for name in ("ContractedUnitPrice", "ListUnitPrice")),
    ]
)
"""What a plan says."""


def plans_of(model: str, price_ids: str, use: str, deployment: str, day: date, book: PriceBook) -> Iterator[Plan]:
    """Yield the rows that charges of this combination can have: of each meter that is priced, and of what may be left."""
    if use == CORRECTION:
        yield Plan(CORRECTION, model, deployment)  # a correction's deployment is the provider whose bill it follows
        return
    prices = [book.by_id(price_id) for price_id in price_ids.split(",") if price_id]
    found = {price.meter: price for price in prices if price is not None}
    provider_id = next((price.provider for price in found.values()), model.partition("/")[0])
    if price_ids == BY_BILL:
        yield Plan(BILL, model, provider_id)
        return
    if prices and len(found) == len(prices):
        for part, meters in CHARGED.items():
            price = next((found[meter] for meter in meters if meter in found), None)
            if price is not None:
                yield Plan(part, model, provider_id, price, _list_price(price, day, book))
        yield Plan(ROUNDING, model, provider_id)
    yield Plan(UNPRICED, model, provider_id)


def _list_price(price: Price, day: date, book: PriceBook) -> Decimal:
    """Return what the standard service tier asks for the same; a dearer tier is no discount, and lists its own price."""
    at = datetime.combine(day, time(), UTC)
    try:
        standard = book.rates(price.model, at, STANDARD, price.region, price.context_over + 1)[price.meter]
    except Unpriced:
        return price.price
    return max(standard, price.price)
