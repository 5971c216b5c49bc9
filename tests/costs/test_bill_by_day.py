"""A bill by day and model beside the ledger: parts that sum to the difference exactly, whatever the two sides say."""

from datetime import date
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skillyard.costs.prices.book import Usage
from skillyard.costs.reconciling.bill_by_day import Compared, compare
from skillyard.costs.reconciling.cost_reports.report import PARTS, Charge, CostReport, TokenCount
from skillyard.costs.reconciling.ledger_side import KINDS, TOKENS, Side, ledger_sides
from tests.costs.ledger import BOOK, DAY, MODELS, call

ZERO = Decimal(0)
FAST = MODELS["fast"]
NAME = "sim-fast-2026-01-15"
USAGE = Usage(1000, 200, 0, 50)


def lines(calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return calls as lines of their own."""
    return [{**row, "n_calls": 1, "cost_usd": row["cost_usd"] or ZERO} for row in calls]


def sides(calls: list[dict[str, Any]], corrections: list[dict[str, Any]] | None = None) -> dict[tuple[date, str], Side]:
    return ledger_sides(lines(calls), corrections or [], BOOK)


def report(calls: list[dict[str, Any]], factor: str = "1", places: int = 20, with_counts: bool = True) -> CostReport:
    """Return what a provider reports of these calls: a charge for each part, rounded, and their tokens."""
    charges, counts = [], []
    for row in calls:
        rates = BOOK.rates(row["model"], row["sent_at"], row["service_tier"])
        for part, column in TOKENS.items():
            usd = round(rates[part] * row[column] * Decimal(factor), places)
            charges.append(Charge(row["usage_date"], f"{NAME}, {part}", NAME, True, usd, ""))
            counts.append(TokenCount(row["usage_date"], NAME, row["service_tier"], part, row[column], ""))
    return CostReport("openai", "api", (DAY,), tuple(charges), tuple(counts) if with_counts else ())


def compared(bill: CostReport, found: dict[tuple[date, str], Side]) -> Compared:
    (row,) = compare(bill, found, [FAST], {FAST: "fast"}, BOOK)
    assert sum(row.parts.values()) == row.difference_usd
    return row


def explained(row: Compared) -> dict[str, Decimal]:
    return {kind: usd for kind, usd in row.parts.items() if usd}


def test_the_same_calls_agree_and_the_ledgers_own_rounding_is_known_as_such() -> None:
    calls = [call(USAGE), call(Usage(7, 1, 0, 3)), call(USAGE, lane="batch", service_tier="batch")]
    calls[2]["cost_usd"] = BOOK.cost(FAST, USAGE, calls[2]["sent_at"], "batch").usd
    row = compared(report(calls), sides(calls))
    assert (row.model, row.tier, row.n_calls, row.capture_rate) == (FAST, "fast", 3, 1)
    assert explained(row).keys() <= {"rounding"} and abs(row.rounding_usd) <= Decimal("3E-12")


def test_calls_that_only_one_side_has_are_worth_what_the_book_says() -> None:
    calls = [call(USAGE), call(USAGE), call(USAGE)]
    more = compared(report(calls), sides(calls[:2]))
    assert explained(more) == {"missing_calls": calls[0]["cost_usd"]} and more.capture_rate == Decimal("0.666666")
    assert "billed, but not in the ledger" in more.message
    less = compared(report(calls[:2]), sides(calls))
    assert explained(less) == {"missing_calls": -calls[0]["cost_usd"]} and less.capture_rate == 1
    assert "in the ledger, but not billed" in less.message


def test_another_price_for_the_same_tokens_is_told_from_missing_calls() -> None:
    calls = [call(USAGE), call(USAGE)]
    row = compared(report(calls, factor="1.1"), sides(calls))
    assert explained(row) == {"price": sum(c["cost_usd"] for c in calls) * Decimal("0.1")} and row.capture_rate == 1
    both = compared(report(calls, factor="1.1"), sides(calls[:1]))
    assert explained(both) == {"missing_calls": calls[0]["cost_usd"], "price": calls[0]["cost_usd"] * Decimal("0.2")}
    assert "dearer than by the price book" in both.message


def test_rounding_is_no_more_than_the_last_place_of_each_line() -> None:
    calls = [call(USAGE) for _ in range(40)]
    row = compared(report(calls, places=8), sides(calls))
    assert explained(row).keys() == {"rounding"} and ZERO < abs(row.rounding_usd) <= Decimal("1E-8") * len(calls) * len(PARTS)
    assert row.message == "agrees"


def test_without_token_counts_a_difference_is_not_explained_unless_one_side_has_nothing() -> None:
    calls = [call(USAGE), call(USAGE)]
    row = compared(report(calls, with_counts=False), sides(calls[:1]))
    assert explained(row) == {"unexplained": calls[0]["cost_usd"]} and row.capture_rate == Decimal("0.5")
    assert "no token counts" in row.message
    alone = compared(report(calls, with_counts=False), {})
    assert explained(alone) == {"missing_calls": 2 * calls[0]["cost_usd"]} and (alone.tier, alone.capture_rate) == ("fast", 0)
    absent = compared(CostReport("openai", "api", (DAY,), (), ()), sides(calls))
    assert explained(absent) == {"missing_calls": -2 * calls[0]["cost_usd"]}


def test_what_is_charged_beside_tokens_is_not_explained_and_what_has_no_model_stands_under_its_own_name() -> None:
    calls = [call(USAGE)]
    bill = report(calls)
    searches = (Charge(DAY, f"{NAME}, web search", NAME, False, Decimal(2), ""), Charge(DAY, "Vector storage", "", False, Decimal(3), ""))
    whole = CostReport("openai", "api", (DAY,), (*bill.charges, *searches), bill.counts)
    by_model = {row.model: row for row in compare(whole, sides(calls), [FAST], {}, BOOK)}
    assert explained(by_model[FAST]) == {"unexplained": Decimal(2)} and "web search" in by_model[FAST].message
    assert explained(by_model["Vector storage"]) == {"missing_calls": Decimal(3)} and by_model["Vector storage"].tier == "expert"


def test_an_attempt_that_a_bill_settled_is_worth_what_it_cost_with_and_without_its_tokens() -> None:
    counted, uncounted = call(USAGE, price_ids="bill"), call(Usage(), price_ids="bill")
    usual = counted["cost_usd"]
    counted["cost_usd"], uncounted["cost_usd"] = usual * 2, usual
    twice = report([call(USAGE)], factor="2")
    assert explained(compared(twice, sides([counted]))) == {}
    assert explained(compared(report([call(USAGE)]), sides([uncounted]))) == {}


def test_unknown_attempts_are_named_and_their_reservation_too() -> None:
    calls, lost = [call(USAGE)], call(USAGE, status="unknown")
    row = compared(report([*calls, call(USAGE)]), sides([*calls, lost]))
    assert (row.n_unknown, row.unknown_reserved_usd) == (1, lost["reserved_usd"])
    assert explained(row) == {"missing_calls": calls[0]["cost_usd"]} and "the missing calls may be theirs" in row.message


def test_long_prompts_are_worth_their_own_prices() -> None:
    model, at = "openai/gpt-6-luna", call()["sent_at"]
    tiers = BOOK.context_tiers(model, DAY)
    if not tiers:
        pytest.skip("the book has no context tiers of this model")
    usage = Usage(tiers[-1] + 1, 0, 0, 10)
    long = call(usage, model=model)
    charges = tuple(
        Charge(DAY, f"gpt-6-luna, {part}", "gpt-6-luna", True, BOOK.rates(model, at, context_tokens=tiers[-1] + 1)[part] * n, "")
        for part, n in (("input", usage.input_tokens), ("output", 10))
    )
    counts = (
        TokenCount(DAY, "gpt-6-luna", "standard", "input", usage.input_tokens, ""),
        TokenCount(DAY, "gpt-6-luna", "standard", "output", 10, ""),
    )
    (row,) = compare(CostReport("openai", "api", (DAY,), charges, counts), sides([long]), [model], {}, BOOK)
    assert explained(row) == {}


tokens = st.integers(0, 2_000_000)
statuses = st.sampled_from(["settled", "settled", "failed", "unknown"])
some_calls = st.lists(st.builds(call, st.builds(Usage, tokens, tokens, st.just(0), tokens), status=statuses), max_size=6)
usd = st.decimals(-1000, 1000, places=12, allow_nan=False, allow_infinity=False)
bills = st.builds(
    lambda charges, counts: CostReport(
        "openai",
        "api",
        (DAY,),
        tuple(Charge(DAY, f"{NAME}, {part}", NAME, is_tokens, amount, "") for part, is_tokens, amount in charges),
        tuple(TokenCount(DAY, NAME, "standard", part, n, "") for part, n in counts),
    ),
    st.lists(
        st.tuples(st.sampled_from(PARTS), st.booleans(), st.decimals(-10, 1000, places=16, allow_nan=False, allow_infinity=False)),
        max_size=6,
    ),
    st.lists(st.tuples(st.sampled_from(PARTS), tokens), max_size=6),
)
earlier = st.lists(
    st.builds(lambda kind, cost: {"usage_date": DAY, "model": FAST, "error_kind": kind, "cost_usd": cost}, st.sampled_from(KINDS), usd),
    max_size=4,
)


@settings(deadline=None)
@given(some_calls, bills, earlier)
def test_the_parts_always_sum_to_the_difference_and_posting_them_leaves_nothing(
    calls: list[dict[str, Any]], bill: CostReport, corrections: list[dict[str, Any]]
) -> None:
    found = compare(bill, sides(calls, corrections), [FAST], {}, BOOK)
    settled = sum((c["cost_usd"] or ZERO for c in calls), ZERO) + sum((c["cost_usd"] for c in corrections), ZERO)
    assert sum((row.ledger_usd for row in found), ZERO) == settled
    for row in found:
        assert sum(row.parts.values()) == row.difference_usd == row.billed_usd - row.ledger_usd
        assert 0 <= row.capture_rate <= 1
        pa.scalar(row.difference_usd, pa.decimal128(28, 12))
    posted = [
        {"usage_date": row.usage_date, "model": row.model, "error_kind": kind, "cost_usd": cost}
        for row in found
        for kind, cost in row.parts.items()
    ]
    for row in compare(bill, sides(calls, [*corrections, *posted]), [FAST], {}, BOOK):
        assert not any(row.parts.values()) and row.ledger_usd == row.billed_usd
