"""Daily amounts out of ``cost_daily``: by team, by team and skill, and of all together, for forecasts, budgets and anomalies."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import astuple, dataclass
from datetime import date, timedelta
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc

from skillyard.costs.budgets.forecast import HISTORY_DAYS
from skillyard.lake.cost_tables import COST_DAILY
from skillyard.lake.lake import Lake
from skillyard.lake.read import read
from skillyard.lake.tables import DATE

ALL = "*"
MONTH_DAYS = 31
Scope = tuple[str, str]
"""Team and skill; ALL for all of the team's skills, or for all teams."""
TOTAL: Scope = (ALL, ALL)
_KEY = ["usage_date", "team", "skill", "model"]
_SUMS = ["direct_usd", "waste_usd", "allocated_usd", "cost_usd", "unknown_reserved_usd", "n_calls"]


@dataclass(frozen=True, slots=True)
class Amounts:
    """Sums of a day."""

    direct_usd: Decimal = Decimal(0)
    waste_usd: Decimal = Decimal(0)
    allocated_usd: Decimal = Decimal(0)
    cost_usd: Decimal = Decimal(0)
    unknown_usd: Decimal = Decimal(0)
    """Reserved by attempts whose outcome is not known; no part of the cost."""
    n_calls: int = 0

    @property
    def charged_usd(self) -> Decimal:
        """What is charged: over all rows of a day the same as their cost."""
        return self.direct_usd + self.waste_usd + self.allocated_usd

    def __add__(self, other: "Amounts") -> "Amounts":
        return Amounts(*(own + more for own, more in zip(astuple(self), astuple(other), strict=True)))


@dataclass(frozen=True, slots=True)
class Spending:
    """The days up to one of them; a day without rows is in none of the maps."""

    day: date
    by_scope: Mapping[Scope, Mapping[date, Amounts]]
    by_model: Mapping[str, Mapping[date, Amounts]]

    def charged(self, scope: Scope) -> dict[date, Decimal]:
        """Return the charged cost of a scope by day."""
        return {day: amounts.charged_usd for day, amounts in self.by_scope.get(scope, {}).items()}


def read_spending(lake: Lake, day: date) -> Spending:
    """Return what forecasts and comparisons for a day look at."""
    oldest = day - timedelta(days=HISTORY_DAYS + MONTH_DAYS)
    where = (pc.field("usage_date") > pa.scalar(oldest, DATE)) & (pc.field("usage_date") <= pa.scalar(day, DATE))
    return to_spending(read(lake, COST_DAILY, [*_KEY, *_SUMS], where), day)


def to_spending(rows: pa.Table, day: date) -> Spending:
    """Sum rows of ``cost_daily``."""
    grouped = rows.group_by(_KEY, use_threads=False).aggregate([(name, "sum") for name in _SUMS])
    scopes: dict[Scope, dict[date, Amounts]] = defaultdict(lambda: defaultdict(Amounts))
    models: dict[str, dict[date, Amounts]] = defaultdict(lambda: defaultdict(Amounts))
    for on, team, skill, model, *sums in zip(
        *(grouped[name].to_pylist() for name in (*_KEY, *(f"{name}_sum" for name in _SUMS))), strict=True
    ):
        amounts = Amounts(*sums)
        for scope in dict.fromkeys((TOTAL, (team, ALL), (team, skill))):
            scopes[scope][on] += amounts
        models[model][on] += amounts
    return Spending(
        day, {scope: dict(days) for scope, days in sorted(scopes.items())}, {m: dict(days) for m, days in sorted(models.items())}
    )
