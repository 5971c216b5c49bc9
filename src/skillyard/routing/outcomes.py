"""Evidence of one skill as arrays: what starting on each tier would have served and cost, escalation counted in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skillyard.routing.evidence import Evidence, hash_share

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


def is_complete(row: Evidence, tiers: Sequence[str]) -> bool:
    """Whether every one of the tiers answered, so that any start can be replayed."""
    return all(tier in row.outcomes for tier in tiers)


def tabulate(rows: Sequence[Evidence], scores: Sequence[Mapping[str, float]], tiers: Sequence[str]) -> Outcomes:
    """Return the arrays of complete rows and their raw probabilities."""
    order = sorted(range(len(rows)), key=lambda n: (hash_share("order", rows[n].group), rows[n].group))
    ordered = [rows[n] for n in order]
    groups = [row.group for row in ordered]
    seen = [[row.outcomes[tier] for tier in tiers] for row in ordered]
    shape = (len(rows), len(tiers))
    return Outcomes(
        tiers=tuple(tiers),
        raw=np.array([[scores[n][tier] for tier in tiers] for n in order], float).reshape(shape),
        passed=np.array([[o.passed for o in own] for own in seen], bool).reshape(shape),
        quality=np.array([[o.quality for o in own] for own in seen], float).reshape(shape),
        cost_usd=np.array([[o.cost_usd for o in own] for own in seen], float).reshape(shape),
        weight=np.array([row.weight for row in ordered], float),
        group_starts=np.array([n for n, group in enumerate(groups) if n == 0 or group != groups[n - 1]], np.int64),
    )
