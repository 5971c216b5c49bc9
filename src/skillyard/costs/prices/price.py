"""One price: what a unit of a meter of a model costs from a day on, in one of its provider's price lists."""

import hashlib
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

UNITS = {
    "input": "token",
    "cache_read": "token",
    "cache_write": "token",
    "cache_write_1h": "token",
    "output": "token",
    "image": "image",
    "request": "request",
    "compute_s": "second",
}
"""Every meter and the unit its price is for."""
STANDARD = "standard"
BATCH = "batch"
SERVICE_TIERS = (STANDARD, BATCH, "flex", "priority")
"""The price lists a provider may have: at once, in a batch within a day, when there is room, before others."""
COLUMNS = (
    "price_id",
    "provider",
    "model",
    "meter",
    "service_tier",
    "context_over",
    "region",
    "unit",
    "price",
    "currency",
    "valid_from",
    "valid_to",
    "source",
    "hash",
)
"""Of a price file, in the order in which they are written."""


@dataclass(frozen=True, slots=True)
class Price:
    """One row of the book: it holds from ``valid_from`` until the day before ``valid_to``."""

    price_id: str
    provider: str
    model: str
    meter: str
    service_tier: str
    context_over: int
    """It holds for a prompt of more tokens than these; 0: for any."""
    region: str
    """It holds for deployments in this region; '': for any."""
    unit: str
    price: Decimal
    currency: str
    valid_from: date
    valid_to: date | None
    source: str
    hash: str
    """Of the fields before, ``valid_to`` excepted; '': nobody checks it."""
    where: str
    """File and line."""

    @property
    def key(self) -> tuple[str, str, str, int, str]:
        """What has one price at a time."""
        return (self.model, self.meter, self.service_tier, self.context_over, self.region)

    @property
    def label(self) -> str:
        """The key for people: ``openai/m input``, with what is special about it."""
        special = [self.service_tier] if self.service_tier != STANDARD else []
        special += [f"over {self.context_over} tokens"] if self.context_over else []
        special += [self.region] if self.region else []
        return f"{self.model} {self.meter}" + (f" ({', '.join(special)})" if special else "")

    def holds_on(self, day: date) -> bool:
        """Say whether the price applies on a day."""
        return self.valid_from <= day and (self.valid_to is None or day < self.valid_to)

    def fields(self) -> dict[str, str]:
        """Return the row of a price file, without its hash as it should be: see ``hash_of``."""
        return {
            "price_id": self.price_id,
            "provider": self.provider,
            "model": self.model,
            "meter": self.meter,
            "service_tier": self.service_tier,
            "context_over": str(self.context_over),
            "region": self.region,
            "unit": self.unit,
            "price": plain(self.price),
            "currency": self.currency,
            "valid_from": self.valid_from.isoformat(),
            "valid_to": self.valid_to.isoformat() if self.valid_to else "",
            "source": self.source,
            "hash": self.hash,
        }


def hash_of(price: Price) -> str:
    """Return what stands in the column ``hash`` of an unaltered row. A row may still be closed: ``valid_to`` is not part of it."""
    fields = price.fields()
    told = "\x1f".join(fields[name] for name in COLUMNS if name not in ("valid_to", "hash"))
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def plain(amount: Decimal) -> str:
    """Return a decimal without exponent or trailing zeros."""
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


@dataclass(frozen=True, slots=True)
class Listed:
    """What another list than the book says that a unit of a model's meter costs."""

    meter: str
    service_tier: str
    context_over: int
    price: Decimal
    how: str = ""
    """How it follows from the list, where it does not stand there."""
