"""What a skill's own cases prove of a tier: its pass rate with an interval, and which tiers are good enough, or not, beyond doubt.

The interval is Wilson's, of 95 %: it holds for few cases and for rates near 0 and 1.
Source: https://doi.org/10.1080/01621459.1927.10502953
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from skillyard.routing.decide import Decision, Traits, count_needed
from skillyard.routing.features import Features
from skillyard.tiers import TIERS

LIBRARY = "none"
"""The tier of what a skill's own code answers."""
LEVEL = 0.05
Z = 1.959963984540054
"""Standard errors on either side that hold 95 % of a normal distribution."""


@dataclass(frozen=True, slots=True)
class PassRate:
    """How many cases a tier got right."""

    n_right: int
    n_cases: int

    @property
    def share(self) -> float:
        """0..1; 0 without cases."""
        return self.n_right / self.n_cases if self.n_cases else 0.0

    @property
    def lower(self) -> float:
        """The least that the rate may be."""
        return wilson(self.n_right, self.n_cases)[0]

    @property
    def upper(self) -> float:
        """The most that the rate may be."""
        return wilson(self.n_right, self.n_cases)[1]

    @property
    def text(self) -> str:
        """As a sentence has it."""
        return f"{self.n_right} of {self.n_cases} right, between {self.lower:.0%} and {self.upper:.0%}"


def wilson(n_right: int, n_cases: int) -> tuple[float, float]:
    """Return both ends of the interval of a rate, 0..1; everything is possible without cases."""
    if not n_cases:
        return 0.0, 1.0
    share, weight = n_right / n_cases, Z * Z / n_cases
    middle = share + weight / 2
    half = Z * math.sqrt(share * (1 - share) / n_cases + weight / (4 * n_cases))
    lower = 0.0 if n_right == 0 else (middle - half) / (1 + weight)
    return lower, 1.0 if n_right == n_cases else (middle + half) / (1 + weight)


def n_cases_to_prove(least: float) -> int | None:
    """Return how many cases, all of them right, prove a pass rate; None when no number does."""
    if least >= 1:
        return None
    n_cases = max(1, math.ceil(least * Z * Z / (1 - least)))
    return n_cases if wilson(n_cases, n_cases)[0] >= least else n_cases + 1


def cheapest_adequate(rates: Mapping[str, PassRate], least: float) -> str | None:
    """Return the cheapest tier that is proven to reach a pass rate; None when none is."""
    return next((tier for tier in TIERS if tier in rates and rates[tier].lower >= least), None)


def inadequate_tiers(rates: Mapping[str, PassRate], least: float) -> dict[str, PassRate]:
    """Return the tiers that are proven not to reach a pass rate.

    By the interval, and by the exact chance of so few right cases: of a handful Wilson's upper end is too low, and one bad case would do.
    """
    return {t: r for t, r in rates.items() if t in TIERS and r.upper < least and chance_of_so_few(r, least) < LEVEL / 2}


def chance_of_so_few(rate: PassRate, true_rate: float) -> float:
    """Return how often a tier of a true pass rate gets as few cases right, or fewer."""
    n = rate.n_cases
    return sum(math.comb(n, k) * true_rate**k * (1 - true_rate) ** (n - k) for k in range(rate.n_right + 1))


def keep_off(
    decision: Decision, traits: Traits, features: Features, windows: Mapping[str, int], ruled_out: Mapping[str, PassRate], least: float
) -> Decision:
    """Return the decision moved up from a tier that is proven not to reach the skill's pass rate, and why.

    To the next one that is not ruled out and whose window the item fits; to the highest that it fits when all are ruled out.
    """
    if decision.tier not in ruled_out:
        return decision
    higher = TIERS[TIERS.index(decision.tier) + 1 : TIERS.index(traits.tier_max) + 1]
    fitting = [tier for tier in higher if count_needed(traits, features) <= windows[tier]]
    reason = f"{decision.reason}; evals rule {decision.tier} out ({ruled_out[decision.tier].text}, {least:.0%} needed)"
    if not fitting:
        return replace(decision, reason=f"{reason}, but there is none above it")
    tier = next((tier for tier in fitting if tier not in ruled_out), fitting[-1])
    return replace(decision, tier=tier, reason=reason, expected_quality=None, expected_cost_usd=None)


def verdict(rates: Mapping[str, PassRate], least: float) -> str:
    """Return what the cases prove, in words: where an item may start, where not, or how many cases it would take to know."""
    if LIBRARY in rates:
        rate = rates[LIBRARY]
        if rate.lower >= least:
            return f"the library is proven to reach {least:.0%} ({rate.text})"
        return f"the library is not proven to reach {least:.0%}: {_lacking([rate], least)}"
    said = [f"{tier} is proven not to reach {least:.0%} ({rate.text})" for tier, rate in inadequate_tiers(rates, least).items()]
    if tier := cheapest_adequate(rates, least):
        said.append(f"{tier} is the cheapest tier proven to reach {least:.0%} ({rates[tier].text})")
    else:
        said.append(f"no tier is proven to reach {least:.0%}: {_lacking(rates.values(), least)}")
    return "; ".join(said)


def _lacking(rates: Iterable[PassRate], least: float) -> str:
    """Return why these cases do not prove a pass rate, and how many would."""
    best, n_needed = max(rates, key=lambda rate: rate.share, default=PassRate(0, 0)), n_cases_to_prove(least)
    if n_needed is None:
        return "no number of cases proves that nothing is ever wrong"
    if best.n_cases and best.share < least:
        return "too many cases are wrong"
    if best.n_cases < n_needed:
        return f"{best.n_cases} cases, all right, prove {wilson(best.n_cases, best.n_cases)[0]:.0%}; {n_needed}, all right, would be needed"
    return f"{best.n_cases - best.n_right} wrong of {best.n_cases} leave it open; more cases would tell"
