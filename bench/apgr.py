"""RouteLLM's metric: how much of the gap between a weak and a strong model a router recovers for its calls of the strong one.

PGR = (score − weak's) / (strong's − weak's). A router's order of the items gives PGR at every share of strong calls: APGR is the area
below it, by trapezoids between 11 shares; CPT50 and CPT80 are the shares needed for a PGR of 0.5 and 0.8. A random order has 0.5.

Source: Ong et al., RouteLLM: Learning to route LLMs with preference data, https://arxiv.org/abs/2406.18665.
"""

import numpy as np

from bench.outcomes import Floats

SHARES = np.linspace(0, 1, 11)


def recover_gap(weak: Floats, strong: Floats, order_by: Floats, weights: Floats) -> Floats:
    """Return the PGR at each of SHARES in each bootstrap draw (draws × 11); items of one score are called in random order."""
    order = np.argsort(-order_by, kind="stable")
    last_of_score = np.append(np.flatnonzero(np.diff(order_by[order])), len(order) - 1)
    drawn = weights[:, order]
    called = drawn.cumsum(axis=1)[:, last_of_score]
    gained = (drawn * (strong - weak)[order]).cumsum(axis=1)[:, last_of_score]
    curves = zip(called / called[:, -1:], gained / gained[:, -1:], strict=True)
    return np.array([np.interp(SHARES, np.append(0.0, share), np.append(0.0, gain)) for share, gain in curves])


def area(pgr: Floats) -> Floats:
    """Return the APGR of each draw."""
    made: Floats = np.trapezoid(pgr, SHARES, axis=1)
    return made


def share_needed(pgr: Floats, level: float) -> Floats:
    """Return the share of strong calls, in %, at which each draw first reaches a PGR, linear between SHARES."""
    first = np.maximum((pgr >= level).argmax(axis=1), 1)
    rows = np.arange(len(pgr))
    below, above = pgr[rows, first - 1], pgr[rows, first]
    made: Floats = 100 * (SHARES[first - 1] + (SHARES[1] - SHARES[0]) * (level - below) / (above - below))
    return made
