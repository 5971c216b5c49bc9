"""A provider's cost report beside the ledger, by UTC day and model, and why they differ: parts that sum to the difference exactly.

The parts of one day and model, by what the token counts of both sides say:

- *missing_calls*: the tokens that only one side has, at the prices of the book;
- *price*: what the billed tokens cost more, or less, than by the book;
- *rounding*: the same where it is no more than the report's last place on each of its lines;
- *unexplained*: the rest. A report without token counts explains nothing but a model that one side does not have at all.

What earlier corrections explained is taken off each part, so a report that comes again, or a corrected one, asks for what is new only.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import ROUND_DOWN, Decimal
from fractions import Fraction
from typing import Any

from skillyard.costs.prices.book import PLACES, PriceBook
from skillyard.costs.reconciling.cost_reports.report import REQUESTS, CostReport
from skillyard.costs.reconciling.ledger_side import KINDS, STEP, Part, Side, book_rates
from skillyard.costs.reconciling.model_names import ledger_model

RATE = Decimal("0.000001")
NOTHING = Fraction(0)


@dataclass(frozen=True, slots=True)
class Compared:
    """One day and model. The four parts sum to ``billed_usd - ledger_usd``."""

    usage_date: date
    model: str
    tier: str
    n_calls: int
    n_unknown: int
    unknown_reserved_usd: Decimal
    ledger_usd: Decimal
    billed_usd: Decimal
    missing_usd: Decimal
    price_usd: Decimal
    rounding_usd: Decimal
    unexplained_usd: Decimal
    capture_rate: Decimal
    message: str

    @property
    def parts(self) -> dict[str, Decimal]:
        """By kind, what is to be corrected."""
        return dict(zip(KINDS, (self.missing_usd, self.price_usd, self.rounding_usd, self.unexplained_usd), strict=True))

    @property
    def difference_usd(self) -> Decimal:
        """Billed less the ledger."""
        return self.billed_usd - self.ledger_usd


@dataclass(slots=True)
class Billed:
    """What a report says of one day and model."""

    tokens_usd: Decimal = Decimal(0)
    other_usd: Decimal = Decimal(0)
    n_lines: int = 0
    others: set[str] = field(default_factory=set)
    """The line items that are not for tokens."""
    tokens: dict[Part, int] = field(default_factory=dict)
    n_requests: int = 0

    @property
    def usd(self) -> Decimal:
        """All of it, rounded to the ledger's places once."""
        return (self.tokens_usd + self.other_usd).quantize(PLACES)


def compare(
    report: CostReport, sides: Mapping[tuple[date, str], Side], known: Iterable[str], tiers: Mapping[str, str], book: PriceBook
) -> list[Compared]:
    """Return a row for every day of the report and every model that either side has on it.

    ``known`` are the models that the provider may be asked for, ``tiers`` those that models are deployed on.
    """
    bills = _by_model(report, known)
    days = set(report.days)
    keys = bills.keys() | {key for key in sides if key[0] in days}
    return [_compared(key, bills.get(key, Billed()), sides.get(key, Side()), report.unit_usd, tiers, book) for key in sorted(keys)]


def _by_model(report: CostReport, known: Iterable[str]) -> dict[tuple[date, str], Billed]:
    """Return what is billed by day and ledger model; what the ledger has no model of goes by the report's own name."""
    models, names = tuple(known), dict[str, str]()

    def named(model: str, item: str) -> str:
        if not model:
            return item
        if model not in names:
            names[model] = ledger_model(model, models) or model
        return names[model]

    bills: dict[tuple[date, str], Billed] = defaultdict(Billed)
    for charge in report.charges:
        bill = bills[charge.day, named(charge.model, charge.item)]
        bill.n_lines += 1
        if charge.is_tokens or not charge.model:
            bill.tokens_usd += charge.amount_usd
        else:
            bill.other_usd += charge.amount_usd
            bill.others.add(charge.item)
    for count in report.counts:
        bill, part = bills[count.day, named(count.model, "")], (count.service_tier, count.part)
        if count.part == REQUESTS:
            bill.n_requests += count.n
        else:
            bill.tokens[part] = bill.tokens.get(part, 0) + count.n
    return bills


