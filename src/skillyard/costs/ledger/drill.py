"""From a sum to its calls: the ledger by run and by document, and single calls with what each meter of them cost.

Read from the ledger itself by DuckDB, in bounded memory; what a call was used for is decided by the rule that makes the nightly tables.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any
from zoneinfo import ZoneInfo

from skillyard.costs.baseline import METERS
from skillyard.costs.ledger.reader import LedgerReader
from skillyard.costs.ledger.zones import interval_of
from skillyard.costs.prices.book import CHARGED, PLACES, PriceBook, load_prices
from skillyard.costs.prices.price import Price
from skillyard.lake.lake import Lake
from skillyard.profiles import load_profile
from skillyard.settings import Settings

LEDGER_COLUMN = {"run": "run_id", "document": "doc_id"}
"""What only the ledger can be grouped by."""
OTHERS = "others"
FILTERS = ("run_id", "doc_id", "item_id", "skill", "operation_id", "call_id")
SHOWN = (
    "call_id",
    "operation_id",
    "sent_at",
    "usage_date",
    "status",
    "use",
    "purpose",
    "tier",
    "model",
    "deployment",
    "lane",
    "service_tier",
    "team",
    "skill",
    "item_id",
    "doc_id",
    "dag_id",
    "run_id",
    "attempt_no",
    "error_kind",
    "finish_reason",
    "price_ids",
    *METERS.values(),
    "reasoning_tokens",
    "idle_s",
    "cost_usd",
    "reserved_usd",
    "saved_usd",
)
_IDLE = "CASE WHEN idle_s > 0 THEN half_even(units_of(coalesce(cost_usd, 0)) * micros_of(idle_s), micros_of(compute_s)) ELSE 0 END"
_SUMS = {
    "n_calls": "count(*) FILTER (status IN ('settled', 'failed', 'unknown'))",
    "n_settled": "count(*) FILTER (status = 'settled')",
    "n_served": "count(*) FILTER (use = 'served')",
    "n_failed": "count(*) FILTER (status = 'failed')",
    "n_unknown": "count(*) FILTER (status = 'unknown')",
    "n_cached": "count(*) FILTER (status = 'cached')",
    "cost_usd": "sum(coalesce(cost_usd, 0))",
    "direct_usd": "coalesce(sum(cost_usd) FILTER (use = 'served'), 0)",
    "waste_usd": "coalesce(sum(cost_usd) FILTER (use NOT IN ('served', 'shared', 'correction')), 0)",
    "shared_usd": "coalesce(sum(cost_usd) FILTER (use IN ('shared', 'correction')), 0)",
    "idle_usd": f"usd_of(sum({_IDLE}))",
    "unknown_reserved_usd": "coalesce(sum(reserved_usd) FILTER (status = 'unknown'), 0)",
    "saved_usd": "sum(saved_usd)",
}


@dataclass(frozen=True, slots=True)
class Charge:
    """One meter of a call: amount x price, unrounded."""

    part: str
    amount: int | Decimal
    unit: str
    price_usd: Decimal | None
    """None: it was not charged."""
    price_id: str | None
    cost_usd: Decimal

    @property
    def shown(self) -> str:
        """The multiplication, to be done again by hand."""
        price = "not charged" if self.price_usd is None else f"x ${self.price_usd:f} = ${self.cost_usd:f} ({self.price_id})"
        return f"{self.amount:,} {self.unit}{'' if self.amount == 1 else 's'} {self.part} {price}"


@dataclass(frozen=True, slots=True)
class Explanation:
    """How a call's cost comes about."""

    charges: tuple[Charge, ...]
    computed_usd: Decimal | None
    """Their sum, rounded once to 12 places, half-even; None where the prices are not in the book."""
    remark: str
    """Why the ledger has another amount; empty where it has the same."""


