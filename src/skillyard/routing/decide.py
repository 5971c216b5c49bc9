"""The decision: the cheapest tier that an item's text and its skill's declared traits allow.

A router of declared traits and keywords, for skills without recorded outcomes. It moves up from the skill's default tier for hard
texts, and past every tier whose context window the item does not fit.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from skillyard.routing.features import Features
from skillyard.tiers import TIERS

HARD, VERY_HARD = 0.45, 0.70
HEURISTIC = "heuristic"
"""The router version of a decision made here."""


@dataclass(frozen=True, slots=True)
class Traits:
    """What a skill declares about itself."""

    tier_default: str
    tier_max: str
    n_labels: int
    n_fields: int
    n_prompt_tokens: int
    """Instructions, labels and parameters: sent with every item."""
    n_output_tokens: int


@dataclass(frozen=True, slots=True)
class Decision:
    """Where an item starts. ``score`` is 0 easy … 1 hard."""

    tier: str
    score: float
    reason: str
    router_version: str = HEURISTIC
    expected_quality: float | None = None
    """0..1, of what the item ends with, escalation counted in; None without evidence."""
    expected_cost_usd: float | None = None
    """Of the item's calls, escalation counted in; None without evidence."""


def choose_tier(traits: Traits, features: Features, windows: Mapping[str, int], first_tier: str | None = None) -> Decision:
    """Return the tier an item starts on. ``windows`` gives each tier's context in tokens; ``first_tier`` overrides the score."""
    score, causes = score_difficulty(traits, features)
    allowed = TIERS[: TIERS.index(traits.tier_max) + 1]
    if first_tier:
        start, reason = min(TIERS.index(first_tier), len(allowed) - 1), f"asked to start on {first_tier}"
    else:
        n_up = (score >= HARD) + (score >= VERY_HARD)
        start = min(TIERS.index(traits.tier_default) + n_up, len(allowed) - 1)
        reason = f"{'hard' if n_up else 'easy'} ({', '.join(causes) or 'nothing special'})"
    n_needed = count_needed(traits, features)
    fitting = [tier for tier in allowed[start:] if n_needed <= windows[tier]]
    if not fitting:
        return Decision(allowed[-1], score, f"needs {n_needed} tokens, more than any allowed tier's window")
    if fitting[0] != allowed[start]:
        reason += f"; {n_needed} tokens do not fit {allowed[start]}"
    return Decision(fitting[0], score, reason)


def count_needed(traits: Traits, features: Features) -> int:
    """Return the tokens that a tier's window has to hold: prompt, item and answer."""
    return traits.n_prompt_tokens + features.n_tokens + traits.n_output_tokens


def score_difficulty(traits: Traits, features: Features) -> tuple[float, list[str]]:
    """Return a score in 0..1 and the parts that made it, the largest first."""
    parts = {
        "length": 0.30 * min(1.0, features.n_tokens / 4000),
        "labels": 0.15 * min(1.0, traits.n_labels / 40),
        "fields": 0.15 * min(1.0, traits.n_fields / 12),
        "language": 0.10 * (features.language not in (None, "en")),
        "poor scan": 0.10 * features.has_poor_scan,
        "code": 0.05 * features.has_code,
        "maths": 0.05 * features.has_maths,
        "table": 0.05 * features.has_table,
        "negation": 0.05 * min(1.0, features.n_negations / 4),
        "questions": 0.05 * min(1.0, features.n_questions / 3),
    }
    named = sorted((name for name, part in parts.items() if part >= 0.03), key=lambda name: -parts[name])
    return round(sum(parts.values()), 4), named
