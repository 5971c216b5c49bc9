"""Which results of a skill an audit looks at: new ones first, by strata of served tier and route score, the same for the same name.

Within a stratum each result has the same chance. Results of the highest tier are drawn at half the rate: they show when a cheaper tier has
recovered, but say nothing of what was lost by routing.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

TOP_RATE = 0.5
"""The chance of a result of the highest tier, by that of another one."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A result that could be audited."""

    item_id: str
    tier: str
    """The tier that served it, by the name under which audits compare it."""
    route_score: float
    is_new: bool
    """Made since the last audit; a skill's first audit finds only new ones."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """A result that is audited."""

    item_id: str
    stratum: str
    weight: float
    """The inverse of its chance, by the mean of those drawn with it."""


def draw(candidates: Iterable[Candidate], n: int, top: str, name: str) -> list[Drawn]:
    """Return ``n`` of the candidates, or all of them, in the order of their item_id; ``name`` seeds the draw.

    Old results fill up what the new ones leave. The two are weighted apart: beside a day's work, a backlog of thousands would count for
    everything.
    """
    found = sorted(candidates, key=lambda c: c.item_id)
    drawn: list[Drawn] = []
    for is_new in (True, False):
        drawn += _draw([c for c in found if c.is_new == is_new], n - len(drawn), top, name)
    return sorted(drawn, key=lambda d: d.item_id)


def _draw(pool: Sequence[Candidate], n: int, top: str, name: str) -> list[Drawn]:
    strata = _strata(pool)
    sizes = {stratum: len(own) for stratum, own in strata.items()}
    rates = {stratum: TOP_RATE if own[0].tier == top else 1.0 for stratum, own in strata.items()}
    n_drawn = {stratum: k for stratum, k in allocate(sizes, rates, n).items() if k}
    mean = sum(sizes[s] for s in n_drawn) / max(sum(n_drawn.values()), 1)
    return [
        Drawn(c.item_id, stratum, sizes[stratum] / k / mean)
        for stratum, k in n_drawn.items()
        for c in sorted(strata[stratum], key=lambda c: hashlib.sha256(f"{name}\0{c.item_id}".encode()).digest())[:k]
    ]


def allocate(sizes: Mapping[str, int], rates: Mapping[str, float], n: int) -> dict[str, int]:
    """Return how many to draw of each stratum: one of each first, the others in proportion to size times rate, none beyond its size."""
    taken = dict.fromkeys(sizes, 0)
    for _ in range(min(n, sum(sizes.values()))):
        left = [s for s in sizes if taken[s] < sizes[s]]
        most_missed = max(left, key=lambda s: (taken[s] == 0, sizes[s] * rates[s] / (taken[s] + 0.5), s))
        taken[most_missed] += 1
    return taken


def _strata(pool: Sequence[Candidate]) -> dict[str, list[Candidate]]:
    """Return the candidates by served tier, third of the route scores, and age."""
    scores = sorted(c.route_score for c in pool)
    cuts = [scores[len(scores) // 3], scores[2 * len(scores) // 3]] if scores else []
    strata: dict[str, list[Candidate]] = defaultdict(list)
    for c in pool:
        third = ("low", "middle", "high")[sum(c.route_score > cut for cut in cuts)]
        strata[f"{c.tier}, {third} score, {'new' if c.is_new else 'old'}"].append(c)
    return dict(sorted(strata.items()))
