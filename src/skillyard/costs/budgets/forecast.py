"""What the coming days will cost, with an interval that holds in about four cases of five.

``weekday-median/1``: a weekday's usual cost is the median of its last eight; the usual week is scaled to what the last 14 days cost, where
a day far above its usual counts only up to a bound. The interval comes from the errors that this would have made: forecasts of one day and
of a week are repeated from each of the last 42 days, with what was known then, and the 10 % and 90 % quantiles of their errors are added; a
week's in proportion to the length of what is forecast, since a level that is wrong today is wrong all month. ``mean/1``, with fewer than
four weeks behind it: the mean, by weekday from two weeks on, and twice the scatter of the days. A day without a run cost 0. Amounts are
exact up to here; a forecast is an estimate and made in floating point.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from skillyard.costs.prices.book import PLACES

WEEKDAY_MEDIAN, MEAN = "weekday-median/1", "mean/1"
WEEK = 7
LEARNT_DAYS = 8 * WEEK
ERROR_DAYS = 6 * WEEK
HISTORY_DAYS = LEARNT_DAYS + ERROR_DAYS
"""What a forecast looks at: older days change nothing."""
LEAST_DAYS, LEAST_WEEKDAYS = 4 * WEEK, 2 * WEEK
"""Days of history for intervals from errors of the past, and for a pattern of the week."""
MOST_TIMES = 4.0
"""Times its usual cost that a day counts for in the level: a backfill is no new level."""
SHARE = 0.1
"""Of the errors that lie below the interval, and above it."""
DAY_FACTOR, WEEK_FACTOR, YOUNG_FACTOR = 1.1, 1.25, 2.0
"""By how much the errors are widened, since few of them, which overlap, show too little. Set on simulated series (see the tests)."""
GROWTH = 0.75
"""Exponent by which errors of days grow to those of several days: 0.5 if they were independent, 1 if they were all the same."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Outlook:
    """A forecast sum and its 80 % interval."""

    usd: Decimal
    lower_usd: Decimal
    upper_usd: Decimal


@dataclass(frozen=True, slots=True)
class Pattern:
    """What a history says of the days after it."""

    day: date
    """Its last."""
    week: tuple[float, ...]
    """What the seven days after it are expected to cost."""
    day_errors: tuple[float, float]
    """By how much a day ends below (negative) and above its forecast."""
    week_errors: tuple[float, float]
    """The same for seven days together."""
    n_days: int
    method: str

    def outlook(self, first: date, last: date) -> Outlook:
        """Return what the days from first to last, all after the history, will cost together; nothing for no days."""
        ahead, n = (first - self.day).days - 1, (last - first).days + 1
        if n <= 0:
            return Outlook(Decimal(0), Decimal(0), Decimal(0))
        expected = sum(self.week[(ahead + step) % WEEK] for step in range(n))
        errors, times = (self.day_errors, n**GROWTH) if n < WEEK else (self.week_errors, n / WEEK)
        low, high = (error * times for error in errors)
        return Outlook(_usd(expected), _usd(max(0.0, expected + min(0.0, low))), _usd(expected + max(0.0, high)))


def learn(history: Mapping[date, Decimal], day: date) -> Pattern:
    """Return the pattern of a history up to and with a day; days before the first that cost anything are no history."""
    known = [found for found, usd in history.items() if usd and found <= day]
    n_days = min((day - min(known)).days + 1, HISTORY_DAYS) if known else 0
    values = np.array([max(0.0, float(history.get(day - timedelta(days=ago), 0))) for ago in reversed(range(n_days))])
    week = _next_week(values[-LEARNT_DAYS:])
    if n_days < LEAST_DAYS:
        low, high = _young_errors(values, week)
        grown = WEEK**GROWTH
        return Pattern(day, tuple(week), (low, high), (low * grown, high * grown), min(n_days, LEARNT_DAYS), MEAN)
    of_days, of_weeks = _past_errors(values)
    return Pattern(
        day,
        tuple(week),
        _interval(of_days, DAY_FACTOR),
        _interval(of_weeks, WEEK_FACTOR),
        min(n_days, LEARNT_DAYS),
        WEEKDAY_MEDIAN,
    )


def _next_week(values: Floats) -> Floats:
    """Return what the seven days after these values are expected to cost."""
    if len(values) < LEAST_WEEKDAYS:
        return np.full(WEEK, values.mean() if len(values) else 0.0)
    weeks = values[len(values) % WEEK :].reshape(-1, WEEK)  # the first column is the weekday of tomorrow
    usual = np.median(weeks, axis=0)
    if not usual.sum():
        return np.full(WEEK, values.mean())
    most = np.where(usual > 0, usual * MOST_TIMES, np.inf)
    last = np.minimum(weeks[-2:], most)
    scaled: Floats = usual * (last.sum() / (len(last) * usual.sum()))
    return scaled


def _past_errors(values: Floats) -> tuple[Floats, Floats]:
    """Return by how much forecasts of one day and of seven days would have missed, from each day that had two weeks behind it."""
    days, weeks = [], []
    for at in range(max(LEAST_WEEKDAYS, len(values) - ERROR_DAYS), len(values)):
        week = _next_week(values[max(0, at - LEARNT_DAYS) : at])
        days.append(values[at] - week[0])
        if at + WEEK <= len(values):
            weeks.append(values[at : at + WEEK].sum() - week.sum())
    return np.array(days), np.array(weeks)


def _interval(errors: Floats, factor: float) -> tuple[float, float]:
    """Return the quantiles of few errors: a little further out than those of many."""
    below = max(0.0, (len(errors) + 1) * SHARE - 1) / (len(errors) - 1)
    low, high = np.quantile(errors, [below, 1 - below])
    return float(low) * factor, float(high) * factor


def _young_errors(values: Floats, week: Floats) -> tuple[float, float]:
    """Return wide bounds for a history too short to learn from its errors."""
    if len(values) < WEEK:
        return (-float(week[0]), YOUNG_FACTOR * float(values.max())) if len(values) else (0.0, 0.0)
    errors = values - week[np.arange(-len(values), 0) % WEEK]
    low, high = np.quantile(errors, [SHARE, 1 - SHARE])
    return float(low) * YOUNG_FACTOR, float(high) * YOUNG_FACTOR


def _usd(value: float) -> Decimal:
    return Decimal(value).quantize(PLACES)