def _compared(key: tuple[date, str], bill: Billed, side: Side, unit: Decimal, tiers: Mapping[str, str], book: PriceBook) -> Compared:
    day, model = key
    whole = explain(bill, side, unit, lambda part: _rate(part, side, book, day, model))
    parts = {kind: whole[kind] - side.corrected[kind] for kind in KINDS}
    uncaptured = max(whole["missing_calls"], Decimal(0)) + max(whole["unexplained"], Decimal(0))
    capture = 1 - Fraction(uncaptured) / Fraction(bill.usd) if bill.usd > 0 else Fraction(1)
    rate = Decimal(capture.numerator) / Decimal(capture.denominator)
    return Compared(
        usage_date=day,
        model=model,
        tier=side.tiers.most_common(1)[0][0] if side.tiers else tiers.get(model, "expert"),
        n_calls=side.n_calls,
        n_unknown=side.n_unknown,
        unknown_reserved_usd=side.unknown_reserved_usd.quantize(PLACES),
        ledger_usd=side.ledger_usd.quantize(PLACES),
        billed_usd=bill.usd,
        missing_usd=parts["missing_calls"].quantize(PLACES),
        price_usd=parts["price"].quantize(PLACES),
        rounding_usd=parts["rounding"].quantize(PLACES),
        unexplained_usd=parts["unexplained"].quantize(PLACES),
        capture_rate=min(max(rate, Decimal(0)), Decimal(1)).quantize(RATE, ROUND_DOWN),
        message=_message(bill, side, parts),
    )


def explain(bill: Billed, side: Side, unit: Decimal, rate: Any) -> dict[str, Decimal]:
    """Return by kind what the bill asks for beyond what was settled, without a look at earlier corrections."""
    difference = bill.usd - side.settled_usd
    tolerance = Fraction(unit) * bill.n_lines + STEP * (side.n_calls + 1)
    exact = dict.fromkeys(KINDS, NOTHING)
    if not bill.tokens or side.is_empty:
        gap = Fraction(difference)
        if side.is_empty or not bill.n_lines:
            exact["missing_calls"] = gap
        else:
            exact["rounding" if abs(gap) <= tolerance else "unexplained"] = gap
    else:
        expected = sum((rate(part) * n for part, n in bill.tokens.items()), NOTHING)
        settled = sum(side.worth.values(), side.uncounted)
        exact["missing_calls"] = expected - settled
        dearer = Fraction(bill.tokens_usd) - expected
        exact["rounding" if abs(dearer) <= tolerance else "price"] += dearer
        other = Fraction(bill.other_usd) - side.other
        exact["rounding" if abs(other) <= tolerance else "unexplained"] += other
    parts = {kind: _usd(value) for kind, value in exact.items()}
    # What rounding each part to the last place leaves over, and each row of the ledger before.
    parts["rounding"] += difference - sum(parts.values(), Decimal(0))
    return parts


def _rate(part: Part, side: Side, book: PriceBook, day: date, model: str) -> Fraction:
    """Return what a token costs: as the ledger paid for those it has, else as the book says."""
    if n := side.tokens[part]:
        return side.worth[part] / n
    service_tier, meter = part
    return book_rates(book, model, day, service_tier).get(meter, NOTHING)


def _usd(value: Fraction) -> Decimal:
    return Decimal(round(value / STEP)).scaleb(-12)


def _message(bill: Billed, side: Side, parts: Mapping[str, Decimal]) -> str:
    said = []
    if missing := parts["missing_calls"]:
        counted = f" ({bill.n_requests} requests are billed, {side.n_calls} settled)" if bill.n_requests else ""
        where = "billed, but not in the ledger" if missing > 0 else "in the ledger, but not billed"
        said.append(f"calls of {abs(missing):f} USD are {where}{counted}")
    if price := parts["price"]:
        said.append(f"the same tokens are billed {abs(price):f} USD {'dearer' if price > 0 else 'cheaper'} than by the price book")
    if unexplained := parts["unexplained"]:
        why = f"charged for {', '.join(sorted(bill.others))}" if bill.others else "the report has no token counts that would explain them"
        said.append(f"{unexplained:f} USD are not explained: {why}")
    if any(side.corrected.values()):
        said.append(f"earlier corrections came to {sum(side.corrected.values(), Decimal(0)):f} USD")
    if side.n_unknown:
        may = ": the missing calls may be theirs, and a report by day cannot say which" if parts["missing_calls"] > 0 else ""
        said.append(f"{side.n_unknown} attempts are unknown and reserve {side.unknown_reserved_usd:f} USD{may}")
    return "; ".join(said) or "agrees"
