"""Anomalies: an injected one is found, ordinary noise raises fewer than one false alarm in a hundred days, and each says what to do."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from skillyard.costs.anomalies.anomaly import Anomaly
from skillyard.costs.anomalies.rules import find_budgets, find_new_models, find_spend, find_unknown, find_waste
from skillyard.costs.anomalies.units import find_unit_jumps, find_version_jumps
from skillyard.costs.budgets.spending import ALL, Amounts, Spending, to_spending
from tests.costs.spending_days import FIRST, days_of
from tests.costs.spent import cost_table, spending, spent

DAY = date(2026, 11, 20)
ORDINARY = ("flat", "weekday", "trend", "zeros", "sparse", "walk")


def on(kind: str, seed: int, at: int, times: float = 1.0) -> Spending:
    """Return a series as of its day number ``at``, whose amount is multiplied."""
    day = FIRST + timedelta(days=at)
    days = {d: usd * Decimal(times if d == day else 1) for d, usd in days_of(kind, seed, 96).items() if d <= day}
    return Spending(day, {("records", "tag-document"): {d: Amounts(direct_usd=usd, n_calls=9) for d, usd in days.items()}}, {})


@pytest.mark.parametrize("kind", ORDINARY)
def test_ordinary_noise_raises_fewer_than_one_false_alarm_in_a_hundred_series_days(kind: str) -> None:
    n_found = sum(bool(find_spend(on(kind, seed, at))) for seed in range(40) for at in range(30, 90, 3))
    assert n_found / (40 * 20) < 0.01


def test_even_days_of_bursts_raise_few_since_bursts_are_usual_there() -> None:
    n_found = sum(bool(find_spend(on("bursts", seed, at))) for seed in range(40) for at in range(30, 90, 3))
    assert n_found / (40 * 20) < 0.03


@pytest.mark.parametrize("kind", ["flat", "weekday", "zeros", "walk"])
def test_a_day_at_five_times_its_cost_is_found(kind: str) -> None:
    days = [
        (seed, at)
        for seed in range(20)
        for at in range(30, 90, 9)
        if on(kind, seed, at).charged(("records", "tag-document"))[FIRST + timedelta(days=at)] > 20
    ]
    found = [find_spend(on(kind, seed, at, 5.0)) for seed, at in days]
    assert len(days) > 60 and sum(map(bool, found)) / len(days) > 0.94


def steady(usd: str = "10", n_days: int = 57, **changes: Any) -> list[dict[str, Any]]:
    return [spent(DAY - timedelta(days=n), usd, **changes) for n in range(1, n_days)]


def test_a_spike_says_who_how_much_against_what_and_what_to_do() -> None:
    (found,) = find_spend(to_spending(cost_table([*steady(), spent(DAY, "80")]), DAY))
    assert (found.kind, found.team, found.skill, found.severity) == ("spend", "records", "tag-document", "alert")
    assert (found.value, found.expected) == (80, 10) and found.score is not None and found.score > 50
    assert "tag-document of records cost 80.00 USD on Friday 2026-11-20, 8.0 times the usual 10.00 of the last 8 Fridays" in found.message
    assert "skillyard cost report --by dag --from 2026-11-20" in found.message


def test_one_skills_spike_is_told_once_and_not_for_its_team_and_in_total_too() -> None:
    rows = [*steady(), *steady(skill="extract-invoice"), spent(DAY, "80"), spent(DAY, "11", skill="extract-invoice")]
    assert [a.skill for a in find_spend(to_spending(cost_table(rows), DAY))] == ["tag-document"]


def test_many_skills_a_little_dearer_are_told_of_the_team() -> None:
    skills = [f"skill-{n:02d}" for n in range(20)]
    rows = [row for skill in skills for row in steady("0.5", skill=skill)] + [spent(DAY, "1.2", skill=skill) for skill in skills]
    assert [(a.team, a.skill) for a in find_spend(to_spending(cost_table(rows), DAY))] == [("records", ALL)]


@pytest.mark.parametrize(("usd", "n_days", "n_found"), [("80", 57, 1), ("80", 29, 1), ("80", 27, 0), ("14", 57, 0), ("5", 57, 0)])
def test_four_weeks_behind_it_and_half_more_than_usual_make_an_anomaly_and_less_does_not(usd: str, n_days: int, n_found: int) -> None:
    assert len(find_spend(to_spending(cost_table([*steady(n_days=n_days), spent(DAY, usd)]), DAY))) == n_found


def test_less_than_a_dollar_more_is_none_however_many_times_the_usual_it_is() -> None:
    assert find_spend(to_spending(cost_table([*steady("0.001"), spent(DAY, "0.9")]), DAY)) == []


def test_a_weekend_that_costs_as_much_as_a_working_day_is_found() -> None:
    saturday = date(2026, 11, 21)
    week = {saturday - timedelta(days=n): Decimal(0 if (saturday - timedelta(days=n)).weekday() > 4 else 50) for n in range(1, 57)}
    (found,) = find_spend(spending({**week, saturday: Decimal(50)}))
    assert found.severity == "alert" and "where usually nothing is spent on" in found.message


def test_a_model_that_nobody_called_for_a_month_is_new_and_the_first_day_of_all_has_no_new_model() -> None:
    rows = [*steady(n_days=40), spent(DAY, "3"), spent(DAY, "2", model="openai/other", tier="expert")]
    (found,) = find_new_models(to_spending(cost_table(rows), DAY))
    assert (found.kind, found.model, found.value) == ("new_model", "openai/other", 2.0)
    assert find_new_models(to_spending(cost_table([spent(DAY, "3")]), DAY)) == []
    seen = [*rows, spent(DAY - timedelta(days=30), "1", model="openai/other")]
    assert find_new_models(to_spending(cost_table(seen), DAY)) == []


@pytest.mark.parametrize(("waste", "n_found"), [("1.0", 0), ("5", 1)])
def test_a_jump_of_what_was_wasted_is_found_and_the_usual_part_is_not(waste: str, n_found: int) -> None:
    rows = [*steady("9", n_days=20, waste_usd="1"), spent(DAY, "9", waste_usd=waste)]
    assert len(find_waste(to_spending(cost_table(rows), DAY))) == n_found


def test_the_noise_of_a_waste_share_raises_fewer_than_one_false_alarm_in_a_hundred() -> None:
    rng, n_found = np.random.default_rng(1), 0
    for _ in range(400):
        shares = rng.binomial(100, 0.2, 21) / 100
        rows = [spent(DAY - timedelta(days=n), f"{20 * (1 - share):.6f}", waste_usd=f"{20 * share:.6f}") for n, share in enumerate(shares)]
        n_found += len(find_waste(to_spending(cost_table(rows), DAY)))
    assert n_found / 400 < 0.01


@pytest.mark.parametrize(("unknown", "severities"), [("0.9", []), ("6", ["warn"]), ("40", ["alert"])])
def test_much_money_in_attempts_of_unknown_outcome_is_found(unknown: str, severities: list[str]) -> None:
    found = find_unknown(to_spending(cost_table([spent(DAY, "100", unknown_reserved_usd=unknown)]), DAY))
    assert [a.severity for a in found] == severities
    assert all("skillyard cost reconcile" in a.message and f"(m {Decimal(unknown):.2f})" in a.message for a in found)


def budget(**changes: Any) -> dict[str, Any]:
    return {
        "usage_date": DAY,
        "team": "records",
        "skill": ALL,
        "soft_usd": Decimal(150),
        "hard_usd": Decimal(200),
        "month_to_date_usd": Decimal(100),
        "projected_usd": Decimal(140),
        "projected_lower_usd": Decimal(130),
        "projected_upper_usd": Decimal(210),
        "method": "weekday-median/1",
    } | changes


@pytest.mark.parametrize(
    ("changes", "kinds"),
    [
        ({}, []),
        ({"projected_usd": Decimal(160)}, [("budget_soft", "warn", "2026-11 projected")]),
        ({"projected_usd": Decimal(160), "month_to_date_usd": Decimal(150)}, [("budget_soft", "warn", "2026-11 reached")]),
        ({"projected_usd": Decimal(205)}, [("budget_hard", "alert", "2026-11 projected")]),
        ({"projected_usd": Decimal(205), "month_to_date_usd": Decimal(200)}, [("budget_hard", "alert", "2026-11 reached")]),
        ({"projected_usd": Decimal(999), "soft_usd": None, "hard_usd": None}, []),
        ({"projected_usd": Decimal(999), "method": "mean/1"}, []),
    ],
)
def test_a_budget_is_told_when_it_is_reached_or_the_month_is_heading_over_it(changes: dict[str, Any], kinds: list[Any]) -> None:
    found = find_budgets([budget(**changes)])
    assert [(a.kind, a.severity, a.lasting) for a in found] == kinds
    assert all("include/teams.yaml" in a.message for a in found)


def unit(day: date, usd: str, n_results: int = 100, fingerprint: str = "a" * 64) -> dict[str, Any]:
    return {
        "usage_date": day,
        "team": "records",
        "skill": "tag-document",
        "fingerprint": fingerprint,
        "n_results": n_results,
        "direct_usd": Decimal(usd),
        "waste_usd": Decimal(0),
        "allocated_usd": Decimal(0),
    }


@pytest.mark.parametrize(("usd", "n_results", "n_found"), [("10", 100, 1), ("5.5", 100, 0), ("2", 19, 0)])
def test_a_result_that_costs_twice_the_usual_is_found_and_few_results_say_nothing(usd: str, n_results: int, n_found: int) -> None:
    rows = [unit(DAY - timedelta(days=n), "5") for n in range(1, 20)] + [unit(DAY, usd, n_results)]
    found = find_unit_jumps(rows, DAY)
    assert len(found) == n_found
    assert all((round(a.value or 0, 6), round(a.expected or 0, 6)) == (0.1, 0.05) for a in found)


def test_the_noise_of_unit_costs_raises_fewer_than_one_false_alarm_in_a_hundred() -> None:
    rng, n_found = np.random.default_rng(1), 0
    for _ in range(400):
        rows = [unit(DAY - timedelta(days=n), f"{usd:.6f}") for n, usd in enumerate(10 * rng.lognormal(0, 0.2, 25))]
        n_found += len(find_unit_jumps(rows, DAY))
    assert n_found / 400 < 0.01


@pytest.mark.parametrize(("usd", "age", "n_found"), [("7", 0, 1), ("7", 6, 1), ("7", 7, 0), ("5.5", 0, 0)])
def test_a_new_version_that_is_dearer_is_found_for_a_week(usd: str, age: int, n_found: int) -> None:
    old = [unit(DAY - timedelta(days=age + n), "5") for n in range(1, 10)]
    new = [unit(DAY - timedelta(days=n), usd, fingerprint="b" * 64) for n in range(age + 1)]
    found = find_version_jumps(old + new, DAY)
    assert len(found) == n_found
    assert all("skillyard skills eval tag-document" in a.message and "bbbbbbbb" in a.message for a in found)


def test_going_back_to_an_older_version_is_no_new_version() -> None:
    rows = [unit(DAY - timedelta(days=n), "5", fingerprint="b" * 64) for n in range(1, 9)]
    assert find_version_jumps([unit(DAY - timedelta(days=20), "9"), *rows, unit(DAY, "9")], DAY) == []


@pytest.mark.parametrize("change", [{}, {"message": "other"}, {"value": 2.0}, {"severity": "alert"}])
def test_an_id_stays_with_its_kind_scope_and_day(change: dict[str, Any]) -> None:
    def made(**own: Any) -> Anomaly:
        return Anomaly(**{"kind": "spend", "usage_date": DAY, "severity": "warn", "message": "m", **own})

    assert made(**change).anomaly_id == made().anomaly_id
    others = [{"kind": "other"}, {"team": "records"}, {"usage_date": DAY + timedelta(days=1)}, {"model": "m"}, {"lasting": "2026-11"}]
    assert len({made(**own).anomaly_id for own in others} | {made().anomaly_id}) == 6


def test_what_lasts_keeps_its_id_on_another_day() -> None:
    first, second = (Anomaly("budget_soft", day, "warn", "m", lasting="2026-11") for day in (DAY, DAY + timedelta(days=1)))
    assert first.anomaly_id == second.anomaly_id
