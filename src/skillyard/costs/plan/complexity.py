"""What each class of complexity takes: its share, tiers, latency, cost and cache, by the score the router gave its items.

The classes are those of the router of declared traits: below HARD it starts on the skill's default tier, below VERY_HARD one tier
higher, above two.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

import numpy as np

from skillyard.costs.ledger.operations import Operation
from skillyard.routing.decide import HARD, VERY_HARD
from skillyard.tiers import TIERS

CLASSES = {"low": f"below {HARD:.2f}", "medium": f"{HARD:.2f} to {VERY_HARD:.2f}", "high": f"{VERY_HARD:.2f} or more"}
"""Each class and its boundaries on ``route_score``."""
UNSCORED = "unscored"
"""Items without a result: their score is not kept."""

Ttls = Mapping[str, Mapping[str, timedelta | None]]
"""By skill and tier: how long a published answer is given again, None as long as its fingerprint is asked for."""


@dataclass(frozen=True, slots=True)
class ClassRow:
    """One class of complexity."""

    complexity: str
    route_score: str
    """Its boundaries."""
    n_items: int
    share: float
    tiers: Mapping[str, float]
    """Share of the items whose last answer came from each tier."""
    p50_s: float | None
    """Latency of the items that were answered live and not from the cache, escalations included."""
    p95_s: float | None
    usd_per_1000: Decimal
    """Measured: answers only."""
    cache_ttl: Mapping[str, float]
    """Share of the items by how long their answer may be given again."""
    cache_hit_share: float


def classify(score: float | None) -> str:
    """Return the class of a route_score."""
    if score is None:
        return UNSCORED
    return "low" if score < HARD else "medium" if score < VERY_HARD else "high"


def class_rows(operations: Sequence[Operation], scores: Mapping[tuple[str, str], float], ttls: Ttls) -> list[ClassRow]:
    """Return a row per class that has items. ``scores``: route_score by skill and item."""
    grouped: dict[str, list[Operation]] = {name: [] for name in (*CLASSES, UNSCORED)}
    for operation in operations:
        grouped[classify(scores.get((operation.skill, operation.item_id)))].append(operation)
    return [_row(name, own, len(operations), ttls) for name, own in grouped.items() if own]


def _row(name: str, own: Sequence[Operation], n_all: int, ttls: Ttls) -> ClassRow:
    latencies = [operation.latency_s for operation in own if operation.latency_s is not None]
    p50, p95 = np.quantile(latencies, [0.5, 0.95]).tolist() if latencies else (None, None)
    counts = Counter(operation.last_tier for operation in own)
    lasting = Counter(describe_ttl(ttls.get(o.skill, {}).get(o.last_tier or "", timedelta(0))) for o in own)
    return ClassRow(
        complexity=name,
        route_score=CLASSES.get(name, "no result, no score"),
        n_items=len(own),
        share=len(own) / n_all,
        tiers={tier: counts[tier] / len(own) for tier in TIERS if counts[tier]},
        p50_s=p50,
        p95_s=p95,
        usd_per_1000=1000 * sum((operation.cost_usd for operation in own), Decimal(0)) / len(own),
        cache_ttl={ttl: n / len(own) for ttl, n in lasting.most_common()},
        cache_hit_share=sum(operation.is_cached for operation in own) / len(own),
    )


def describe_ttl(ttl: timedelta | None) -> str:
    """Return a time to live in words."""
    if ttl is None:
        return "while the fingerprint stays"
    seconds = int(ttl.total_seconds())
    unit, size = next(
        ((unit, size) for unit, size in (("d", 86400), ("h", 3600), ("min", 60)) if seconds and seconds % size == 0), ("s", 1)
    )
    return f"{seconds // size} {unit}" if seconds else "not cached"
