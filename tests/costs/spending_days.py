"""Synthetic days of spending, as installations have them: patterns of the week, trends, bursts, days of rest."""

from datetime import date, timedelta
from decimal import Decimal

import numpy as np

FIRST = date(2026, 6, 1)
KINDS = ("flat", "weekday", "trend", "bursts", "zeros", "sparse", "walk")
WEEK = np.array([1, 1.1, 1.2, 1.1, 0.9, 0.2, 0.15])


def days_of(kind: str, seed: int, n: int) -> dict[date, Decimal]:
    """Return what n days cost, from FIRST on, a Monday or, by the seed, another day of the week."""
    rng, day = np.random.default_rng(seed), np.arange(n)
    pattern, noise = WEEK[(day + seed) % 7], rng.lognormal(0, 0.25, n)
    usd = {
        "flat": lambda: 50 * noise,
        "weekday": lambda: 100 * pattern * noise,
        "trend": lambda: 100 * pattern * noise * (1 + day / n),
        "bursts": lambda: 60 * pattern * noise + (rng.random(n) < 0.06) * rng.lognormal(5, 0.4, n),
        "zeros": lambda: np.where(pattern < 0.5, 0, 80 * pattern * noise),
        "sparse": lambda: (rng.random(n) < 0.3) * rng.lognormal(3, 0.5, n),
        "walk": lambda: 100 * pattern * np.exp(np.cumsum(rng.normal(0, 0.04, n))) * rng.lognormal(0, 0.1, n),
    }[kind]()
    return {FIRST + timedelta(days=at): Decimal(f"{value:.12f}") for at, value in enumerate(usd.tolist())}
