"""``budget_daily``: where the month stands at the end of a day, and where it is going, beside the limits of ``teams.yaml``."""

from calendar import monthrange
from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa

from skillyard.costs.budgets.forecast import learn
from skillyard.costs.budgets.spending import ALL, TOTAL, Scope, Spending, read_spending
from skillyard.costs.partitions import publish_days
from skillyard.lake.cost_tables import BUDGET_DAILY
from skillyard.lake.lake import Lake
from skillyard.lake.results import to_results
from skillyard.settings import Settings
from skillyard.skills.teams import Budget, Team, load_teams


def publish_budgets(settings: Settings, days: Iterable[date], today: date) -> None:
    """Make the partitions of some days. ``today`` is the UTC day that is not over yet; a day before anything was spent has no rows."""
    lake, teams = Lake(settings.lake), load_teams(settings.include / "teams.yaml")
    spent = {day: read_spending(lake, day) for day in days}
    nothing = to_results(BUDGET_DAILY, [])
    rows = {day: budget_rows(own, teams, is_over=day < today) if own.by_scope else nothing for day, own in spent.items()}
    publish_days(lake, BUDGET_DAILY, rows)


def budget_rows(spending: Spending, teams: Mapping[str, Team], *, is_over: bool = True) -> pa.Table:
    """Return a day's rows: all teams together, each team, each of its skills that costs something or has a limit of its own.

    A day that is not over yet is no history: its forecast counts, or what it came to already where that is more.
    """
    limits = {(team.name, budget.skill or ALL): budget for team in teams.values() for budget in team.budgets if budget.per == "month"}
    scopes = sorted({TOTAL, *limits, *((team, ALL) for team in teams), *spending.by_scope})
    return to_results(BUDGET_DAILY, [_row(spending, scope, limits.get(scope), is_over) for scope in scopes])


def _row(spending: Spending, scope: Scope, limit: Budget | None, is_over: bool) -> dict[str, Any]:
    day, charged = spending.day, spending.charged(scope)
    tomorrow, month_end = day + timedelta(days=1), day.replace(day=monthrange(day.year, day.month)[1])
    known = day if is_over else day - timedelta(days=1)
    pattern = learn(charged, known)
    next_day, rest = pattern.outlook(tomorrow, tomorrow), pattern.outlook(known + timedelta(days=1), month_end)
    so_far = charged.get(day, Decimal(0))
    before = sum((usd for on, usd in charged.items() if day.replace(day=1) <= on < day), Decimal(0))
    settled, least = (before + so_far, Decimal(0)) if is_over else (before, so_far)
    return {
        "usage_date": day,
        "team": scope[0],
        "skill": scope[1],
        "soft_usd": limit and limit.soft_usd,
        "hard_usd": limit and limit.hard_usd,
        "month_to_date_usd": before + so_far,
        "tomorrow_usd": next_day.usd,
        "tomorrow_lower_usd": next_day.lower_usd,
        "tomorrow_upper_usd": next_day.upper_usd,
        "projected_usd": settled + max(rest.usd, least),
        "projected_lower_usd": settled + max(rest.lower_usd, least),
        "projected_upper_usd": settled + max(rest.upper_usd, least),
        "n_days": pattern.n_days,
        "method": pattern.method,
    }
