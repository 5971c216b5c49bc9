"""Sums of every table of money agree with the ledger and with each other, to the last decimal, however the ledger's rows come."""

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st

from skillyard.costs.allocation import allocate
from skillyard.costs.charges import cost_rows, unit_rows
from skillyard.costs.expert_ratio import AUDIT_COLUMNS
from skillyard.costs.focus.rows import focus_rows
from skillyard.costs.ledger.reader import LedgerEngine, Read, Sources
from skillyard.costs.savings import savings_rows
from skillyard.lake.tables import AUDITS, DOCUMENTS, REJECTS
from tests.costs.ledger import BOOK, DAY, EXPERT, call, ledger, operations, reject

NEXT = DAY + timedelta(days=1)
NO_AUDITS = AUDITS.schema.empty_table().select(list(AUDIT_COLUMNS))
TIERS: dict[date, tuple[int, ...]] = {DAY: (200_000,), NEXT: ()}


@pytest.fixture(scope="module")
def engine() -> Iterator[LedgerEngine]:
    """One DuckDB for all examples."""
    with LedgerEngine() as one:
        one.load_documents(DOCUMENTS.schema.empty_table())
        yield one


def make(engine: LedgerEngine, rows: pa.Table, rejects: pa.Table, day: date = DAY) -> Read:
    return engine.make(day, None, Sources(rows, rows, rejects), TIERS)


def rejects_of(rows: list[dict[str, Any]], lost: set[str]) -> pa.Table:
    """Return the rejects of the operations' items that were given up."""
    return pa.Table.from_pylist([reject(row) for row in rows if row["item_id"] in lost], schema=REJECTS.schema)


def tables_of(read: Read) -> dict[str, pa.Table]:
    return {
        "cost_daily": cost_rows(read.day),
        "unit_costs": unit_rows(read.day),
        "savings_daily": savings_rows(read.day, BOOK, EXPERT, NO_AUDITS),
        "focus": focus_rows(read.day, BOOK),
    }


def total(rows: Any, column: str) -> Decimal:
    listed = rows.to_pylist() if isinstance(rows, pa.Table) else rows
    return sum((Decimal(row[column] or 0) for row in listed), Decimal(0))


ledgers = st.lists(operations, min_size=1, max_size=12).map(lambda found: [row for one in found for row in one])
items = st.sets(st.sampled_from("abcd"))


@limits(deadline=None, max_examples=25)
@given(ledgers, items)
def test_every_table_adds_up_to_the_ledger(engine: LedgerEngine, rows: list[dict[str, Any]], lost: set[str]) -> None:
    for day in (DAY, NEXT):
        of_day = [row for row in rows if row["usage_date"] == day]
        tables = tables_of(make(engine, ledger(rows), rejects_of(rows, lost), day))
        spent, corrected = total(of_day, "cost_usd"), total([r for r in of_day if r["status"] == "correction"], "cost_usd")
        for name in ("cost_daily", "unit_costs"):
            bill = tables[name]
            assert total(bill, "cost_usd") == spent
            assert all(row["cost_usd"] == row["direct_usd"] + row["waste_usd"] + row["shared_usd"] for row in bill.to_pylist())
            assert total(bill, "allocated_usd") == total(bill, "shared_usd")
            assert total(bill, "direct_usd") + total(bill, "waste_usd") + total(bill, "allocated_usd") == spent
        assert total(tables["savings_daily"], "cost_usd") == spent - corrected
        assert total(tables["focus"], "EffectiveCost") == spent
        columns = ("direct_usd", "waste_usd", "shared_usd", "n_calls")
        assert [total(tables["cost_daily"], c) for c in columns] == [total(tables["unit_costs"], c) for c in columns]


@limits(deadline=None, max_examples=15)
@given(ledgers, items)
def test_counts_and_memos_are_those_of_the_ledger(engine: LedgerEngine, rows: list[dict[str, Any]], lost: set[str]) -> None:
    of_day = [row for row in rows if row["usage_date"] == DAY]
    bill = cost_rows(make(engine, ledger(rows), rejects_of(rows, lost)).day)
    settled = [row for row in of_day if row["status"] == "settled"]
    for column in ("input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens", "n_images", "compute_s"):
        assert total(bill, column) == total(settled, column)
    for status in ("settled", "failed", "unknown", "cached"):
        assert total(bill, f"n_{status}") == sum(row["status"] == status for row in of_day)
    assert total(bill, "n_calls") == sum(row["status"] in ("settled", "failed", "unknown") for row in of_day)
    assert total(bill, "unknown_reserved_usd") == total([row for row in of_day if row["status"] == "unknown"], "reserved_usd")
    assert total(bill, "saved_usd") == total(of_day, "saved_usd")
    names = ("team", "skill", "tier", "model", "dag_id", "purpose")
    assert bill.num_rows == len({tuple(row[name] for name in names) for row in of_day})
    assert total(bill, "n_items") == len({tuple(row[name] for name in (*names, "item_id")) for row in of_day})


