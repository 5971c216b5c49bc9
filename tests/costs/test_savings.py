"""Savings: the identity holds to the last decimal in every row, nothing unserved has a baseline, and what is measured says so."""

from collections import Counter
from collections.abc import Iterable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st

from skillyard.costs.prices.book import PriceBook
from skillyard.costs.savings import METHOD, savings_rows
from skillyard.lake.cost_tables import SAVINGS_DAILY
from skillyard.lake.results import to_results
from skillyard.lake.tables import AUDITS
from tests.costs.audited import audit
from tests.costs.ledger import DAY
from tests.costs.line_rows import BOOK, BOOK_ROWS, EXPERT, FAST, MODEL_OF, STANDARD, day_of, line, price, prices

NEXT = DAY + timedelta(days=1)
NO_AUDITS = to_results(AUDITS, [])


def rows(
    lines: Iterable[dict[str, Any]], audits: pa.Table = NO_AUDITS, book: PriceBook = BOOK, expert: str = EXPERT, day: date = DAY
) -> list[dict[str, Any]]:
    return savings_rows(day_of(lines, day), book, expert, audits).to_pylist()


def only(lines: Iterable[dict[str, Any]], **others: Any) -> dict[str, Any]:
    (row,) = rows(lines, **others)
    return row


def pairs(n: int, fast_usd: str = "1", expert_usd: str = "8", first: int = 0, **changes: Any) -> list[dict[str, Any]]:
    """Return audits of n items that both the fast tier and the expert answered."""
    numbers = range(first, first + n)
    both = [("fast", fast_usd), ("expert", expert_usd)]
    return [audit(tier, 1.0, i, usd, model=MODEL_OF[tier], **changes) for i in numbers for tier, usd in both]


def audits_of(found: Iterable[dict[str, Any]]) -> pa.Table:
    return to_results(AUDITS, list(found))


units = st.integers(0, 2_000_000)
money = st.integers(0, 10**13).map(lambda n: Decimal(n).scaleb(-12))


@st.composite
def any_line(draw: st.DrawFn) -> dict[str, Any]:
    """A line as the ledger can have it, of any purpose, status and use."""
    tier = draw(st.sampled_from(sorted(MODEL_OF)))
    lane = draw(st.sampled_from(["live", "live", "batch"]))
    purpose = draw(st.sampled_from(["answer", "answer", "answer", "vote", "routing", "audit", "judge"]))
    status = draw(st.sampled_from(["settled", "settled", "settled", "cached", "failed", "unknown", "correction"]))
    served = ["served", "repeated", "rejected"] if purpose in ("answer", "vote") else ["shared"]
    use = draw(st.sampled_from(served)) if status == "settled" else "none"
    settled = {name: draw(units) for name in ("input_tokens", "cache_read_tokens", "output_tokens", "n_images")} if use != "none" else {}
    return line(
        tier,
        str(draw(money)) if status == "settled" else "-0.5" if status == "correction" else "0",
        model=draw(st.sampled_from([MODEL_OF[tier], "acme/unpriced"])),
        team=draw(st.sampled_from(["records", "finance"])),
        skill=draw(st.sampled_from(["tag-document", "extract-invoice"])),
        context_over=draw(st.sampled_from([0, 1000])),
        lane=lane,
        purpose=purpose,
        status=status,
        use=use,
        n_calls=draw(st.integers(1, 50)),
        price_ids=draw(st.sampled_from([f"{MODEL_OF[tier]}.input.{'batch' if lane == 'batch' else 'standard'}.0.0", "bill"])),
        saved_usd=draw(money) if status == "cached" else Decimal(0),
        **settled,
    )


