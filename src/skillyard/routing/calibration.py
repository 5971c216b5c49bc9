"""Platt scaling: a raw probability's logit, stretched and shifted until it says how often outputs are good.

Source: Platt, Probabilistic outputs for support vector machines (1999); fractional outcomes count as that share of a good one.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

PRIOR_ROWS = 2.0
"""Rows of evidence that the model's own word (slope 1, intercept 0) is worth."""
EDGE = 1e-6
"""Probabilities are kept this far from 0 and 1."""
MOST_LOGIT = 30.0


def logits(p: Floats) -> Floats:
    """Return the logarithm of the odds."""
    clipped = np.clip(p, EDGE, 1 - EDGE)
    return np.log(clipped / (1 - clipped))


def calibrated(p: Floats, slope: float, intercept: float) -> Floats:
    """Return calibrated probabilities."""
    return 1 / (1 + np.exp(-np.clip(slope * logits(p) + intercept, -MOST_LOGIT, MOST_LOGIT)))


def fit_calibration(p: Floats, quality: Floats, weight: Floats, slope: float | None = None) -> tuple[float, float]:
    """Return slope and intercept that fit best; a given slope stays and the intercept alone is fitted. Without rows: (1, 0)."""
    n_free = 1 if slope is not None else 2
    found = np.array([0.0, 1.0 if slope is None else slope])
    if not len(p):
        return float(found[1]), float(found[0])
    design = np.column_stack([np.ones(len(p)), logits(p)])
    share = weight / weight.mean()
    prior = found.copy()

    def loss(at: Floats) -> float:
        odds = design @ at
        return float(share @ (np.logaddexp(0.0, odds) - quality * odds) + PRIOR_ROWS / 8 * ((at - prior) ** 2).sum())

    for _ in range(50):  # Newton's method, its step halved until the loss falls
        good = 1 / (1 + np.exp(-np.clip(design @ found, -MOST_LOGIT, MOST_LOGIT)))
        gradient = (design.T @ (share * (good - quality)) + PRIOR_ROWS / 4 * (found - prior))[:n_free]
        curvature = (design.T * (share * good * (1 - good))) @ design + PRIOR_ROWS / 4 * np.eye(2)
        step = np.zeros(2)
        step[:n_free] = np.linalg.solve(curvature[:n_free, :n_free], gradient)
        while np.abs(step).max() > 1e-8 and loss(found - step) > loss(found):
            step /= 2
        found = found - step
        if np.abs(step).max() <= 1e-8:
            break
    return float(found[1]), float(found[0])
