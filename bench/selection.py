"""Which price of cost a policy is run at, chosen on training folds alone, and what comes of it on the tested items.

Every policy, ours and the baselines, is a family of behaviours from dear and good to cheap. For each set one of them is chosen, so that
the most is saved while the lower confidence bounds of retained quality, measured on the training folds, are above the target for all
sets together and above the floor for each. Retained quality of several sets is the mean of theirs, each at most 1.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bench.outcomes import Floats, Integers

Z = 1.645
"""Of a one-sided bound at 95 %."""
TARGET, FLOOR = 0.95, 0.90


@dataclass(frozen=True, slots=True)
class Served:
    """What a policy makes of each item at each of its settings (items × settings)."""

    quality: Floats
    cost: Floats
    tier: Integers


Curves = Mapping[int, Served]
"""By tested fold: the other folds' rows come from models that saw neither them nor the tested fold."""


@dataclass(frozen=True, slots=True)
class Ratio:
    """Retained quality and saved share of one set at each setting."""

    retained: Floats
    error: Floats
    """Standard error of the retained quality."""
    saved: Floats
    share: float
    """What the set counts among all sets."""


def measure(served: Served, best: Floats, dearest: Floats, weights: Floats, rows: Integers, share: float) -> Ratio:
    """Return the ratios over some rows; ``best`` and ``dearest`` are quality and cost of the top tier."""
    weight = weights[rows] / weights[rows].sum()
    quality, top = served.quality[rows], best[rows]
    retained = weight @ quality / (weight @ top)
    error = np.sqrt((weight**2) @ (quality - retained * top[:, None]) ** 2) / (weight @ top)
    return Ratio(retained, error, 1 - weight @ served.cost[rows] / (weight @ dearest[rows]), share)


def choose_settings(ratios: Sequence[Ratio], target: float = TARGET, floor: float = FLOOR) -> list[int]:
    """Return one setting for each set; the one that retains most where nothing is proven to meet the floor."""
    safe = [r.retained - Z * r.error >= floor for r in ratios]
    chosen: list[int] = []
    for worth in np.geomspace(0.02, 200, 400):
        chosen = []
        for ratio, is_safe in zip(ratios, safe, strict=True):
            gain = np.where(is_safe, ratio.saved + worth * np.minimum(ratio.retained, 1.0), -np.inf)
            chosen.append(int(gain.argmax() if is_safe.any() else (ratio.retained - Z * ratio.error).argmax()))
        retained = sum(r.share * min(r.retained[n], 1.0) for r, n in zip(ratios, chosen, strict=True))
        variance = sum((r.share * r.error[n]) ** 2 for r, n in zip(ratios, chosen, strict=True))
        if retained - Z * variance**0.5 >= target:
            break
    return chosen
