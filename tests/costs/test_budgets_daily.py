"""Budgets by day: what was charged this month, what it will be, beside the limits that hold."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from skillyard.costs.budgets.rows import budget_rows, publish_budgets
from skillyard.costs.budgets.spending import TOTAL, to_spending
from skillyard.lake.cost_tables import BUDGET_DAILY, COST_DAILY
from skillyard.lake.lake import Lake
from skillyard.lake.publish import replace_partition
from skillyard.lake.read import read
from skillyard.settings import Settings
from skillyard.skills.teams import load_teams
from tests.conftest import ROOT
from tests.costs.spent import cost_table, spent

TEAMS = load_teams(ROOT / "include" / "teams.yaml")
DAY = date(2026, 11, 20)


def ten_a_day(last: date = DAY, n_days: int = 98, **changes: Any) -> list[dict[str, Any]]:
    return [spent(last - timedelta(days=n), "10", **changes) for n in range(n_days)]


def by_scope(rows: list[dict[str, Any]], *, is_over: bool = True, day: date = DAY) -> dict[tuple[str, str], dict[str, Any]]:
    table = budget_rows(to_spending(cost_table(rows), day), TEAMS, is_over=is_over)
    return {(row["team"], row["skill"]): row for row in table.to_pylist()}


def test_a_steady_month_is_projected_to_its_end() -> None:
    row = by_scope(ten_a_day())["records", "tag-document"]
    assert (row["month_to_date_usd"], row["tomorrow_usd"], row["projected_usd"]) == (200, 10, 300)
    assert row["projected_lower_usd"] == row["projected_upper_usd"] == 300
    assert (row["soft_usd"], row["hard_usd"], row["n_days"], row["method"]) == (40, 60, 56, "weekday-median/1")


def test_charged_is_direct_and_waste_and_allocated() -> None:
    rows = [spent(DAY, "1", waste_usd="0.2", allocated_usd="0.04", shared_usd="7")]
    assert by_scope(rows)["records", "*"]["month_to_date_usd"] == Decimal("1.24")


def test_all_teams_their_skills_and_every_limit_have_a_row() -> None:
    rows = by_scope(
        [spent(DAY, "1"), spent(DAY, "2", team="finance", skill="extract-invoice"), spent(DAY, "0", allocated_usd="4", team="*", skill="*")]
    )
    assert rows[TOTAL]["month_to_date_usd"] == 7 and rows[TOTAL]["soft_usd"] is None
    assert rows["finance", "*"]["month_to_date_usd"] == 2 and rows["finance", "*"]["hard_usd"] == 150
    assert set(rows) == {TOTAL, *((team, "*") for team in TEAMS), ("records", "tag-document"), ("finance", "extract-invoice")}


def test_on_the_last_day_of_a_month_the_projection_is_what_was_charged_and_the_next_day_starts_anew() -> None:
    last = date(2026, 10, 31)
    row = by_scope(ten_a_day(last), day=last)["records", "*"]
    assert row["projected_lower_usd"] == row["projected_upper_usd"] == row["month_to_date_usd"] == 310
    assert by_scope(ten_a_day(date(2026, 11, 1)), day=date(2026, 11, 1))["records", "*"]["month_to_date_usd"] == 10


@pytest.mark.parametrize(("so_far", "projected"), [("2", 300), ("25", 300), ("120", 310)])
def test_a_day_that_is_not_over_counts_as_forecast_until_it_came_to_more_than_all_that_was_left(so_far: str, projected: int) -> None:
    rows = [*ten_a_day(DAY - timedelta(days=1)), spent(DAY, so_far)]
    row = by_scope(rows, is_over=False)["records", "*"]
    assert row["month_to_date_usd"] == 190 + Decimal(so_far)
    assert (row["projected_usd"], row["tomorrow_usd"]) == (projected, 10)


def test_a_team_without_a_call_has_a_row_of_nothing() -> None:
    row = by_scope([])["compliance", "*"]
    assert (row["month_to_date_usd"], row["projected_upper_usd"], row["n_days"], row["method"]) == (0, 0, 0, "mean/1")


def test_a_day_is_published_once_and_again_the_same(settings: Settings) -> None:
    lake = Lake(settings.lake)
    for row in ten_a_day(n_days=40):
        replace_partition(lake, COST_DAILY, row["usage_date"], cost_table([row]))
    publish_budgets(settings, [DAY - timedelta(days=60), DAY], DAY + timedelta(days=1))
    (stored,) = list(lake.storage.list("budget_daily/"))
    assert {(row["usage_date"], row["n_days"]) for row in read(lake, BUDGET_DAILY).to_pylist()} == {(DAY, 0), (DAY, 40)}
    publish_budgets(settings, [DAY], DAY + timedelta(days=1))
    assert list(lake.storage.list("budget_daily/")) == [stored]
