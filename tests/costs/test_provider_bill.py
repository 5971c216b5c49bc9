"""A cost report reconciled: posted once, whatever dies in between; a corrected one adds what is new; history stays as it is."""

import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pyarrow.compute as pc
import pytest

from skillyard.costs.reconciling import provider_bill
from skillyard.costs.reconciling.cost_reports.report import Charge, CostReport, TokenCount
from skillyard.costs.reconciling.provider_bill import compare_report, post_report
from skillyard.lake.lake import Lake
from skillyard.lake.publish import append
from skillyard.lake.read import read
from skillyard.lake.tables import LLM_CALLS
from skillyard.settings import Settings
from tests.costs.ledger import DAY, MODELS, call, ledger

NEXT = DAY + timedelta(days=1)
ZERO = Decimal(0)
COST = call()["cost_usd"]


class Killed(BaseException):
    """The process died here."""


def bill(*amounts: str, day: Any = DAY, model: str = "sim-fast-2026-01-15", n_calls: int = 1) -> CostReport:
    """Return a report of one line for each amount of days from ``day`` on, with the tokens of so many usual calls a day."""
    charges, counts = [], []
    days = [day + timedelta(days=n) for n in range(len(amounts))]
    for of_day, amount in zip(days, amounts, strict=True):
        charges.append(Charge(of_day, f"{model}, input", model, True, Decimal(amount), ""))
        for part, n in (("input", 100), ("cache_read", 20), ("cache_write", 3), ("output", 10)):
            counts.append(TokenCount(of_day, model, "standard", part, n * n_calls, ""))
    return CostReport("openai", "api", tuple(days), tuple(charges), tuple(counts))


