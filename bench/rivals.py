"""Routers that learn from texts and outcomes of a weak and a strong model: the product's own, and the plain rival it has to beat."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from bench.outcomes import Floats, Integers, Recorded
from skillyard.routing.decide import Traits
from skillyard.routing.evidence import Evidence, Observation
from skillyard.routing.features import extract_features
from skillyard.routing.fit import fit_family
from skillyard.routing.model import FamilyModel
from skillyard.tiers import TIERS

TRAITS = Traits("fast", "expert", n_labels=0, n_fields=1, n_prompt_tokens=200, n_output_tokens=200)
"""Of a skill that declares nothing special: what is learned here comes from the text."""
WEAK, STRONG = TIERS[0], TIERS[-1]


@dataclass(frozen=True, slots=True)
class Pairs:
    """Items of one set as evidence, each answered on several tiers."""

    name: str
    rows: Sequence[Evidence]

    def __len__(self) -> int:
        return len(self.rows)

    def quality(self, tier: str) -> Floats:
        """Return what the tier made of each item, 0..1."""
        return np.array([row.outcomes[tier].quality for row in self.rows])

    def groups(self) -> list[str]:
        """Return the normalised question of each item."""
        return [row.group for row in self.rows]


def pair(recorded: Recorded, models: Sequence[str], tiers: Sequence[str] = (WEAK, STRONG)) -> Pairs:
    """Return the items that all of the models answered; the set's name is that of the skill."""
    asked = recorded.answered_by(models)
    columns = {tier: asked.column(model) for tier, model in zip(tiers, models, strict=True)}
    rows = [
        Evidence(
            skill=skill_of(recorded.name),
            fingerprint="recorded",
            item_id=asked.item_ids[n],
            group=asked.groups[n],
            text=asked.prompts[n],
            language="en",
            outcomes={t: Observation(True, float(asked.scores[n, c]), float(asked.costs_usd[n, c])) for t, c in columns.items()},
            weight=1.0,
            served_tier=None,
            observed_at=datetime(2026, 1, 1, tzinfo=UTC),
            source="eval",
        )
        for n in range(len(asked))
    ]
    return Pairs(recorded.name, rows)


def skill_of(name: str) -> str:
    """Return the skill that a set stands for; all of them are of one family."""
    return f"answer-{name.replace('_', '-')}"


Rank = Callable[[Sequence[Evidence], Sequence[Evidence]], Floats]
"""From rows to learn from and rows to order: a number for each of these, the higher the more the strong model is worth its call."""


def order_by_ours(train: Sequence[Evidence], test: Sequence[Evidence]) -> Floats:
    """Order by P(strong is good) − P(weak is good) of the product's own model."""
    model = fit_family(train, {row.skill: TRAITS for row in train}, (WEAK, STRONG))
    return np.array([scores[STRONG] - scores[WEAK] for scores in score_rows(model, test)])


def score_rows(model: FamilyModel, rows: Iterable[Evidence]) -> list[dict[str, float]]:
    """Return the model's probabilities of each row."""
    return [model.score(row.skill, TRAITS, extract_features(row.text, row.language), row.text) for row in rows]


def order_by_plain(train: Sequence[Evidence], test: Sequence[Evidence]) -> Floats:
    """Order by the same difference from TF-IDF of words and pairs of words, and logistic regression, both as they come."""
    return _tfidf(train, test, TfidfVectorizer(ngram_range=(1, 2)))


def order_by_tuned(train: Sequence[Evidence], test: Sequence[Evidence]) -> Floats:
    """As plain, with what helped it most here: logarithms of counts, and no words of a single text."""
    return _tfidf(train, test, TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2))


def _tfidf(train: Sequence[Evidence], test: Sequence[Evidence], words: TfidfVectorizer) -> Floats:
    columns = words.fit_transform(row.text for row in train)
    asked = words.transform(row.text for row in test)

    def good(tier: str) -> Floats:
        labels = np.array([row.outcomes[tier].quality > 0.5 for row in train])
        return np.asarray(LogisticRegression(solver="liblinear").fit(columns, labels).predict_proba(asked)[:, 1])

    return good(STRONG) - good(WEAK)


def out_of_fold(pairs: Pairs, folds: Integers, rank: Rank) -> Floats:
    """Return each row's number by a rank that has seen the other folds alone."""
    made = np.empty(len(pairs))
    for fold in np.unique(folds):
        train = [row for row, own in zip(pairs.rows, folds, strict=True) if own != fold]
        test = [row for row, own in zip(pairs.rows, folds, strict=True) if own == fold]
        made[folds == fold] = rank(train, test)
    return made