@limits(deadline=None, max_examples=15)
@given(ledgers, items)
def test_use_is_as_told_row_by_row(engine: LedgerEngine, rows: list[dict[str, Any]], lost: set[str]) -> None:
    def use(row: dict[str, Any]) -> str:
        if row["status"] != "settled":
            return "correction" if row["status"] == "correction" else "none"
        if row["purpose"] not in ("answer", "vote"):
            return "shared"
        later = [r for r in rows if r["operation_id"] == row["operation_id"] and r["attempt_no"] > row["attempt_no"]]
        if row["purpose"] == "answer" and any(r["status"] == "settled" and r["purpose"] == "answer" for r in later):
            return "repeated"
        return "rejected" if row["item_id"] in lost else "served"

    lines = make(engine, ledger(rows), rejects_of(rows, lost)).day.lines.to_pylist()
    wanted = [use(row) for row in rows if row["usage_date"] == DAY]
    assert {name: sum(line["n_calls"] for line in lines if line["use"] == name) for name in set(wanted)} == {
        name: wanted.count(name) for name in set(wanted)
    }


@limits(deadline=None, max_examples=15)
@given(ledgers, items, st.randoms(use_true_random=False), st.integers(1, 7), st.booleans())
def test_order_cuts_and_replays_of_the_ledger_change_nothing(
    engine: LedgerEngine, rows: list[dict[str, Any]], lost: set[str], random: Any, size: int, is_replayed: bool
) -> None:
    rejects = rejects_of(rows, lost)
    whole = make(engine, ledger(rows), rejects)
    shuffled = random.sample(rows, len(rows)) + (random.sample(rows, len(rows) // 2) if is_replayed else [])
    pieces = pa.concat_tables([ledger(shuffled[start : start + size]) for start in range(0, len(shuffled), size)])
    again = make(engine, pieces, rejects)
    for name in ("lines", "items", "units", "documents"):
        assert getattr(again.day, name).equals(getattr(whole.day, name))
    assert all(table.equals(tables_of(again)[name]) for name, table in tables_of(whole).items())


amounts = st.decimals(-1_000_000, 1_000_000, places=12)
weights = st.lists(st.decimals(0, 1_000_000, places=12), min_size=1, max_size=20).filter(any)


@given(amounts, weights)
def test_shares_add_up_and_are_off_by_less_than_a_unit(amount: Decimal, sizes: list[Decimal]) -> None:
    shares = allocate(amount, sizes)
    assert sum(shares) == amount
    whole = sum(sizes)
    assert all(abs(share * whole - amount * size) < whole * Decimal("1e-12") for share, size in zip(shares, sizes, strict=True))
    assert all(share * amount >= 0 for share in shares)
    assert shares == [-share for share in allocate(-amount, sizes)]


def test_what_is_left_over_goes_to_the_largest_remainders_the_first_of_equals() -> None:
    unit = Decimal("1e-12")
    assert allocate(5 * unit, [Decimal(1), Decimal(1), Decimal(1)]) == [2 * unit, 2 * unit, unit]
    assert allocate(3 * unit, [Decimal(1), Decimal(9)]) == [Decimal(0), 3 * unit]


@pytest.mark.parametrize("sizes", [[], [Decimal(0)], [Decimal(2), Decimal(-1)]])
def test_an_amount_needs_something_to_be_divided_by(sizes: list[Decimal]) -> None:
    with pytest.raises(ValueError, match="weights of 0 or more"):
        allocate(Decimal(1), sizes)


def test_idle_time_is_rounded_call_by_call_half_even(engine: LedgerEngine) -> None:
    seconds = {"compute_s": Decimal(2), "idle_s": Decimal(1)}
    costs = [Decimal("0.000000000001"), Decimal("0.000000000003"), Decimal("123456.000000000001")]
    day = make(engine, ledger([call(cost_usd=cost, **seconds) for cost in costs]), REJECTS.schema.empty_table()).day
    assert total(cost_rows(day), "idle_usd") == Decimal("61728.000000000002")


def test_a_longer_prompt_falls_into_the_experts_context_tier(engine: LedgerEngine) -> None:
    rows = [call() | {"input_tokens": n, "cache_read_tokens": 0, "cache_write_tokens": 0} for n in (200_000, 200_001)]
    day = make(engine, ledger(rows), REJECTS.schema.empty_table()).day
    assert sorted(day.lines["context_over"].to_pylist()) == [0, 200_000]
