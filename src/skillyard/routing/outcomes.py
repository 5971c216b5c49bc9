"""Evidence of one skill as arrays: what starting on each tier would have served and cost, escalation counted in."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skillyard.routing.evidence import Evidence, hash_share
from skillyard.tiers import TIERS

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Outcomes:
    """Rows × tiers, the cheapest tier first; rows of the same group lie together, groups in an order that says nothing of them."""

    tiers: tuple[str, ...]
    raw: Floats
    """The model's probability per tier, before calibration."""
    passed: NDArray[np.bool_]
    quality: Floats
    cost_usd: Floats
    """Of one call on the tier."""
    weight: Floats
    """One per row."""
    group_starts: NDArray[np.int64]
    """The first row of each group: groups are independent, rows of one group are not."""

    def served(self) -> tuple[Floats, Floats]:
        """Return the quality and the cost of starting on each tier: what fails its checks goes on to the next tier, to the end."""
        quality, cost = self.quality.copy(), self.cost_usd.copy()
        for column in range(len(self.tiers) - 2, -1, -1):
            failed = ~self.passed[:, column]
            quality[failed, column] = quality[failed, column + 1]
            cost[failed, column] += cost[failed, column + 1]
        return quality, cost

    def by_group(self, values: Floats) -> Floats:
        """Return the weighted sums of per-row values by group, along the first axis."""
        weighted = values * (self.weight if values.ndim == 1 else self.weight[:, None])
        return np.add.reduceat(weighted, self.group_starts) if len(weighted) else weighted

    def mean(self, values: Floats) -> Floats:
        """Return the weighted mean along the first axis, 0 without rows."""
        return np.asarray(self.weight @ values / max(float(self.weight.sum()), 1e-300))


def tiers_of(rows: Sequence[Evidence], tier_max: str) -> tuple[str, ...]:
    """Return the tiers, cheapest first, that answered at least half of the rows which ``tier_max`` answered; none if it answered none."""
    compared = [row for row in rows if tier_max in row.outcomes]
    allowed = TIERS[: TIERS.index(tier_max) + 1] if compared else ()
    return tuple(tier for tier in allowed if 2 * sum(tier in row.outcomes for row in compared) >= len(compared))


def replayable(rows: Iterable[Evidence], tiers: Sequence[str]) -> list[Evidence]:
    """Return the rows that every one of the tiers answered, group by group, the groups in an order that says nothing of them."""
    complete = (row for row in rows if all(tier in row.outcomes for tier in tiers))
    return sorted(complete, key=lambda row: (hash_share("order", row.group), row.group))


def tabulate(rows: Sequence[Evidence], tiers: Sequence[str], scores: Sequence[Mapping[str, float]] | None = None) -> Outcomes:
    """Return the arrays of replayable rows and of their raw probabilities (0 without scores)."""
    shape = (len(rows), len(tiers))
    seen = [[row.outcomes[tier] for tier in tiers] for row in rows]
    groups = [row.group for row in rows]
    return Outcomes(
        tiers=tuple(tiers),
        raw=np.array([[score[tier] for tier in tiers] for score in scores], float).reshape(shape)
        if scores is not None
        else np.zeros(shape),
        passed=np.array([[o.passed for o in own] for own in seen], bool).reshape(shape),
        quality=np.array([[o.quality for o in own] for own in seen], float).reshape(shape),
        cost_usd=np.array([[o.cost_usd for o in own] for own in seen], float).reshape(shape),
        weight=np.array([row.weight for row in rows], float),
        group_starts=np.array([n for n, group in enumerate(groups) if n == 0 or group != groups[n - 1]], np.int64),
    )
