"""What counts as wrong with a day's spending: one function per kind, from sums of days to what was found and what to do.

A day is compared with the same weekday of the last eight weeks by a robust score: its distance from their median in standard deviations
as the median absolute deviation gives them, at least 10 % of what is usual. It is odd only if it also stands well above what the worst
days of these weeks were above theirs: of ordinary noise fewer than one series-day in a hundred raises a false alarm (measured in the
tests). Below the least amount nothing is: nobody should be woken for a dollar.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skillyard.costs.anomalies.anomaly import Anomaly, Severity
from skillyard.costs.budgets.forecast import WEEKDAY_MEDIAN
from skillyard.costs.budgets.spending import ALL, TOTAL, Amounts, Scope, Spending

LEAST_USD = Decimal(1)
"""What a thing must cost beyond the usual to be one."""
ALERT_USD, ALERT_TIMES = Decimal(10), 3
"""From this excess and this many times the usual on, spending is an alert."""
WEEK, WEEKS, LEAST_WEEKS = 7, 8, 4
LEAST_SCORE = 5.0
LEAST_TIMES = 1.5
WORST_SHARE, WORST_TIMES = 0.98, 1.8
"""Excess must be this many times the excess that this share of the days before stayed below."""
SIGMA = 1.4826
"""Standard deviations of a normal distribution in a median absolute deviation."""
LEAST_SPREAD = 0.1
NEW_MODEL_DAYS = 30
WASTE_DAYS, LEAST_WASTE_DAYS, LEAST_CALLS = 28, 5, 30
LEAST_WASTE_RISE, WASTE_SPREAD = 0.10, 0.03
UNKNOWN_WARN, UNKNOWN_ALERT = Decimal("0.05"), Decimal("0.20")
Row = Mapping[str, Any]
Floats = NDArray[np.float64]


def find_spend(spending: Spending) -> list[Anomaly]:
    """Return the skills, teams and, last, everything together that cost far more than on the same weekdays before.

    A team, or all together, is silent where its skills that are named explain half of its excess.
    """
    found: list[Anomaly] = []
    explained: dict[Scope, float] = {}
    narrow_first = sorted(spending.by_scope, key=lambda scope: (scope == TOTAL, scope[1] == ALL, scope))
    for scope in narrow_first:
        anomaly = _find_spend(spending, scope)
        if anomaly is None or anomaly.value is None or anomaly.expected is None:
            continue
        excess = anomaly.value - anomaly.expected
        if explained.get(scope, 0.0) < excess / 2:
            found.append(anomaly)
            for wider in {(scope[0], ALL), TOTAL} - {scope}:
                explained[wider] = explained.get(wider, 0.0) + excess
    return found


def find_new_models(spending: Spending) -> list[Anomaly]:
    """Return the models that were called on the day and on none of the 30 days before; nothing where nothing at all was called then."""
    since = spending.day - timedelta(days=NEW_MODEL_DAYS)
    called = {model: [on for on, amounts in days.items() if amounts.n_calls] for model, days in spending.by_model.items()}
    known = {model for model, days in called.items() if any(since <= on < spending.day for on in days)}
    new = [model for model, days in called.items() if spending.day in days and model not in known]
    return [_new_model(spending, model, sorted(known)) for model in new] if known else []


def find_waste(spending: Spending) -> list[Anomaly]:
    """Return the skills of which a larger part than usual went into answers that were not used."""
    found = []
    for scope, days in spending.by_scope.items():
        today = days.get(spending.day)
        if ALL in scope or today is None or today.n_calls < LEAST_CALLS:
            continue
        before = [a for on, a in days.items() if 0 < (spending.day - on).days <= WASTE_DAYS and a.n_calls >= LEAST_CALLS]
        shares = [_waste_share(amounts) for amounts in before if amounts.direct_usd + amounts.waste_usd > 0]
        if len(shares) >= LEAST_WASTE_DAYS and (anomaly := _waste(spending.day, scope, today, shares)) is not None:
            found.append(anomaly)
    return found


def find_unknown(spending: Spending) -> list[Anomaly]:
    """Return one anomaly if much of the day's money is reserved by attempts whose outcome is not known."""
    today = spending.by_scope.get(TOTAL, {}).get(spending.day, Amounts())
    whole = today.cost_usd + today.unknown_usd
    share = today.unknown_usd / whole if whole > 0 else Decimal(0)
    if today.unknown_usd < LEAST_USD or share < UNKNOWN_WARN:
        return []
    models = {m: days[spending.day].unknown_usd for m, days in spending.by_model.items() if spending.day in days}
    named = ", ".join(f"{model} {usd:.2f}" for model, usd in models.items() if usd)
    message = (
        f"{today.unknown_usd:.2f} USD, {share:.0%} of the day, are reserved by attempts of unknown outcome ({named}): they may have "
        "been billed. Close them by the provider's report: `skillyard cost reconcile`. Are processes killed, or is a timeout too short?"
    )
    severity: Severity = "alert" if share >= UNKNOWN_ALERT else "warn"
    numbers = {"unknown_usd": today.unknown_usd, "cost_usd": today.cost_usd, "by_model": {m: usd for m, usd in models.items() if usd}}
    return [Anomaly("unknown_share", spending.day, severity, message, value=float(share), expected=float(UNKNOWN_WARN), numbers=numbers)]


