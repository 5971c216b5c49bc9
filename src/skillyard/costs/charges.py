"""What a day costs, charged to those it served: ``cost_daily`` and ``unit_costs`` from a day's lines.

Every line's cost is one of three. *Direct*: it bought an answer, or a vote, that was used. *Waste*: it bought one that was not: a later
answer of the operation took its place, or its item ended as a reject. *Shared*: it serves many: routing, audits, judges, evals, and the
corrections of a provider's bill. Shared cost comes back as *allocated*:

1. What a team's skill shares goes to its answers and votes of the day, in proportion to direct + waste.
2. A correction goes to the day's answers and votes of the same model, of all teams and skills, in proportion to direct + waste.
3. Where there are no such rows, or all of them are 0, it stays where it is.

A day's allocated cost is its shared cost, to the last decimal; so direct + waste + allocated, what is charged, is its cost.
"""

from collections import defaultdict
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from skillyard.costs.allocation import allocate
from skillyard.costs.ledger.lines import Day
from skillyard.costs.prices.book import METERS
from skillyard.lake.cost_tables import COST_DAILY, UNIT_COSTS
from skillyard.lake.tables import INT, MONEY

METHOD = "charges/1"
_ATTEMPTS = ("settled", "failed", "unknown")
_KEY = ("team", "skill", "fingerprint", "tier", "model", "dag_id", "purpose")
_MONEY = ("cost_usd", "direct_usd", "waste_usd", "shared_usd", "allocated_usd")
_ZERO = Decimal(0)


def charges(day: Day) -> pa.Table:
    """Return the day by the key of ``cost_daily`` and the fingerprint, with the measures of both tables, in the order of the key."""
    lines = day.lines
    is_settled = pc.equal(lines.column("status"), "settled")
    use = lines.column("use")
    is_direct, is_shared = pc.equal(use, "served"), pc.or_(pc.equal(use, "shared"), pc.equal(use, "correction"))
    n_calls, cost = lines.column("n_calls"), lines.column("cost_usd")
    of_status = {status: pc.equal(lines.column("status"), status) for status in ("settled", "failed", "unknown", "cached")}
    columns = {name: lines.column(name) for name in _KEY}
    columns["n_calls"] = _only(pc.is_in(lines.column("status"), pa.array(_ATTEMPTS)), n_calls)
    columns |= {f"n_{status}": _only(mask, n_calls) for status, mask in of_status.items()}
    columns["n_served"] = _only(is_direct, n_calls)
    columns |= {name: _only(is_settled, lines.column(name)) for name in METERS}
    columns["cost_usd"] = cost
    columns["direct_usd"], columns["shared_usd"] = _only(is_direct, cost), _only(is_shared, cost)
    columns["waste_usd"] = _only(pc.invert(pc.or_(is_direct, is_shared)), cost)
    columns |= {"idle_usd": lines.column("idle_usd"), "saved_usd": lines.column("saved_usd")}
    columns["unknown_reserved_usd"] = _only(of_status["unknown"], lines.column("reserved_usd"))
    rows = _summed(pa.table(columns), _KEY)
    return rows.append_column("allocated_usd", pa.array(_allocated(rows.select([*_KEY, *_MONEY[1:-1]]).to_pylist()), MONEY))


def cost_rows(day: Day, charged: pa.Table | None = None) -> pa.Table:
    """Return the day's rows of ``cost_daily``, in the order of its key."""
    key = COST_DAILY.key[1:]
    rows = _summed((charges(day) if charged is None else charged).drop_columns(["fingerprint"]), key)
    return _finished(day, rows.join(day.items.drop_columns(["usage_date"]), list(key), use_threads=False), COST_DAILY.schema, key)


def unit_rows(day: Day, charged: pa.Table | None = None) -> pa.Table:
    """Return the day's rows of ``unit_costs``, in the order of its key."""
    key = UNIT_COSTS.key[1:]
    rows = (charges(day) if charged is None else charged).select([*key, "n_calls", *_MONEY])
    rows = _summed(rows, key).join(day.units.drop_columns(["usage_date"]), list(key), use_threads=False)
    return _finished(day, rows, UNIT_COSTS.schema, key)


def _allocated(rows: list[dict[str, Any]]) -> list[Decimal]:
    """Return what each row is charged of what is shared."""
    served: dict[tuple[str, ...], list[int]] = defaultdict(list)
    pools: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for number, row in enumerate(rows):
        of_skill, of_model = (row["team"], row["skill"]), (row["model"],)
        if row["purpose"] in ("answer", "vote"):
            served[of_skill].append(number)
            served[of_model].append(number)
        if row["shared_usd"]:
            pools[of_model if row["purpose"] == "correction" else of_skill].append(number)
    allocated = [_ZERO] * len(rows)
    for key, sharing in sorted(pools.items()):
        weights = [rows[number]["direct_usd"] + rows[number]["waste_usd"] for number in served[key]]
        if any(weights):
            shares = allocate(sum((rows[number]["shared_usd"] for number in sharing), _ZERO), weights)
            for number, share in zip(served[key], shares, strict=True):
                allocated[number] += share
        else:
            for number in sharing:
                allocated[number] += rows[number]["shared_usd"]
    return allocated


def _only(mask: pa.ChunkedArray, values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the values where the mask holds, else 0."""
    return pc.if_else(mask, values, pa.scalar(0, values.type))


def _summed(rows: pa.Table, key: tuple[str, ...]) -> pa.Table:
    """Return one row per key, in its order, with the sums of all other columns under their own names."""
    measures = [name for name in rows.column_names if name not in key]
    grouped = rows.group_by(list(key), use_threads=False).aggregate([(name, "sum") for name in measures])
    return grouped.rename_columns([name.removesuffix("_sum") for name in grouped.column_names]).sort_by([(k, "ascending") for k in key])


def _finished(day: Day, rows: pa.Table, schema: pa.Schema, key: tuple[str, ...]) -> pa.Table:
    """Return the rows as the table has them; a sum that is too large for its column is an error, never cut."""
    rows = rows.sort_by([(name, "ascending") for name in key])
    rows = rows.append_column("usage_date", pa.array([day.day] * rows.num_rows, pa.date32()))
    columns = []
    for field in schema:
        column = rows.column(field.name)
        # Versions without an answer or a vote have no units.
        columns.append((pc.fill_null(column, 0) if field.type == INT else column).cast(field.type))
    return pa.table(columns, schema=schema)
