"""Bill beside ledger: what a line proves, what its absence proves, and that nothing is counted twice."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillyard.costs.reconciling.bill import BillLine
from skillyard.costs.reconciling.comparison import CLOSES, DIFFERENCES, Call, Coverage, Entry, compare
from skillyard.errors import UnknownName

DAY = date(2026, 11, 20)
WHOLE = Coverage(DAY, DAY)


def call(call_id: str = "a", status: str = "unknown", usd: str | None = None, **changes: Any) -> Call:
    cost = Decimal(usd) if usd else {"failed": Decimal(0), "cached": Decimal(0)}.get(status)
    values = {
        "request_id": None,
        "deployment": "d",
        "model": "m",
        "day": DAY,
        "is_in_flight": False,
        "lake": "file:///lake",
        "tier": "fast",
    } | changes
    return Call(call_id=call_id, status=status, cost_usd=cost, reserved_usd=Decimal(1), **values)


def line(call_id: str | None = "a", usd: str = "0.5", request_id: str | None = None) -> BillLine:
    return BillLine(call_id, request_id, "m", Decimal(usd), {}, f"bill.csv:{call_id}")


def kinds(entries: list[Entry]) -> list[str]:
    return [entry.kind for entry in entries]


@pytest.mark.parametrize(
    ("of_ledger", "kind", "difference"),
    [
        (call(status="unknown"), "billed", "0"),
        (call(status="sent"), "billed", "0"),
        (call(status="sent", is_in_flight=True), "in_flight", "0"),
        (call(status="settled", usd="0.5"), "agrees", "0"),
        (call(status="settled", usd="0.500000000001"), "other_amount", "-0.000000000001"),
        (call(status="failed"), "billed_failure", "0"),
        (call(status="cached"), "other_amount", "0.5"),
        (None, "not_in_ledger", "0.5"),
    ],
)
def test_what_a_line_says_of_an_attempt(of_ledger: Call | None, kind: str, difference: str) -> None:
    (entry,) = compare([line()], [of_ledger] if of_ledger else [])
    assert (entry.kind, entry.difference_usd) == (kind, Decimal(difference))


@pytest.mark.parametrize(
    ("of_ledger", "kind", "difference"),
    [
        (call("b", "unknown"), "not_billed", "0"),
        (call("b", "sent"), "not_billed", "0"),
        (call("b", "sent", is_in_flight=True), "in_flight", "0"),
        (call("b", "settled", "0.25"), "settled_not_billed", "-0.25"),
    ],
)
def test_what_a_missing_line_says_of_a_covered_attempt(of_ledger: Call, kind: str, difference: str) -> None:
    _, entry = compare([line()], [call(), of_ledger], WHOLE)
    assert (entry.kind, entry.difference_usd) == (kind, Decimal(difference))


@pytest.mark.parametrize("of_ledger", [call("b", "failed"), call("b", "cached"), call("b", "settled", "0")])
def test_what_cost_nothing_need_not_be_on_the_bill(of_ledger: Call) -> None:
    assert kinds(compare([line()], [call(), of_ledger], WHOLE)) == ["billed"]


def test_a_line_of_zero_agrees_with_what_cost_nothing() -> None:
    assert kinds(compare([line(usd="0")], [call(status="failed")])) == ["agrees"]
    assert kinds(compare([line(usd="0")], [call(status="cached")])) == ["agrees"]


def test_absence_proves_nothing_on_other_days_for_other_deployments_or_without_coverage() -> None:
    elsewhere = [call("b", day=DAY + timedelta(days=1)), call("c", deployment="other"), call("s", "settled", "1", deployment="other")]
    assert kinds(compare([line()], [call(), *elsewhere], WHOLE)) == ["billed", "open", "open"]
    assert kinds(compare([line()], [call(), call("b"), call("s", "settled", "1")])) == ["billed", "open"]


def test_a_deployment_may_be_covered_without_a_line() -> None:
    calls = [call("b"), call("c", deployment="other")]
    assert kinds(compare([], calls, WHOLE)) == ["open", "open"]
    assert kinds(compare([], calls, Coverage(DAY, DAY, frozenset({"other"})))) == ["open", "not_billed"]
    with pytest.raises(UnknownName, match=r"deployment 'othr'.*Did you mean 'other'"):
        compare([], calls, Coverage(DAY, DAY, frozenset({"othr"})))


def test_a_line_without_our_id_is_found_by_the_providers() -> None:
    settled = call("a", "settled", "0.5", request_id="chat-1")
    assert kinds(compare([line(None, request_id="chat-1")], [settled])) == ["agrees"]
    assert kinds(compare([line("else", request_id="chat-1")], [settled])) == ["agrees"]


def test_an_attempt_answers_for_one_line_only() -> None:
    settled = call("a", "settled", "0.5", request_id="chat-1")
    entries = compare([line("a"), line(None, "0.5", "chat-1")], [settled])
    assert kinds(entries) == ["agrees", "not_in_ledger"] and entries[1].difference_usd == Decimal("0.5")


usd = st.decimals(0, 10, places=12).map(lambda value: f"{value:f}")
ledgers = st.lists(
    st.builds(call, st.integers(0, 30).map(str), st.sampled_from(["unknown", "settled", "failed", "sent"]), usd),
    unique_by=lambda c: c.call_id,
)


@given(ledgers, st.lists(st.builds(line, st.integers(0, 40).map(str), usd), unique_by=lambda x: x.call_id))
def test_billed_less_the_ledger_afterwards_is_exactly_the_difference(ledger: list[Call], lines: list[BillLine]) -> None:
    calls = [Call(**{f: getattr(c, f) for f in Call.__slots__} | _costs(c)) for c in ledger]
    entries = compare(lines, calls, Coverage(DAY, DAY, frozenset({"d"}) if calls else frozenset()))
    by_id = {entry.call.call_id: entry for entry in entries if entry.call}
    after = Decimal(0)
    for c in calls:
        entry = by_id.get(c.call_id)
        after += entry.billed_usd if entry and entry.kind in CLOSES else c.cost_usd or 0
    assert sum((x.amount_usd for x in lines), Decimal(0)) - after == sum((entry.difference_usd for entry in entries), Decimal(0))
    assert not any(entry.call and entry.call.is_open for entry in entries if entry.kind in DIFFERENCES)


def _costs(c: Call) -> dict[str, Any]:
    return {"cost_usd": {"settled": c.cost_usd, "failed": Decimal(0)}.get(c.status)}
