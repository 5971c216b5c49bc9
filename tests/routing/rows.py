"""Evidence made for tests: rows of given qualities, in nights."""

from datetime import UTC, datetime, timedelta

import numpy as np

from skillyard.routing.evidence import Evidence, Observation
from skillyard.tiers import TIERS

FIRST_NIGHT = datetime(2026, 3, 1, 2, tzinfo=UTC)
COSTS = {"fast": 0.001, "standard": 0.005, "expert": 0.02}


def row(
    number: int,
    quality: dict[str, float],
    *,
    skill: str = "classify-things",
    fingerprint: str = "v1",
    night: int = 0,
    weight: float = 1.0,
    source: str = "audit",
    text: str = "a text",
    passed: bool = True,
) -> Evidence:
    """Return one row; a tier that is not named is not in its outcomes."""
    return Evidence(
        skill=skill,
        fingerprint=fingerprint,
        item_id=f"item-{number}",
        group=f"document-{number}",
        text=text,
        language="en",
        outcomes={tier: Observation(passed, quality[tier], COSTS[tier]) for tier in TIERS if tier in quality},
        weight=weight,
        served_tier="fast" if source == "audit" else None,
        observed_at=FIRST_NIGHT + timedelta(days=night, minutes=number % 60),
        source=source,
    )


def audited_night(night: int, n_rows: int, fast: float, seed: int = 0, **fields: object) -> list[Evidence]:
    """Return the audits of a night on which the fast tier is good with chance ``fast``; the others with .97 and .99."""
    rng = np.random.default_rng([seed, night])
    chances = {"fast": fast, "standard": 0.97, "expert": 0.99}
    return [
        row(1000 * night + n, {tier: float(rng.random() < chance) for tier, chance in chances.items()}, night=night, **fields)  # type: ignore[arg-type]
        for n in range(n_rows)
    ]
