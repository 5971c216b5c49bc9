"""The forecast: its interval holds as often as it says, it beats the naive one, and odd histories give sensible answers."""

from datetime import date, timedelta
from decimal import Decimal

import pytest

from skillyard.costs.budgets.forecast import HISTORY_DAYS, MEAN, WEEKDAY_MEDIAN, learn
from tests.costs.spending_days import FIRST, KINDS, days_of

N_SEEDS = 60
SPANS = ((1, 1), (2, 2), (1, 10), (1, 20), (1, 30))
"""First and last day ahead: tomorrow, the day after, and the rests of months."""


def after(day: date, n: int) -> date:
    return day + timedelta(days=n)


def measure(n_days: int) -> tuple[dict[str, dict[tuple[int, int], float]], float]:
    """Return the coverage by kind and span, and the mean error relative to a naive forecast's: the same days of the week before."""
    coverage: dict[str, dict[tuple[int, int], float]] = {}
    missed = naive = 0.0
    for kind in KINDS:
        held = dict.fromkeys(SPANS, 0)
        for seed in range(N_SEEDS):
            days = days_of(kind, seed, n_days + 30)
            last = after(FIRST, n_days - 1)
            pattern = learn({day: usd for day, usd in days.items() if day <= last}, last)
            for span in SPANS:
                found = pattern.outlook(*(after(last, n) for n in span))
                ahead = range(span[0], span[1] + 1)
                actual = sum(days[after(last, n)] for n in ahead)
                held[span] += found.lower_usd <= actual <= found.upper_usd
                missed += abs(float(actual - found.usd))
                naive += abs(float(actual - sum(days[after(last, (n - 1) % 7 - 6)] for n in ahead)))
        coverage[kind] = {span: n / N_SEEDS for span, n in held.items()}
    return coverage, missed / naive


@pytest.mark.parametrize("n_days", [56, 112])
def test_the_80_per_cent_interval_holds_in_about_four_cases_of_five_and_the_forecast_beats_the_naive_one(n_days: int) -> None:
    coverage, error = measure(n_days)
    by_span = {span: sum(coverage[kind][span] for kind in KINDS) / len(KINDS) for span in SPANS}
    assert all(0.70 <= share <= 0.92 for share in by_span.values()), by_span
    coverage.pop("walk")  # a level that drifts without end: 60 % over a month
    assert all(0.66 <= share <= 0.97 for shares in coverage.values() for share in shares.values()), coverage
    assert error < 0.95


def test_an_interval_that_is_too_sure_would_be_found_out() -> None:
    """The measurement above can fail: half the width holds in far fewer cases."""
    held = 0
    for seed in range(N_SEEDS):
        days, last = days_of("weekday", seed, 113), after(FIRST, 111)
        found = learn(days, last).outlook(after(last, 1), after(last, 1))
        low, high = (found.usd + (edge - found.usd) / 2 for edge in (found.lower_usd, found.upper_usd))
        held += low <= days[after(last, 1)] <= high
    assert held / N_SEEDS < 0.70


def test_a_steady_week_is_forecast_exactly_and_leaves_no_doubt() -> None:
    week = [Decimal(n) for n in (10, 20, 30, 40, 50, 0, 0)]
    days = {after(FIRST, n): week[n % 7] for n in range(HISTORY_DAYS)}
    last = max(days)
    pattern = learn(days, last)
    assert (pattern.method, pattern.n_days) == (WEEKDAY_MEDIAN, 56)
    for n, usd in enumerate(week, 1):
        found = pattern.outlook(after(last, n), after(last, n))
        assert found.usd == found.lower_usd == found.upper_usd == usd
    assert pattern.outlook(after(last, 1), after(last, 21)).usd == 450


def test_a_backfill_of_one_day_does_not_become_the_level() -> None:
    days = days_of("weekday", 3, 90)
    usual, burst = learn(days, max(days)), days | {after(FIRST, 86): days[after(FIRST, 86)] * 50}
    span = (after(max(days), 1), after(max(days), 30))
    assert learn(burst, max(days)).outlook(*span).usd < usual.outlook(*span).usd * Decimal("1.5")


def test_a_new_level_is_followed_within_two_weeks() -> None:
    days = {after(FIRST, n): Decimal(10 if n < 76 else 30) for n in range(90)}
    assert learn(days, max(days)).outlook(after(max(days), 1), after(max(days), 1)).usd == 30


@pytest.mark.parametrize("n_days", [1, 3, 7, 13, 14, 27])
def test_a_short_history_gives_its_mean_and_a_wide_interval(n_days: int) -> None:
    days = {after(FIRST, n): Decimal(10 + n % 3) for n in range(n_days)}
    pattern = learn(days, max(days))
    found = pattern.outlook(after(max(days), 1), after(max(days), 1))
    assert (pattern.method, pattern.n_days) == (MEAN, n_days)
    assert 0 <= found.lower_usd < found.usd < found.upper_usd and 9 < found.usd < 13


def test_no_history_costs_nothing_and_no_days_cost_nothing() -> None:
    nothing = learn({}, FIRST)
    assert nothing.n_days == 0 and nothing.outlook(after(FIRST, 1), after(FIRST, 9)).upper_usd == 0
    some = learn({FIRST: Decimal(5)}, FIRST)
    assert some.outlook(after(FIRST, 1), FIRST).usd == 0


def test_days_without_a_run_count_as_nothing_and_a_later_day_is_not_looked_at() -> None:
    days = {FIRST: Decimal(7)}
    assert learn(days | {after(FIRST, 7): Decimal(99)}, after(FIRST, 6)).outlook(after(FIRST, 7), after(FIRST, 7)).usd == 1


def test_corrections_that_make_a_day_negative_never_make_a_forecast_negative() -> None:
    days = {after(FIRST, n): Decimal(-3 if n % 2 else 1) for n in range(60)}
    found = learn(days, max(days)).outlook(after(max(days), 1), after(max(days), 30))
    assert 0 <= found.lower_usd <= found.usd <= found.upper_usd