@limits(deadline=None, max_examples=80)
@given(st.lists(any_line(), max_size=25), st.booleans(), st.sampled_from([EXPERT, "acme/unpriced"]))
def test_cost_is_baseline_less_savings_in_every_row_and_in_sum(lines: list[dict[str, Any]], is_audited: bool, expert: str) -> None:
    found = rows(lines, audits_of(pairs(40) if is_audited else []), expert=expert)
    for row in found:
        saved = row["cache_saved_usd"] + row["batch_saved_usd"]
        if row["baseline_usd"] is not None:
            assert row["cost_usd"] == row["baseline_usd"] - row["routing_saved_usd"] - saved
    own = [row for row in lines if row["status"] != "correction"]
    assert sum(row["cost_usd"] for row in found) == sum(row["cost_usd"] for row in own)
    assert sum(row["cache_saved_usd"] for row in found) == sum(row["saved_usd"] for row in own)
    assert {row["baseline_usd"] is None for row in found} <= {expert == "acme/unpriced"}
    served = Counter(
        (r["team"], r["skill"], r["tier"]) for r in own for _ in range(r["n_calls"]) if (r["use"], r["purpose"]) == ("served", "answer")
    )
    assert Counter({(r["team"], r["skill"], r["tier"]): r["n_served"] for r in found if r["n_served"]}) == served
    assert [tuple(row[name] for name in SAVINGS_DAILY.key) for row in found] == sorted(
        {tuple(r[n] for n in SAVINGS_DAILY.key) for r in own}
    )


