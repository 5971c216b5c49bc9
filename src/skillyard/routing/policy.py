"""A skill's policy: the cheapest tier to start on, escalation counted in, that keeps the quality its threshold was proven for."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

Expected = dict[str, tuple[float, float]]
"""By tier: the quality and the cost in USD that starting there is expected to end with."""


@dataclass(frozen=True, slots=True)
class SkillPolicy:
    """How one skill turns the raw probabilities of its family's model into a tier."""

    skill: str
    target: float
    """Share of the top tier's quality to keep, 0..1."""
    threshold: float
    """A tier may be started on when its expected quality is at least this share of the top tier's; inf: the top tier alone."""
    calibration: Mapping[str, tuple[float, float]]
    """By tier: slope and intercept on the logit of the raw probability."""
    pass_rates: Mapping[str, float]
    """By tier: share of answers that pass their checks; the others escalate."""
    quality_top: float
    """Mean quality of the top tier."""
    n_evidence: int
    n_calibrate: int
    """Of them, rows that the threshold was tested on."""
    retained_lower: float
    """Lower confidence bound of the retained quality at the threshold."""
    reason: str
    """What the threshold rests on."""
    tiers: tuple[str, ...]
    """Those the skill may use, the cheapest first."""
    mean_cost_usd: Mapping[str, float]
    """By tier: one call."""

    def expected(self, raw: Mapping[str, float], costs_usd: Mapping[str, float]) -> Expected:
        """Return what starting on each tier ends with. ``raw`` are the model's probabilities; a missing cost is the skill's mean."""
        made: Expected = {}
        quality = cost = 0.0
        for tier in reversed(self.tiers):
            slope, intercept = self.calibration[tier]
            good = sigmoid(slope * logit(raw[tier]) + intercept)
            fails = 1 - max(self.pass_rates[tier], good)
            quality = good + fails * quality
            cost = costs_usd.get(tier, self.mean_cost_usd[tier]) + fails * cost
            made[tier] = (quality, cost)
        return made

    def choose(self, raw: Mapping[str, float], costs_usd: Mapping[str, float]) -> tuple[str, str]:
        """Return the tier to start on and why."""
        expected = self.expected(raw, costs_usd)
        top = self.tiers[-1]
        least = self.threshold * expected[top][0]
        allowed = [tier for tier in self.tiers if tier == top or expected[tier][0] >= least]
        tier = min(allowed, key=lambda tier: (expected[tier][1], -expected[tier][0]))
        return tier, f"expects {expected[tier][0]:.2f} of {expected[top][0]:.2f}; {self.reason}"


def sigmoid(x: float) -> float:
    """Return 1 / (1 + e^-x) without overflow."""
    return 1 / (1 + math.exp(-x)) if x > -700 else 0.0


def logit(p: float) -> float:
    """Return the inverse of sigmoid, with p kept a millionth away from 0 and 1."""
    p = min(max(p, 1e-6), 1 - 1e-6)
    return math.log(p / (1 - p))
