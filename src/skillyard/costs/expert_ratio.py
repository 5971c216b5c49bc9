"""What the expert's answer costs for one that a cheaper model gave, as audits show it: both answered the same items."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal

import pyarrow as pa
import pyarrow.compute as pc

from skillyard.costs.prices.book import PriceBook
from skillyard.errors import Unpriced

AUDIT_COLUMNS = ("audit_id", "skill", "item_id", "tier", "model", "weight", "cost_usd", "audited_on")
"""Of ``audits``, what the ratio is made of."""
AUDIT_WINDOW = timedelta(days=30)
MIN_AUDITED = 30
"""Audited items that make a ratio."""
RATIO_PLACES = Decimal("0.000001")
_MOST = Decimal(10) ** 12
_WEIGHT = pa.decimal128(18, 9)
_WIDE = Context(prec=100, rounding=ROUND_HALF_EVEN)


@dataclass(frozen=True, slots=True)
class Ratio:
    """Cost of the expert's answers over that of a model's, and how many items it is of."""

    value: Decimal
    n_items: int


def measured_ratios(audits: pa.Table, day: date, book: PriceBook, expert: str) -> dict[tuple[str, str, str], Ratio]:
    """Return by skill, tier and model what the expert's answers cost over that model's, where enough items show it.

    Audits count that were drawn in the 30 days up to the day, with the same expert, while both models had the prices of the day.
    """
    drawn = audits.column("audited_on")
    in_window = pc.and_(pc.greater(drawn, pa.scalar(day - AUDIT_WINDOW)), pc.less_equal(drawn, pa.scalar(day)))
    recent = _at_prices_of(audits.filter(in_window).select(list(AUDIT_COLUMNS)), day, book)
    is_expert = pc.equal(recent.column("tier"), "expert")
    experts = recent.filter(pc.and_(is_expert, pc.equal(recent.column("model"), expert))).select(["audit_id", "item_id", "cost_usd"])
    pairs = recent.filter(pc.invert(is_expert)).join(
        experts.rename_columns(["audit_id", "item_id", "expert_usd"]), ["audit_id", "item_id"], join_type="inner", use_threads=False
    )
    weight = pairs.column("weight").cast(_WEIGHT).cast(pa.decimal256(18, 9))
    weighted = pairs.select(["skill", "tier", "model", "item_id"])
    for name in ("cost_usd", "expert_usd"):
        weighted = weighted.append_column(name, pc.multiply(weight, pairs.column(name).cast(pa.decimal256(28, 12))))
    sums = weighted.group_by(["skill", "tier", "model"], use_threads=False).aggregate(
        [("cost_usd", "sum"), ("expert_usd", "sum"), ("item_id", "count_distinct")]
    )
    found = {}
    for row in sums.to_pylist():
        value = fitting(row["expert_usd_sum"], row["cost_usd_sum"])
        if value is not None and row["item_id_count_distinct"] >= MIN_AUDITED:
            found[row["skill"], row["tier"], row["model"]] = Ratio(value, row["item_id_count_distinct"])
    return found


def fitting(part: Decimal, whole: Decimal) -> Decimal | None:
    """Return part / whole to 6 places, half-even; None where the whole is nothing, or next to nothing beside the part."""
    if whole <= 0 or part >= whole * _MOST:
        return None
    ratio = _WIDE.quantize(_WIDE.divide(part, whole), RATIO_PLACES)
    return ratio if ratio < _MOST else None


def _at_prices_of(audits: pa.Table, day: date, book: PriceBook) -> pa.Table:
    """Return the rows of models that cost on the day of their audit what they cost on this day; a tier that did not answer has no model."""
    named = audits.filter(pc.not_equal(audits.column("model"), ""))
    seen = named.group_by(["audited_on", "model"], use_threads=False).aggregate([])
    keep = [_is_same_price(book, model, drawn, day) for drawn, model in zip(*(column.to_pylist() for column in seen.columns), strict=True)]
    same = seen.filter(pa.array(keep, pa.bool_()))
    return named.join(same, ["audited_on", "model"], join_type="inner", use_threads=False)


def _is_same_price(book: PriceBook, model: str, drawn: date, day: date) -> bool:
    try:
        then, now = (book.rates(model, datetime.combine(on, time(), UTC)) for on in (drawn, day))
    except Unpriced:
        return False
    return then == now
