"""What the days to come will cost, beside the budgets."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any

import typer

from skillyard.cli.cost.group import app
from skillyard.cli.options import AsJson, LastDay
from skillyard.cli.output import print_rows, say
from skillyard.settings import Settings


@app.command("forecast")
def forecast_cost(
    last: LastDay = None,
    team: Annotated[str | None, typer.Option(help="Only this team and its skills.")] = None,
    as_json: AsJson = False,
) -> None:
    """Say where the month stands and where it and tomorrow are going, with 80 % intervals: in all, by team, and by skill of a team.

    Made of what cost_daily says was charged up to the day; a day that is not over counts as forecast. The method is named with each row;
    with fewer than four weeks behind it, it is the mean and its interval is wide.
    """
    from skillyard.costs.budgets.rows import budget_rows
    from skillyard.costs.budgets.spending import read_spending
    from skillyard.lake.lake import Lake
    from skillyard.skills.teams import find_team, load_teams

    settings, today = Settings.from_env(), datetime.now(UTC).date()
    day, teams = last.date() if last else today, load_teams(settings.include / "teams.yaml")
    rows: list[dict[str, Any]] = budget_rows(read_spending(Lake(settings.lake), day), teams, is_over=day < today).to_pylist()
    if team is not None:
        rows = [row for row in rows if row["team"] == find_team(teams, team).name]
    print_rows(rows if as_json else [_line(row) for row in rows], as_json)
    if not as_json and not any(row["n_days"] for row in rows):
        say(f"cost_daily has nothing up to {day}: skillyard cost attribute makes it of the ledger")


def _line(row: dict[str, Any]) -> dict[str, str]:
    limit = next((row[name] for name in ("hard_usd", "soft_usd") if row[name] is not None), None)
    return {
        "team": row["team"],
        "skill": row["skill"],
        "month so far": _usd(row["month_to_date_usd"]),
        "tomorrow": _range(row, "tomorrow"),
        f"projected {_month(row['usage_date'])}": _range(row, "projected"),
        "limit": _usd(limit) if limit is not None else "",
        "outlook": _outlook(row),
        "method": f"{row['method']}, {row['n_days']} days",
    }


def _outlook(row: dict[str, Any]) -> str:
    """Say in words how the month relates to the limits."""
    for word, limit in (("hard", row["hard_usd"]), ("soft", row["soft_usd"])):
        if limit is not None and row["month_to_date_usd"] >= limit:
            return f"{word} limit reached"
        if limit is not None and row["projected_usd"] > limit:
            return f"over {word} limit: raise it or skillyard cost plan"
        if limit is not None and row["projected_upper_usd"] > limit:
            return f"may pass {word} limit"
    return ""


def _range(row: dict[str, Any], name: str) -> str:
    return f"{_usd(row[f'{name}_usd'])} ({_usd(row[f'{name}_lower_usd'])} to {_usd(row[f'{name}_upper_usd'])})"


def _usd(amount: Decimal) -> str:
    return f"{amount:.2f}" if abs(amount) >= 1 or not amount else f"{amount:.6f}"


def _month(day: date) -> str:
    return f"{day:%Y-%m}"
