"""The model of one skill family: for each tier a linear score of an item's n-grams and features, and through it a probability.

A family is the verb a skill's name begins with (classify, extract, tag …): its skills share what makes a text hard, and each has its
own level.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skillyard.routing.decide import Traits
from skillyard.routing.features import Features
from skillyard.routing.ngrams import hash_spans
from skillyard.tiers import TIERS

Floats = NDArray[np.float64]

DENSE = (
    "tokens", "words", "words are long", "digits", "share of digits", "negations", "questions", "options", "code", "maths", "table",
    "poor scan", "language unknown", "language not English", "labels", "fields", "prompt tokens", "output tokens", "default tier",
)  # fmt: skip
"""What ``describe`` returns, before one column per skill."""


_FIRST_ROW = np.zeros(1, np.intp)
"""Where the only sum of reduceat begins: it adds up few rows in half the time of sum()."""


@dataclass(frozen=True, slots=True, eq=False)
class FamilyModel:
    """Scores are logits: the weights of an item's spans by the length of their vector, its dense features, and the skill's own level."""

    tiers: tuple[str, ...]
    spans: NDArray[np.float32]
    """N_BUCKETS × (tiers + 1): a span's weight on each tier, and last its squared idf. A span that training did not know is all 0."""
    dense: Floats
    """DENSE × tiers."""
    levels: Mapping[str, tuple[float, ...]]
    """By skill: its intercept on each tier."""
    level: tuple[float, ...]
    """Of a skill that training did not know."""
    metrics: Mapping[str, Any]
    """By tier, from training: n, and either how well it was fitted or why it is a constant."""

    def score(self, skill: str, traits: Traits, features: Features, text: str) -> dict[str, float]:
        """Return by tier the probability that its answer is good."""
        logits = self.decision(skill, traits, features, text)
        return {tier: 1 / (1 + math.exp(-max(z, -700.0))) for tier, z in zip(self.tiers, logits, strict=True)}

    def decision(self, skill: str, traits: Traits, features: Features, text: str) -> list[float]:
        """Return the logits, one per tier."""
        *sums, square = np.add.reduceat(self.spans.take(hash_spans(text), axis=0), _FIRST_ROW)[0].tolist()
        length = math.sqrt(square) or 1.0
        dense = (np.array(describe(traits, features)) @ self.dense).tolist()
        level = self.levels.get(skill, self.level)
        return [total / length + own + base for total, own, base in zip(sums, dense, level, strict=True)]


def family_of(skill: str) -> str:
    """Return a skill's family: the verb its name begins with."""
    return skill.partition("-")[0]


def describe(traits: Traits, features: Features) -> list[float]:
    """Return the dense features in the order of DENSE; counts as logarithms."""
    log = math.log1p
    return [
        log(features.n_tokens),
        log(features.n_words),
        log(features.n_tokens / (features.n_words + 1)),
        log(features.n_digits),
        features.n_digits / (features.n_words + 1),
        log(features.n_negations),
        log(features.n_questions),
        log(features.n_options),
        features.has_code,
        features.has_maths,
        features.has_table,
        features.has_poor_scan,
        features.language is None,
        features.language not in (None, "en"),
        log(traits.n_labels),
        log(traits.n_fields),
        log(traits.n_prompt_tokens),
        log(traits.n_output_tokens),
        TIERS.index(traits.tier_default),
    ]
