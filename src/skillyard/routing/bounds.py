"""Finite-sample tests of a mean: what is proven holds at its level for any bounded distribution and any number of rows.

A gambler bets on each gain before seeing it, at odds that are fair when the mean is 0; who multiplies the stake by 1 / alpha has proven
at level alpha that the mean is above 0 (Ville's inequality). Rows sampled with unequal chances enter with their gain times the inverse
of that chance: its mean has the same sign, and it is bounded because the sampling design bounds the weight. Bounds are as wide as the
largest weight makes them, never too narrow; rows must come in an order that says nothing of what they hold, and be independent.

Source: Waudby-Smith and Ramdas, https://arxiv.org/abs/2010.09686; the size of the bets: Voráček and Orabona (STaR-Bets),
https://arxiv.org/abs/2505.22422; testing in a fixed order: Angelopoulos and others (Learn then Test), https://arxiv.org/abs/2110.01052.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

ALPHA = 0.05
MOST_STAKED = 0.98
"""Share of the capital that one bet may risk."""
PRIOR_ROWS, PRIOR_VARIANCE = 40.0, 0.1
"""What the variance is taken to be before any row, and how many rows that is worth: before the first loss it would look like 0, and too
much be staked on there being none."""
RATIOS: Floats = np.linspace(0.0025, 1.25, 500)
"""Where lower_bound looks."""


def is_positive(gains: Floats, least: Floats | float, alpha: float = ALPHA) -> NDArray[np.bool_]:
    """Return for each column whether its mean is proven to be above 0.

    ``gains`` is rows × columns; none can be below ``-least``, one value or one per column.
    """
    n_rows, n_columns = gains.shape
    goal = np.log(1 / alpha)
    capital, total, squares = np.zeros(n_columns), np.zeros(n_columns), np.full(n_columns, PRIOR_ROWS * PRIOR_VARIANCE)
    scaled = gains / least
    for n, gain in enumerate(scaled):
        missing = np.maximum(goal - capital, 0.0)
        stake = np.sqrt(2 * missing * (n + PRIOR_ROWS) / ((n_rows - n) * squares))
        capital += np.log1p(np.minimum(stake, MOST_STAKED) * gain)
        total += gain
        squares += (gain - total / (n + 1 + PRIOR_ROWS)) ** 2
    return np.asarray(capital >= goal - 1e-9)


def lower_bound(part: Floats, whole: Floats, most: float, alpha: float = ALPHA) -> float:
    """Return the lower confidence bound of mean(part) / mean(whole), at most RATIOS[-1].

    One value per independent row, weight included; ``most`` is the largest that ``whole`` can be in a row.
    """
    if not part.size:
        return 0.0
    gains = part[:, None] - whole[:, None] * RATIOS
    n_proven = fixed_sequence(is_positive(gains, most * RATIOS, alpha))
    return float(RATIOS[n_proven - 1]) if n_proven else 0.0


def fixed_sequence(rejected: NDArray[np.bool_]) -> int:
    """Return how many hypotheses of a fixed order are rejected before the first that is not: all of them together at the level of each."""
    return int(np.argmin(np.append(rejected, False)))
