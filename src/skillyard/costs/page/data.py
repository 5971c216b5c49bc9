"""All that a report page shows, as one value: nothing is read or computed from a table after it is made."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_HALF_EVEN, Decimal

from skillyard.costs.prices.book import PLACES

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Spend:
    """What a day charged on a tier."""

    day: date
    tier: str
    charged_usd: Decimal


@dataclass(frozen=True, slots=True)
class Bill:
    """What a team, skill, tier, model or all together came to."""

    kind: str
    """team, skill, tier, model, purpose or total."""
    name: str
    n_calls: int
    n_unknown: int
    n_cached: int
    charged_usd: Decimal
    cost_usd: Decimal
    direct_usd: Decimal
    waste_usd: Decimal
    shared_usd: Decimal
    allocated_usd: Decimal
    idle_usd: Decimal
    unknown_reserved_usd: Decimal
    saved_usd: Decimal
    before_usd: Decimal
    """Charged in the period of the same length before."""

    @property
    def change_usd(self) -> Decimal:
        """What it rose by."""
        return self.charged_usd - self.before_usd


@dataclass(frozen=True, slots=True)
class Savings:
    """From the expert tier's price down to what was paid: ``cost = baseline - routing - cache - batch``."""

    baseline_usd: Decimal
    routing_usd: Decimal
    cache_usd: Decimal
    batch_usd: Decimal
    cost_usd: Decimal
    measured_usd: Mapping[str, Decimal]
    """The part of each of routing, cache and batch that was measured; the rest is modelled."""
    unpriced_usd: Decimal
    """Cost of rows without a baseline: they are in none of the figures above."""

    @property
    def saved_usd(self) -> Decimal:
        """What all three saved."""
        return self.routing_usd + self.cache_usd + self.batch_usd


@dataclass(frozen=True, slots=True)
class Budget:
    """A team's or a skill's month at the end of a day."""

    day: date
    team: str
    skill: str
    soft_usd: Decimal | None
    hard_usd: Decimal | None
    month_to_date_usd: Decimal
    tomorrow_usd: Decimal
    tomorrow_lower_usd: Decimal
    tomorrow_upper_usd: Decimal
    projected_usd: Decimal
    projected_lower_usd: Decimal
    projected_upper_usd: Decimal

    @property
    def name(self) -> str:
        """The team, and the skill where it is one's."""
        team = "all teams" if self.team == "*" else self.team
        return team if self.skill == "*" else f"{team} · {self.skill}"


@dataclass(frozen=True, slots=True)
class Retention:
    """What routing keeps of a skill's quality, as its newest audits show."""

    day: date
    skill: str
    retained: float
    retained_lower: float
    retained_upper: float
    target: float
    n_audited: int


@dataclass(frozen=True, slots=True)
class Finding:
    """An anomaly that nobody has acknowledged yet."""

    day: date
    severity: str
    kind: str
    team: str
    skill: str
    model: str
    message: str


@dataclass(frozen=True, slots=True)
class UnitCost:
    """What one version of a skill cost and made in the period. Documents and pages are counted once a day."""

    skill: str
    fingerprint: str
    first: date
    last: date
    n_documents: int
    n_pages: int
    n_items: int
    n_results: int
    charged_usd: Decimal

    def per(self, n: int, of: int = 1) -> Decimal | None:
        """Return what ``of`` out of n cost, rounded half-even; None where there are none."""
        return (self.charged_usd * of / n).quantize(PLACES, ROUND_HALF_EVEN) if n else None


@dataclass(frozen=True, slots=True)
class PageData:
    """A report's period and everything about it. What is empty or None has not been computed yet."""

    first: date
    last: date
    first_before: date
    zone: str
    made_at: datetime
    total: Bill
    bills: tuple[Bill, ...] = ()
    spend: tuple[Spend, ...] = ()
    """Every day of the period and tier that was charged, in order; a day without calls is missing."""
    savings: Savings | None = None
    budgets: tuple[Budget, ...] = ()
    """The month of the newest day, day after day."""
    retention: tuple[Retention, ...] = ()
    findings: tuple[Finding, ...] = ()
    n_acknowledged: int = 0
    """Anomalies of the period of which somebody has taken note."""
    units: tuple[UnitCost, ...] = ()

    def of(self, kind: str) -> list[Bill]:
        """Return the bills of a kind, dearest first."""
        return sorted((bill for bill in self.bills if bill.kind == kind), key=lambda bill: (-bill.charged_usd, bill.name))