@limits(deadline=None, max_examples=60)
@given(st.lists(any_line(), min_size=1, max_size=15), st.randoms(use_true_random=False))
def test_neither_the_order_of_lines_nor_their_splitting_changes_anything(lines: list[dict[str, Any]], random: Any) -> None:
    audits = pairs(35)
    pieces = []
    for whole in lines:
        cut = {name: whole[name] // 3 for name in ("n_calls", "input_tokens", "output_tokens", "cache_read_tokens", "n_images")}
        cut |= {name: (whole[name] / 3).quantize(Decimal("0.000000000001")) for name in ("cost_usd", "saved_usd")}
        pieces += [whole | cut, whole | {name: whole[name] - part for name, part in cut.items()}]
    again = random.sample(pieces, len(pieces))
    assert rows(again, audits_of(random.sample(audits, len(audits)))) == rows(lines, audits_of(audits))


def test_a_fast_answer_saves_what_the_expert_would_have_asked_for_its_tokens() -> None:
    row = only([line("fast", "0.14", input_tokens=100, output_tokens=20)])
    assert row["baseline_usd"] == Decimal("2")  # 100 x 0.01 + 20 x 0.05
    assert (row["routing_saved_usd"], row["cache_saved_usd"], row["batch_saved_usd"]) == (Decimal("1.86"), 0, 0)
    assert (row["routing_basis"], row["n_audited"], row["method"]) == ("modelled", 0, METHOD)
    assert row["expert_ratio"] == Decimal("14.285714")


def test_tokens_read_from_a_cache_are_priced_so_for_the_expert_too() -> None:
    assert only([line("fast", "0.01", cache_read_tokens=100)])["baseline_usd"] == Decimal("0.1")


def test_a_long_prompt_is_charged_the_experts_long_context() -> None:
    book = PriceBook([*BOOK_ROWS, price(EXPERT, "input", "0.02", over=1000), price(EXPERT, "output", "0.1", over=1000)])
    long, short = (only([line(input_tokens=100, context_over=over)], book=book)["baseline_usd"] for over in (1000, 0))
    assert (long, short) == (2, 1)


def test_an_expert_priced_by_seconds_is_charged_those_of_the_call() -> None:
    book = PriceBook([*prices(FAST, "0.001", "0.002"), price("own/big", "compute_s", "0.5")])
    row = only([line("fast", "0.1", input_tokens=100, compute_s=Decimal("3"))], book=book, expert="own/big")
    assert row["baseline_usd"] == Decimal("1.5")


@pytest.mark.parametrize("changes", [{"use": "repeated"}, {"use": "rejected"}, {"use": "shared", "purpose": "audit"}, {"purpose": "vote"}])
def test_what_served_nobody_counts_against_routing(changes: dict[str, str]) -> None:
    row = only([line("fast", "0.14", input_tokens=100), line("fast", "0.3", input_tokens=300, **changes)])
    assert (row["cost_usd"], row["baseline_usd"], row["n_served"]) == (Decimal("0.44"), 1, 1)
    assert row["routing_saved_usd"] == Decimal("0.56")


def test_routing_that_loses_is_shown_as_a_loss() -> None:
    row = only([line("expert", "5", use="repeated"), line("expert", "5", input_tokens=500)])
    assert (row["baseline_usd"], row["routing_saved_usd"]) == (5, -5)


def test_a_batch_saves_what_the_same_tokens_cost_live_and_routing_is_not_credited_with_it() -> None:
    row = only([line("fast", "0.05", lane="batch", input_tokens=100, price_ids=f"{FAST}.input.batch.0.0")])
    assert (row["cost_usd"], row["batch_saved_usd"]) == (Decimal("0.05"), Decimal("0.05"))
    assert (row["baseline_usd"], row["routing_saved_usd"]) == (1, Decimal("0.9"))
    expert = only([line("expert", "0.5", lane="batch", input_tokens=100, price_ids=f"{EXPERT}.input.batch.0.0")])
    assert (expert["baseline_usd"], expert["routing_saved_usd"], expert["batch_saved_usd"]) == (1, 0, Decimal("0.5"))


def test_a_batch_of_a_long_prompt_is_compared_with_the_live_price_of_long_prompts() -> None:
    long = [
        price(FAST, "input", "0.004", over=1000),
        price(FAST, "output", "0.004", over=1000),
        price(FAST, "input", "0.002", "batch", 1000),
    ]
    ids = f"{FAST}.input.batch.1000.0"
    row = only([line("fast", "4", lane="batch", input_tokens=2000, price_ids=ids)], book=PriceBook([*BOOK_ROWS, *long]))
    assert row["batch_saved_usd"] == 4


@pytest.mark.parametrize(("model", "price_ids"), [("acme/batch-only", "acme/batch-only.input.batch.0.0"), (FAST, "bill")])
def test_a_batch_without_a_live_price_or_without_tokens_saves_nothing(model: str, price_ids: str) -> None:
    book = PriceBook([*BOOK_ROWS, price("acme/batch-only", "input", "0.1", "batch"), price("acme/batch-only", "output", "0.1", "batch")])
    row = only([line("fast", "3", lane="batch", model=model, price_ids=price_ids, input_tokens=10)], book=book)
    assert (row["batch_saved_usd"], row["baseline_usd"]) == (0, Decimal("0.1"))


def test_a_cached_answer_saves_what_it_once_cost_and_that_is_its_baseline() -> None:
    row = only([line("fast", "0", status="cached", use="none", n_calls=3, saved_usd=Decimal("0.3"))])
    assert (row["cost_usd"], row["baseline_usd"], row["cache_saved_usd"], row["routing_saved_usd"]) == (
        0,
        Decimal("0.3"),
        Decimal("0.3"),
        0,
    )
    assert (row["n_cached"], row["n_served"], row["expert_ratio"], row["routing_basis"]) == (3, 0, None, "measured")


def test_the_experts_retries_belong_to_the_baseline_where_it_served_enough_to_say() -> None:
    lines = [line("expert", "20", n_calls=20, input_tokens=2000), line("expert", "5", n_calls=5, input_tokens=500, use="repeated")]
    expert, fast = rows([*lines, line("fast", "0.1", input_tokens=100)])
    assert (expert["baseline_usd"], expert["routing_saved_usd"], expert["routing_basis"]) == (25, 0, "measured")
    assert (fast["baseline_usd"], fast["expert_ratio"]) == (Decimal("1.25"), Decimal("12.5"))
    too_few = [lines[0] | {"n_calls": 19}, lines[1], line("fast", "0.1", input_tokens=100)]
    assert [row["baseline_usd"] for row in rows(too_few)] == [20, 1]


def test_thirty_audited_items_measure_what_the_expert_takes() -> None:
    served = [
        line("fast", "0.1", input_tokens=100),
        line("fast", "0.1", lane="batch", input_tokens=200, price_ids=f"{FAST}.input.batch.0.0"),
    ]
    audits = [*pairs(15, "1", "8", weight=3.0), *pairs(15, "2", "10", first=15)]
    measured = only(served, audits=audits_of(audits))
    ratio = Decimal(15 * 3 * 8 + 15 * 10) / (15 * 3 + 15 * 2)
    assert measured["baseline_usd"] == ratio * Decimal("0.3")  # the batched one at its live price
    assert (measured["routing_basis"], measured["n_audited"], measured["expert_ratio"]) == ("measured", 30, ratio)
    modelled = only(served, audits=audits_of(audits[2:]))
    assert (modelled["routing_basis"], modelled["n_audited"], modelled["baseline_usd"]) == ("modelled", 0, 3)


@pytest.mark.parametrize(
    "changes",
    [
        {"audited_on": DAY - timedelta(days=30)},
        {"audited_on": NEXT},
        {"skill": "extract-invoice"},
        {"model": ""},
        {"model": STANDARD},
    ],
)
def test_audits_of_other_days_skills_and_models_measure_nothing(changes: dict[str, Any]) -> None:
    row = only([line("fast", "0.1", input_tokens=100)], audits=audits_of(pairs(40) if not changes else [r | changes for r in pairs(40)]))
    assert (row["routing_basis"], row["baseline_usd"]) == ("modelled", 1)


def test_an_item_audited_twice_counts_once() -> None:
    twice = [row for name in ("a", "b") for row in pairs(20, audit_id=name)]
    assert only([line("fast", "0.1")], audits=audits_of(twice))["routing_basis"] == "modelled"


def test_a_row_is_measured_only_if_all_of_it_is() -> None:
    lines = [line("fast", "0.1", input_tokens=100), line("fast", "0.1", input_tokens=100, model=STANDARD)]
    row = only(lines, audits=audits_of(pairs(30)))
    assert (row["baseline_usd"], row["routing_basis"], row["n_audited"]) == (Decimal("1.8"), "modelled", 30)


def test_a_day_is_priced_with_its_own_prices_and_audits_before_a_change_measure_no_more() -> None:
    ended = [*prices(FAST, "0.001", "0.002"), *(price(EXPERT, m, a, valid_to=NEXT) for m, a in (("input", "0.01"), ("output", "0.05")))]
    book = PriceBook([*ended, *(price(EXPERT, m, a, valid_from=NEXT) for m, a in (("input", "0.03"), ("output", "0.06")))])
    lines = [line("fast", "0.1", input_tokens=100)]
    assert only(lines, book=book)["baseline_usd"] == 1
    assert only([lines[0] | {"usage_date": NEXT}], book=book, day=NEXT)["baseline_usd"] == 3
    audits = audits_of(pairs(30))
    assert only(lines, audits=audits, book=book)["routing_basis"] == "measured"
    after = only([lines[0] | {"usage_date": NEXT}], audits=audits, book=book, day=NEXT)
    assert (after["routing_basis"], after["baseline_usd"]) == ("modelled", 3)


def test_without_a_price_of_the_expert_the_rest_stands() -> None:
    lines = [line("fast", "0.05", lane="batch", input_tokens=100, price_ids=f"{FAST}.input.batch.0.0")]
    lines += [line("fast", status="cached", use="none", saved_usd=Decimal("0.3"))]
    row = only(lines, expert="acme/unpriced")
    assert (row["baseline_usd"], row["routing_saved_usd"], row["expert_ratio"]) == (None, None, None)
    assert (row["cost_usd"], row["cache_saved_usd"], row["batch_saved_usd"]) == (Decimal("0.05"), Decimal("0.3"), Decimal("0.05"))


def test_a_day_without_lines_has_no_rows() -> None:
    assert rows([]) == rows([line(status="correction", use="correction", cost="-1", team="*", skill="*")]) == []


def test_sums_of_many_digits_are_exact() -> None:
    book = PriceBook([*prices(FAST, "0.001", "0.002"), price(EXPERT, "input", "0.01000000000003700003"), price(EXPERT, "output", "0")])
    lines = [line("fast", "0.000000000001", input_tokens=12345678901234567), line("fast", "0.1", input_tokens=1, model=STANDARD)]
    row = only(lines, book=book)
    # 12345678901234568 x 0.01000000000003700003 = 123456789012802.47048971604605303704
    assert row["baseline_usd"] == Decimal("123456789012802.470489716046")