def find_budgets(rows: Iterable[Row]) -> list[Anomaly]:
    """Return the budgets of a day's ``budget_daily`` that are reached, or that the month is heading over."""
    return [anomaly for row in rows if (anomaly := _budget(row)) is not None]


def score_of(value: float, before: Sequence[float], least_spread: float) -> tuple[float, float]:
    """Return the median of what was before, and how many robust standard deviations the value is above it."""
    values = np.asarray(before)
    median = float(np.median(values))
    spread = max(SIGMA * float(np.median(np.abs(values - median))), least_spread)
    return median, (value - median) / spread if spread else 0.0


def _find_spend(spending: Spending, scope: Scope) -> Anomaly | None:
    charged = spending.charged(scope)
    value, first = charged.get(spending.day, Decimal(0)), min(charged)
    n_weeks = min(WEEKS, (spending.day - first).days // WEEK)
    if value < LEAST_USD or n_weeks < LEAST_WEEKS:
        return None
    ago = [spending.day - timedelta(days=n) for n in range(n_weeks * WEEK, 0, -1)]
    weeks = np.array([float(charged.get(on, 0)) for on in ago]).reshape(-1, WEEK)  # the first column is this weekday
    weeks *= _growth(weeks)
    usual = np.median(weeks, axis=0)
    expected, score = score_of(float(value), weeks[:, 0].tolist(), _spread(weeks, usual))
    excess, worst = float(value) - expected, float(np.quantile(weeks - usual, WORST_SHARE))
    is_odd = score >= LEAST_SCORE and float(value) >= LEAST_TIMES * expected and excess >= max(WORST_TIMES * worst, float(LEAST_USD))
    return _spend(spending, scope, value, expected, score, weeks[:, 0]) if is_odd else None


def _growth(weeks: Floats) -> float:
    """Return by how much the lesser of the last two weeks is above the usual one: spending that grows for weeks is no surprise."""
    totals = weeks.sum(axis=1)
    usual = float(np.median(totals))
    return max(1.0, float(totals[-2:].min()) / usual) if usual > 0 else 1.0


def _spread(weeks: Floats, usual: Floats) -> float:
    """Return the least standard deviation of a weekday: that of all days relative to their usual, and never below a tenth of the usual."""
    is_busy = usual > 0
    relative = np.abs(weeks[:, is_busy] / usual[is_busy] - 1)
    share = max(SIGMA * float(np.median(relative)), LEAST_SPREAD) if relative.size else 0.0
    return max(share * float(usual[0]), LEAST_SPREAD * float(LEAST_USD))


def _spend(spending: Spending, scope: Scope, value: Decimal, expected: float, score: float, same_days: Floats) -> Anomaly:
    team, skill = scope
    times = f"{float(value) / expected:.1f} times" if expected > 0 else "where usually nothing is spent on"
    is_alert = value - Decimal(expected) >= ALERT_USD and float(value) >= ALERT_TIMES * expected
    dearest = max(_parts(spending, scope), key=lambda part: part[1], default=("", Decimal(0)))
    name = _name(scope)
    message = (
        f"{name} cost {value:.2f} USD on {spending.day:%A} {spending.day}, {times} the usual {expected:.2f} of the last {len(same_days)} "
        f"{spending.day:%A}s{f'; most of it by {dearest[0]}, {dearest[1]:.2f}' if dearest[0] else ''}. Look at "
        f"`skillyard cost report --by dag --from {spending.day} --to {spending.day}` for the runs; if it was meant, acknowledge it."
    )
    numbers = {"charged_usd": value, "same_weekdays_usd": [f"{usd:.6f}" for usd in same_days.tolist()]}
    return Anomaly(
        "spend",
        spending.day,
        "alert" if is_alert else "warn",
        message,
        team=team,
        skill=skill,
        value=float(value),
        expected=expected,
        score=score,
        numbers=numbers,
    )


def _parts(spending: Spending, scope: Scope) -> list[tuple[str, Decimal]]:
    """Return what the next narrower scopes cost on the day."""
    team, skill = scope
    return [
        (f"{other[0]} {other[1]}", days[spending.day].charged_usd)
        for other, days in spending.by_scope.items()
        if skill == ALL and other[1] != ALL and team in (ALL, other[0]) and spending.day in days
    ]


def _name(scope: Scope) -> str:
    team, skill = scope
    return "everything together" if scope == TOTAL else f"team {team}" if skill == ALL else f"{skill} of {team}"


def _new_model(spending: Spending, model: str, known: Sequence[str]) -> Anomaly:
    amounts = spending.by_model[model][spending.day]
    message = (
        f"{model} was called {amounts.n_calls} times for {amounts.cost_usd:.2f} USD, and on none of the {NEW_MODEL_DAYS} days before. "
        f"Was the profile changed on purpose? See `skillyard cost report --by model`, and `skillyard prices check` for its price."
    )
    numbers = {"n_calls": amounts.n_calls, "cost_usd": amounts.cost_usd, "known": known}
    return Anomaly("new_model", spending.day, "warn", message, model=model, value=float(amounts.cost_usd), numbers=numbers)


def _waste_share(amounts: Amounts) -> float:
    return float(amounts.waste_usd / (amounts.direct_usd + amounts.waste_usd))


def _waste(day: date, scope: Scope, today: Amounts, shares: Sequence[float]) -> Anomaly | None:
    if today.direct_usd + today.waste_usd <= 0:
        return None
    share = _waste_share(today)
    usual, score = score_of(share, shares, WASTE_SPREAD)
    excess = float(today.waste_usd) * (share - usual) / share if share else 0.0
    if score < LEAST_SCORE or share - usual < LEAST_WASTE_RISE or excess < LEAST_USD:
        return None
    message = (
        f"{share:.0%} of what {_name(scope)} paid for answers bought none that was used ({today.waste_usd:.2f} USD), usually {usual:.0%}: "
        f"retries, escalations or rejects. See `skillyard lake show rejects`, and the red flags of its tiers: `skillyard cost flags`."
    )
    numbers = {"waste_usd": today.waste_usd, "direct_usd": today.direct_usd, "n_days": len(shares)}
    return Anomaly(
        "waste_share", day, "warn", message, team=scope[0], skill=scope[1], value=share, expected=usual, score=score, numbers=numbers
    )


def _budget(row: Row) -> Anomaly | None:
    """Return the gravest thing to say of one budget: a reached limit before a coming one, hard before soft."""
    so_far, projected, name = row["month_to_date_usd"], row["projected_usd"], _name((row["team"], row["skill"]))
    limits: tuple[tuple[str, Severity, Decimal | None], ...] = (("hard", "alert", row["hard_usd"]), ("soft", "warn", row["soft_usd"]))
    for word, severity, limit in limits:
        if limit is None:
            continue
        is_reached = so_far >= limit
        is_coming = projected > limit and row["method"] == WEEKDAY_MEDIAN
        if not is_reached and not is_coming:
            continue
        month, state = f"{row['usage_date']:%Y-%m}", "reached" if is_reached else "projected"
        where = f"is at {so_far:.2f} USD this month" if is_reached else f"is heading for {projected:.2f} USD this month"
        between = "" if is_reached else f" (80 %: {row['projected_lower_usd']:.2f} to {row['projected_upper_usd']:.2f})"
        effect = "its calls wait from there on" if word == "hard" else "it warns, or starts on lower tiers, as teams.yaml says"
        message = (
            f"{name} {where}{between}, its {word} limit is {limit:.2f}: {effect}. Raise the limit in include/teams.yaml, or lower the "
            "cost: `skillyard cost plan` says how."
        )
        numbers = {
            name: row[name] for name in ("soft_usd", "hard_usd", "month_to_date_usd", "projected_usd", "method") if row[name] is not None
        }
        return Anomaly(
            f"budget_{word}",
            row["usage_date"],
            severity,
            message,
            team=row["team"],
            skill=row["skill"],
            value=float(so_far if is_reached else projected),
            expected=float(limit),
            numbers=numbers,
            lasting=f"{month} {state}",
        )
    return None
