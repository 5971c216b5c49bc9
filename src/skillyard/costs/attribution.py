"""The daily bill: ``llm_calls`` grouped into ``cost_daily``, in decimals, a day at a time and the same however often it is done.

Token and compute columns count settled calls, so that they are what ``cost_usd`` pays for. ``baseline.py`` says how the all-expert
baseline is made; it is that of answers alone, since without routing nobody would classify, vote or audit.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc

from skillyard.costs.baseline import METERS, cost_at
from skillyard.costs.prices import PriceBook, load_prices
from skillyard.errors import ConfigError
from skillyard.lake.cost_tables import COST_DAILY
from skillyard.lake.lake import Lake
from skillyard.lake.publish import replace_partition
from skillyard.lake.read import read, scan
from skillyard.lake.rows import by_day
from skillyard.lake.tables import INT, LLM_CALLS, MONEY, SECONDS
from skillyard.lake.validate import validate
from skillyard.profiles import load_profile
from skillyard.settings import Settings

STATUSES = ("settled", "failed", "unknown", "cached")
_SUMS = (*(f"n_{status}" for status in STATUSES), *METERS.values(), "cost_usd", "unknown_reserved_usd", "saved_usd", "baseline_usd")
_KEY_ORDER = [(name, "ascending") for name in COST_DAILY.key]
_COLUMNS = [*COST_DAILY.key, "item_id", "status", *METERS.values(), "cost_usd", "reserved_usd", "saved_usd"]


@dataclass(frozen=True, slots=True)
class DayReport:
    """What a day came to, and whether its partition had to be written or removed."""

    day: date
    n_calls: int
    n_rows: int
    cost_usd: Decimal
    is_changed: bool


def attribute(settings: Settings, first: date, last: date) -> list[DayReport]:
    """Make ``cost_daily`` of every day from first to last what the ledger says; one report per day that has or had rows.

    Unpriced, before anything is written, when a model of the ledger or the expert tier has no price on the day of a call.
    """
    check_range(first, last)
    lake, book = Lake(settings.lake), load_prices(settings)
    expert = load_profile(settings.profile, settings.include).deployments("expert")[0].model
    in_range = (pc.field("usage_date") >= first) & (pc.field("usage_date") <= last)
    bills = bill_days(scan(lake, LLM_CALLS.name, _COLUMNS, in_range), book, expert)
    published = dict(by_day(COST_DAILY, read(lake, COST_DAILY.name, where=in_range)))
    nothing = COST_DAILY.schema.empty_table()
    return [_publish(lake, day, bills.get(day, nothing), published.get(day, nothing)) for day in sorted(bills.keys() | published.keys())]


def bill_days(ledger: Iterable[pa.RecordBatch], book: PriceBook, expert: str) -> dict[date, pa.Table]:
    """Return each day's rows of ``cost_daily``, in the order of their key, however the ledger's rows come."""
    partials: dict[date, list[_Partial]] = defaultdict(list)
    for batch in ledger:
        for day, calls in by_day(LLM_CALLS, pa.Table.from_batches([batch])):
            partials[day].append(_partial(calls, book, expert, datetime.combine(day, time(), UTC)))
    return {day: _bill(parts) for day, parts in partials.items()}


def check_range(first: date, last: date) -> None:
    """Raise ConfigError for a range that ends before it begins."""
    if last < first:
        raise ConfigError(f"the days from {first} to {last} end before they begin: the first has to be the earlier one.")


@dataclass(frozen=True, slots=True)
class _Partial:
    """Part of a day: sums by the key of ``cost_daily``, and the items behind them, each once."""

    sums: pa.Table
    items: pa.Table


def _partial(calls: pa.Table, book: PriceBook, expert: str, at: datetime) -> _Partial:
    for model in pc.unique(calls.column("model")).to_pylist():
        book.check(model, at)
    settled = pc.equal(calls.column("status"), "settled")
    unknown = pc.equal(calls.column("status"), "unknown")
    measures = {f"n_{status}": pc.equal(calls.column("status"), status).cast(INT) for status in STATUSES}
    measures |= {column: _only(settled, calls.column(column)) for column in METERS.values()}
    measures["cost_usd"] = _only(settled, calls.column("cost_usd"))
    measures["unknown_reserved_usd"] = _only(unknown, calls.column("reserved_usd"))
    measures["saved_usd"] = calls.column("saved_usd")
    is_answer = pc.equal(calls.column("purpose"), "answer")
    measures["baseline_usd"] = _only(pc.and_(settled, is_answer), cost_at(calls, book.rates(expert, at)))
    keyed = calls.select(list(COST_DAILY.key))
    for name, values in measures.items():
        keyed = keyed.append_column(name, values)
    return _Partial(_summed(keyed), _distinct(calls.select([*COST_DAILY.key, "item_id"])))


def _only(mask: pa.ChunkedArray, values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the values where the mask holds, else 0."""
    return pc.fill_null(pc.if_else(mask, values, pa.scalar(0, values.type)), pa.scalar(0, values.type))


def _summed(rows: pa.Table) -> pa.Table:
    """Return one row per key with the sums under their own names."""
    grouped = rows.group_by(list(COST_DAILY.key), use_threads=False).aggregate([(name, "sum") for name in _SUMS])
    return grouped.rename_columns([name.removesuffix("_sum") for name in grouped.column_names])


def _distinct(rows: pa.Table) -> pa.Table:
    return rows.group_by(rows.column_names, use_threads=False).aggregate([])


def _bill(parts: list[_Partial]) -> pa.Table:
    """Return a day's rows of ``cost_daily`` in the order of their key."""
    sums = _summed(pa.concat_tables([part.sums for part in parts]))
    items = _distinct(pa.concat_tables([part.items for part in parts]))
    n_items = items.group_by(list(COST_DAILY.key), use_threads=False).aggregate([([], "count_all")])
    rows = sums.join(n_items.rename_columns({"count_all": "n_items"}), list(COST_DAILY.key), use_threads=False)
    n_calls = pc.add(pc.add(rows.column("n_settled"), rows.column("n_failed")), rows.column("n_unknown"))
    rows = rows.append_column("n_calls", n_calls).sort_by(_KEY_ORDER)
    return pa.table([_fit(rows.column(field.name), field.type) for field in COST_DAILY.schema], schema=COST_DAILY.schema)


def _fit(values: pa.ChunkedArray, type_: pa.DataType) -> pa.ChunkedArray:
    """Return a sum, which Arrow widens, in its column's type; a sum too large for it is an error, never cut."""
    return values.cast(type_) if type_ in (MONEY, SECONDS, INT) else values


def _publish(lake: Lake, day: date, rows: pa.Table, published: pa.Table) -> DayReport:
    """Replace the day's partition unless it already says the same; a day without calls is removed."""
    is_changed = not rows.equals(published.sort_by(_KEY_ORDER))
    if is_changed:
        validate(lake, COST_DAILY, rows)
        replace_partition(lake, COST_DAILY, day, rows)
    cost = pc.sum(rows.column("cost_usd")).as_py() or Decimal(0)
    return DayReport(day, pc.sum(rows.column("n_calls")).as_py() or 0, rows.num_rows, cost, is_changed)