@pytest.fixture
def whole(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """One usual call on each of two days; and one of another provider."""
    monkeypatch.setenv("SIMULATOR_URL", "http://127.0.0.1:1/v1")
    append(Lake(settings.lake), LLM_CALLS, ledger([call(), call(day=NEXT), call(model="embedded/smollm2-135m")]), "calls")
    return settings


@pytest.fixture
def books(whole: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The same where nothing is validated and no night's table made, each of which costs seconds: the ledger alone is looked at."""
    monkeypatch.setattr(provider_bill, "validate", lambda *_: None)
    monkeypatch.setattr(provider_bill, "attribute", lambda *_: [])
    return whole


def corrections(settings: Settings) -> list[dict[str, Any]]:
    return [row for row in read(Lake(settings.lake), LLM_CALLS).to_pylist() if row["status"] == "correction"]


def check_closed(settings: Settings, total: str) -> None:
    """The ledger of the provider's models is what was billed."""
    rows = [row for row in read(Lake(settings.lake), LLM_CALLS).to_pylist() if not row["model"].startswith("embedded/")]
    assert sum((row["cost_usd"] for row in rows), ZERO) == Decimal(total)


def snapshot(settings: Settings) -> Any:
    lake = Lake(settings.lake)
    tables = [read(lake, name).to_pylist() for name in ("llm_calls", "reconciliations")]
    return [sorted(json.dumps(row, default=str) for row in rows) for rows in tables]


def test_a_difference_is_posted_as_corrections_and_then_there_is_none(books: Settings) -> None:
    before = read(Lake(books.lake), LLM_CALLS).to_pylist()
    found = post_report(books, bill(f"{COST * 2}", f"{COST}"))
    assert (found.difference_usd, found.price_usd, found.left_usd, found.n_corrections) == (COST, COST, 0, 1)
    (row,) = corrections(books)
    said = ("team", "skill", "model", "tier", "deployment", "purpose", "error_kind", "price_ids", "usage_date", "cost_usd", "run_id")
    everybody = ("*", "*", MODELS["fast"], "fast", "openai", "correction", "price", "bill", DAY, COST, found.reconciliation_id)
    assert tuple(row[name] for name in said) == everybody
    noted = {r["usage_date"]: r for r in read(Lake(books.lake), "reconciliations").to_pylist()}
    assert noted[DAY]["correction_call_id"] == row["call_id"] and noted[NEXT]["correction_call_id"] is None
    assert (noted[DAY]["ledger_usd"], noted[DAY]["billed_usd"], noted[NEXT]["message"]) == (COST, COST * 2, "agrees")
    assert [r for r in read(Lake(books.lake), LLM_CALLS).to_pylist() if r["status"] != "correction"] == before
    check_closed(books, f"{COST * 3}")


def test_the_nights_tables_say_what_is_billed(whole: Settings) -> None:
    known = bill(f"{COST * 2}", f"{COST}")
    unheard = Charge(DAY, "gpt-unheard, input", "gpt-unheard", True, Decimal("0.5"), "")
    found = post_report(whole, CostReport("openai", "api", known.days, (*known.charges, unheard), known.counts))
    assert found.left_usd == 0 and found.n_corrections == 2
    daily = read(Lake(whole.lake), "cost_daily")
    of_provider = daily.filter(pc.invert(pc.starts_with(daily["model"], "embedded/")))
    assert pc.sum(of_provider["cost_usd"]).as_py() == found.billed_usd == COST * 3 + Decimal("0.5")
    assert pc.sum(daily["allocated_usd"]).as_py() == pc.sum(daily["shared_usd"]).as_py() == COST + Decimal("0.5")


def test_the_same_report_again_changes_nothing(books: Settings) -> None:
    report = bill(f"{COST * 2}", f"{COST}")
    post_report(books, report)
    there = snapshot(books)
    again = post_report(books, report)
    assert (again.difference_usd, again.n_corrections, again.left_usd) == (0, 0, 0) and snapshot(books) == there


def test_a_corrected_report_posts_the_new_difference_and_may_come_back_to_the_first(books: Settings) -> None:
    for amount in (COST * 3, COST * 2, COST * 3):
        assert post_report(books, bill(f"{amount}", f"{COST}")).left_usd == 0
        check_closed(books, f"{amount + COST}")
    assert [row["cost_usd"] for row in corrections(books)] != [] and sum(row["cost_usd"] for row in corrections(books)) == COST * 2
    assert len({row["call_id"] for row in corrections(books)}) == len(corrections(books)) == 3


def test_token_counts_that_come_later_explain_what_was_posted_without_them(books: Settings) -> None:
    plain = bill(f"{COST * 2}", f"{COST}", n_calls=1)
    post_report(books, CostReport("openai", "costs.csv", plain.days, plain.charges, ()))
    found = post_report(books, plain)
    assert (found.difference_usd, found.price_usd, found.unexplained_usd) == (0, COST, -COST)
    check_closed(books, f"{COST * 3}")


def test_late_rows_of_the_ledger_are_taken_off_what_was_posted_as_missing(books: Settings) -> None:
    report = bill(f"{COST * 2}", n_calls=2)
    assert post_report(books, report).missing_usd == COST
    append(Lake(books.lake), LLM_CALLS, ledger([call()]), "late")
    found = post_report(books, report)
    assert (found.missing_usd, found.left_usd) == (-COST, 0)
    check_closed(books, f"{COST * 3}")


def test_a_model_and_an_item_that_the_ledger_does_not_know_are_posted_under_their_own_names(books: Settings) -> None:
    known = bill(f"{COST}", f"{COST}")
    others = (
        Charge(DAY, "gpt-unheard-2026-01-01, input", "gpt-unheard-2026-01-01", True, Decimal("0.5"), ""),
        Charge(NEXT, "Vector storage", "", False, Decimal("0.25"), ""),
    )
    found = post_report(books, CostReport("openai", "api", known.days, (*known.charges, *others), known.counts))
    assert {(row["model"], row["error_kind"], row["cost_usd"]) for row in corrections(books)} == {
        ("gpt-unheard-2026-01-01", "missing_calls", Decimal("0.5")),
        ("Vector storage", "missing_calls", Decimal("0.25")),
    }
    assert found.left_usd == 0 and found.capture_rate < 1
    check_closed(books, f"{COST * 2 + Decimal('0.75')}")


def test_looking_writes_nothing(books: Settings) -> None:
    there = snapshot(books)
    found = compare_report(books, bill(f"{COST * 2}", f"{COST}"))
    assert found.needs_posting and found.left_usd == found.difference_usd == COST and snapshot(books) == there


def test_a_billed_day_without_a_row_of_the_ledger_is_missing_altogether_and_one_without_a_charge_was_not_billed(books: Settings) -> None:
    empty = CostReport("openai", "api", (DAY,), (), ())
    assert compare_report(books, empty).missing_usd == -COST
    far = bill("0.5", day=DAY - timedelta(days=30))
    assert post_report(books, far).missing_usd == Decimal("0.5")
    assert {row["usage_date"] for row in corrections(books)} == {DAY - timedelta(days=30)}


@pytest.mark.parametrize("dies_before", ["append reconciliations", "append llm_calls", "attribute"])
@pytest.mark.parametrize("then", ["the same", "a corrected one"])
def test_wherever_it_dies_the_next_report_ends_at_what_is_billed(
    books: Settings, monkeypatch: pytest.MonkeyPatch, dies_before: str, then: str
) -> None:
    real_append = provider_bill.append

    def dying_append(lake: Lake, table: Any, rows: Any, part: str) -> Any:
        if dies_before == f"append {table.name}":
            real_append(lake, table, rows.slice(0, 1), part)  # of two days, the first
            raise Killed
        return real_append(lake, table, rows, part)

    def dying_attribute(*args: Any) -> Any:
        raise Killed

    report = bill(f"{COST * 2}", f"{COST * 3}")
    with monkeypatch.context() as patched:
        patched.setattr(provider_bill, "append", dying_append)
        if dies_before == "attribute":
            patched.setattr(provider_bill, "attribute", dying_attribute)
        with pytest.raises(Killed):
            post_report(books, report)
    following = report if then == "the same" else bill(f"{COST}", f"{COST * 2}")
    assert post_report(books, following).left_usd == 0
    check_closed(books, f"{sum(charge.amount_usd for charge in following.charges)}")
    there = snapshot(books)
    assert post_report(books, following).n_corrections == 0 and snapshot(books) == there


def test_the_tier_of_a_model_that_was_not_called_is_that_of_the_profile(books: Settings) -> None:
    post_report(books, bill("0.5", model="sim-expert-2026-01-15"))
    expert = next(row for row in corrections(books) if row["model"] == MODELS["expert"])
    assert (expert["tier"], expert["cost_usd"]) == ("expert", Decimal("0.5"))


def test_a_report_of_a_month_is_compared_day_by_day(books: Settings) -> None:
    found = compare_report(books, bill(*[f"{COST}"] * 30, day=DAY - timedelta(days=28)))
    assert found.n_days == 30 and found.difference_usd == COST * 28
    assert [row.usage_date for row in found.rows] == [DAY + timedelta(days=n) for n in range(-28, 2)]
