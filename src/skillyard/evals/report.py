"""What an evaluation found: a verdict for each case and tier, and what they say together of the tiers."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any

from skillyard.routing.adequacy import LIBRARY, PassRate, cheapest_adequate, verdict


@dataclass(frozen=True, slots=True)
class Verdict:
    """One case on one tier."""

    case_id: str
    tier: str
    """``none`` when the skill's own code answered, and no model was asked."""
    model: str
    """Empty when nothing was answered."""
    has_passed: bool
    """The schema and the named checks."""
    is_right: bool
    """And every assertion of the case."""
    message: str | None
    """What was wrong."""
    cost_usd: Decimal
    """Of the answer, whoever paid for it."""
    latency_ms: int | None


@dataclass(frozen=True, slots=True)
class TierScore:
    """What the cases say of a tier. Those that a mixed skill's library settles count on every tier, as they do in a run."""

    tier: str
    n_cases: int
    n_right: int
    pass_rate: float
    lower: float
    """Of the pass rate, as Wilson's interval of 95 % has it."""
    upper: float
    cost_usd: Decimal
    """Of the tier's own answers."""
    median_ms: int | None
    p95_ms: int | None


@dataclass(frozen=True)
class EvalReport:
    """What a skill's cases say of its tiers."""

    skill: str
    eval_id: str
    min_pass_rate: float
    decided_on: str
    """The tier that has to reach it."""
    verdicts: tuple[Verdict, ...]
    unasked: tuple[str, ...]
    """Cases that a budget, an endpoint that is down or a judge without a word left without a verdict: tier, case and reason."""

    @cached_property
    def rates(self) -> dict[str, PassRate]:
        """By tier: how many of its cases are right."""
        tiers = list(dict.fromkeys(v.tier for v in self.verdicts if v.tier != LIBRARY)) or [self.decided_on]
        own = {tier: [v.is_right for v in self.verdicts if v.tier in (tier, LIBRARY)] for tier in tiers}
        return {tier: PassRate(sum(right), len(right)) for tier, right in own.items() if right}

    @cached_property
    def scores(self) -> list[TierScore]:
        """Return a row per tier."""
        return [self._score(tier, rate) for tier, rate in self.rates.items()]

    @property
    def is_good(self) -> bool:
        """All cases were asked, and enough of them are right on the tier that decides."""
        decisive = self.rates.get(self.decided_on, PassRate(0, 0))
        return not self.unasked and decisive.n_cases > 0 and decisive.share >= self.min_pass_rate

    @property
    def proven(self) -> str | None:
        """The cheapest tier whose lower bound reaches min_pass_rate; None when none does."""
        return cheapest_adequate(self.rates, self.min_pass_rate)

    @property
    def verdict(self) -> str:
        """What is proven, in words."""
        return verdict(self.rates, self.min_pass_rate)

    def as_dict(self) -> dict[str, Any]:
        """Return all of it as plain values."""
        found = {"scores": [asdict(score) for score in self.scores], "is_good": self.is_good}
        return asdict(self) | found | {"proven": self.proven, "verdict": self.verdict}

    def _score(self, tier: str, rate: PassRate) -> TierScore:
        own = [v for v in self.verdicts if v.tier == tier]
        times = sorted(v.latency_ms for v in own if v.latency_ms is not None)
        cost = sum((v.cost_usd for v in own), Decimal(0))
        return TierScore(
            tier, rate.n_cases, rate.n_right, rate.share, rate.lower, rate.upper, cost, quantile(times, 0.5), quantile(times, 0.95)
        )


def quantile(times: Sequence[int], share: float) -> int | None:
    """Return the least of the sorted times that this share of them does not exceed; None when there are none."""
    return times[max(math.ceil(share * len(times)) - 1, 0)] if times else None
