"""A skill's policy: the cheapest tier to start on, escalation counted in, that keeps the quality its threshold was proven for.

The threshold is chosen on held-out evidence. Candidates are tested from the safest (everything starts on the top tier) to the boldest,
each for "retained quality is above the target" at level 5 %; the last one before the first that fails is taken. So the chance that a
policy keeps less than its target is at most 5 %, whatever the model's probabilities are worth.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from skillyard.routing.bounds import Floats, fixed_sequence, is_positive, lower_bound
from skillyard.routing.calibration import EDGE, MOST_LOGIT, calibrated, fit_calibration
from skillyard.routing.outcomes import Outcomes

Number = TypeVar("Number", float, Floats)
Expected = dict[str, tuple[float, float]]
"""By tier: the quality and the cost in USD that starting there is expected to end with."""

DEFAULT_TARGET = 0.95
"""Share of the top tier's quality that a skill keeps when it names no other."""
THRESHOLDS = (math.inf, *np.linspace(1.3, 0.0, 131).round(2).tolist())
"""The fixed order of the candidates."""


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
    """Rows it was fitted and tested on; those of the replay split are not among them."""
    n_calibrate: int
    """Of them, those that the threshold was tested on."""
    retained_lower: float
    """Lower confidence bound of the retained quality at the threshold."""
    reason: str
    """What the threshold rests on."""
    tiers: tuple[str, ...]
    """Those the skill may use, the cheapest first."""
    mean_cost_usd: Mapping[str, float]
    """By tier: one call."""

    @property
    def is_proven(self) -> bool:
        """There is evidence enough to say that the target is kept."""
        return self.retained_lower >= self.target

    def expected(self, raw: Mapping[str, float], costs_usd: Mapping[str, float]) -> Expected:
        """Return what starting on each tier ends with. ``raw`` are the model's probabilities; a missing cost is the skill's mean."""
        ends: Expected = {}
        end = 0.0, 0.0
        for tier in self.tiers[::-1]:
            price = costs_usd[tier] if tier in costs_usd else self.mean_cost_usd[tier]
            ends[tier] = end = _start(_calibrated(raw[tier], *self.calibration[tier]), self.pass_rates[tier], price, end)
        return ends

    def choose(self, raw: Mapping[str, float], costs_usd: Mapping[str, float]) -> tuple[str, str]:
        """Return the tier to start on and why."""
        return self.choose_from(self.expected(raw, costs_usd))

    def choose_from(self, expected: Expected) -> tuple[str, str]:
        """Return the tier to start on and why, from what each start is expected to end with."""
        top = self.tiers[-1]
        least = self.threshold * expected[top][0]
        tier = min((t for t in self.tiers if t == top or expected[t][0] >= least), key=lambda t: expected[t][1])
        return tier, f"expects {expected[tier][0]:.2f}, {top} {expected[top][0]:.2f}; {self.reason}"


def _start(good: Number, pass_rate: float, price: float, above: tuple[Number, Number]) -> tuple[Number, Number]:
    """Return quality and cost of starting on a tier, from one probability (or an array of them) and those of starting on the next.

    An answer that fails its checks goes on to the next tier. What is good has passed: the chance to pass is never below that of good.
    """
    fails = 1 - (pass_rate + good + abs(pass_rate - good)) / 2  # the larger of the two, for floats and arrays alike
    return good + fails * above[0], price + fails * above[1]


def choose_starts(policy: SkillPolicy, raw: Floats, thresholds: Sequence[float]) -> list[NDArray[np.intp]]:
    """Return the column of the tier each row starts on, for each threshold, at the skill's mean costs. ``raw`` is rows × tiers."""
    ends = []
    end = np.zeros(len(raw)), np.zeros(len(raw))
    for n, tier in reversed(list(enumerate(policy.tiers))):
        good = calibrated(raw[:, n], *policy.calibration[tier])
        end = _start(good, policy.pass_rates[tier], policy.mean_cost_usd[tier], end)
        ends.append(end)
    quality, cost = (np.column_stack(columns[::-1]) for columns in zip(*ends, strict=True))
    share = quality / np.maximum(quality[:, -1:], EDGE)
    share[:, -1] = math.inf
    return [np.where(share >= threshold, cost, math.inf).argmin(axis=1) for threshold in thresholds]


def fit_policy(skill: str, target: float, fit: Outcomes, held_out: Outcomes, slopes: Mapping[str, float] | None = None) -> SkillPolicy:
    """Return the policy of a skill: calibration, pass rates and costs from ``fit``, the threshold from ``held_out``.

    ``slopes`` keeps the slopes of an earlier calibration of the same model. The raw probabilities of ``fit`` must be those of a model
    that has not seen the rows.
    """
    weight = fit.weight / max(float(fit.weight.mean()), 1e-300) if len(fit.weight) else fit.weight
    columns = {tier: n for n, tier in enumerate(fit.tiers)}
    slope_of = slopes or {}
    untested = SkillPolicy(
        skill=skill,
        target=target,
        threshold=math.inf,
        calibration={t: fit_calibration(fit.raw[:, n], fit.quality[:, n], fit.weight, slope_of.get(t)) for t, n in columns.items()},
        pass_rates={t: float((weight @ fit.passed[:, n] + 0.5) / (weight.sum() + 1)) for t, n in columns.items()},
        quality_top=float(fit.mean(fit.quality[:, -1])),
        n_evidence=len(fit.weight) + len(held_out.weight),
        n_calibrate=len(held_out.weight),
        retained_lower=0.0,
        reason="not tested",
        tiers=fit.tiers,
        mean_cost_usd={t: float(fit.mean(fit.cost_usd[:, n])) for t, n in columns.items()},
    )
    return choose_threshold(untested, held_out)


def choose_threshold(policy: SkillPolicy, held_out: Outcomes) -> SkillPolicy:
    """Return the policy with the boldest threshold that is proven on held-out rows, or with the safe tier."""
    n, top = policy.n_evidence, policy.tiers[-1]
    if not len(held_out.weight):
        return replace(policy, threshold=math.inf, retained_lower=0.0, reason=f"not enough evidence (n={n})")
    starts = choose_starts(policy, held_out.raw, THRESHOLDS)
    qualities = held_out.served()[0]
    rows = np.arange(len(held_out.weight))
    served = held_out.by_group(np.column_stack([qualities[rows, start] for start in starts]))
    whole = held_out.by_group(held_out.quality[:, -1])
    most = float(held_out.by_group(np.ones(len(rows))).max())
    n_proven = fixed_sequence(is_positive(served - policy.target * whole[:, None], policy.target * most))
    chosen = max(n_proven - 1, 0)
    lower = lower_bound(served[:, chosen], whole, most)
    if not n_proven:
        return replace(policy, threshold=math.inf, retained_lower=lower, reason=f"not enough evidence (n={n})")
    lower = max(lower, policy.target)
    if (starts[chosen] == len(policy.tiers) - 1).all():
        return replace(
            policy, threshold=math.inf, retained_lower=lower, reason=f"nothing below {top} is proven to keep {policy.target:.0%} (n={n})"
        )
    return replace(policy, threshold=THRESHOLDS[chosen], retained_lower=lower, reason=f"keeps {lower:.1%} or more of {top} (n={n})")


def _calibrated(p: float, slope: float, intercept: float) -> float:
    """As calibrated() for one number, many times as fast."""
    p = EDGE if p < EDGE else 1 - EDGE if p > 1 - EDGE else p
    odds = slope * math.log(p / (1 - p)) + intercept
    return 1 / (1 + math.exp(-odds)) if -MOST_LOGIT < odds < MOST_LOGIT else float(odds > 0)