def sums_by(settings: Settings, first: date, last: date, zone: ZoneInfo, by: str, top: int) -> list[dict[str, Any]]:
    """Return the dearest runs or documents, and the rest of them as OTHERS, so that the sum is that of the ledger."""
    again = _listed({name: f"sum({name})" for name in _SUMS})
    ranked = f"""
        WITH grouped AS (SELECT {LEDGER_COLUMN[by]} AS name, {_listed(_SUMS)} FROM work GROUP BY 1),
        ranked AS (SELECT *, row_number() OVER (ORDER BY cost_usd DESC, name) > ? AS is_other FROM grouped),
        named AS (SELECT * REPLACE (CASE WHEN is_other THEN '{OTHERS}' ELSE name END AS name) FROM ranked)
        SELECT name, is_other, count(*) AS n, {again} FROM named GROUP BY ALL ORDER BY is_other, cost_usd DESC, name"""
    with _reader(settings) as reader:
        rows = reader.ask(*interval_of(first, last, zone), ranked, (top,)).to_pylist()
    return [_whole(row) for row in rows]


def find_calls(settings: Settings, first: date, last: date, zone: ZoneInfo, wanted: Mapping[str, str], top: int) -> list[dict[str, Any]]:
    """Return rows of the ledger with their ``use``, the dearest first; ``wanted``: values of FILTERS."""
    columns = ", ".join(SHOWN)
    conditions = " AND ".join(f"{name} = ?" for name in wanted) or "true"
    query = f"SELECT {columns} FROM work WHERE {conditions} ORDER BY coalesce(cost_usd, 0) DESC, sent_at, call_id LIMIT ?"
    with _reader(settings) as reader:
        rows: list[dict[str, Any]] = reader.ask(*interval_of(first, last, zone), query, (*wanted.values(), top)).to_pylist()
    return rows


def explain(call: Mapping[str, Any], book: PriceBook) -> Explanation:
    """Return a call's meters at the prices whose ids stand on its row."""
    applied = [price for price in map(book.by_id, call["price_ids"].split(",")) if price is not None]
    unknown = [price_id for price_id in call["price_ids"].split(",") if price_id and book.by_id(price_id) is None]
    charges = tuple(_charges(call, applied))
    exact = sum((charge.cost_usd for charge in charges), Decimal(0))
    computed = None if unknown or not applied else exact.quantize(PLACES, ROUND_HALF_EVEN)
    return Explanation(charges, computed, _remark(call, computed, unknown))


def _charges(call: Mapping[str, Any], applied: Sequence[Price]) -> Iterator[Charge]:
    by_meter = {price.meter: price for price in applied}
    if "request" in by_meter:
        yield _charge("request", 1, by_meter["request"])
    for part, column in METERS.items():
        if call[column]:
            yield _charge(part, call[column], next((by_meter[meter] for meter in CHARGED[part] if meter in by_meter), None))


def _charge(part: str, amount: int | Decimal, price: Price | None) -> Charge:
    unit = {"compute_s": "second", "image": "image", "request": "request"}.get(part, "token")
    if price is None:
        return Charge(part, amount, unit, None, None, Decimal(0))
    return Charge(part, amount, unit, price.price, price.price_id, price.price * amount)


def _remark(call: Mapping[str, Any], computed: Decimal | None, unknown: Sequence[str]) -> str:
    if call["status"] == "unknown":
        return f"its outcome is not known: at most ${call['reserved_usd']:f}, until a bill closes it (skillyard cost reconcile)"
    if call["status"] == "cached":
        return f"from the response store: it cost nothing, and saved ${call['saved_usd']:f}"
    if "bill" in unknown:
        return "as the provider's bill says: skillyard lake show reconciliations"
    if unknown:
        return f"{', '.join(unknown)} stand on the row and not in the price book: rows were taken out of include/prices"
    if computed is not None and computed != call["cost_usd"]:
        return f"the ledger has ${call['cost_usd']:f}: prices in the book were altered since"
    return ""


def _whole(row: dict[str, Any]) -> dict[str, Any]:
    """Return the row with its amounts to 12 places and its counts as whole numbers."""
    return {
        name: Decimal(value).quantize(PLACES) if name.endswith("_usd") else value if name in ("name", "is_other") else int(value)
        for name, value in row.items()
    }


def _listed(sums: Mapping[str, str]) -> str:
    return ", ".join(f"{expression} AS {name}" for name, expression in sums.items())


def _reader(settings: Settings) -> LedgerReader:
    return LedgerReader(
        Lake(settings.lake), load_prices(settings), load_profile(settings.profile, settings.include).deployments("expert")[0].model
    )
