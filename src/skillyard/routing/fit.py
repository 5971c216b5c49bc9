"""Fit one family's model to evidence: for each tier a regularised logistic regression on the n-grams and features of its items.

A quality between 0 and 1 counts as that share of a good answer, so a probability is the expected quality. All tiers have the same
strength of regularisation, because a decision compares them; it is chosen by cross-validation, whose folds never divide a group.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skillyard.routing.decide import Traits
from skillyard.routing.evidence import Evidence, hash_share
from skillyard.routing.features import extract_features
from skillyard.routing.model import DENSE, FamilyModel, describe
from skillyard.routing.ngrams import N_BUCKETS, REPEATED, hash_spans

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

STRENGTHS = (0.3, 1.0, 3.0)
"""Inverse strengths of regularisation, the strongest first."""
N_FOLDS = 3
MIN_TEXTS = 2
"""A span of fewer texts is not learned."""
MIN_CLASS = 5.0
"""With fewer good or fewer bad answers than this, a tier gets a constant."""
DENSE_SCALE = 0.12
"""Standard deviation of a dense feature beside spans of length 1 together: the smaller, the stronger it is regularised."""


@dataclass(frozen=True, slots=True, eq=False)
class Transform:
    """How rows become columns: spans that training knows, then dense features, then skills."""

    idf: Floats
    """Of all N_BUCKETS; 0 for what is not learned."""
    known: Integers
    """The buckets that are."""
    means: Floats
    scales: Floats
    """Of the dense features."""
    traits: Mapping[str, Traits]
    skills: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What one tier made of the rows that it answered."""

    rows: Integers
    quality: Floats
    weight: Floats
    """Of mean 1."""
    folds: Integers

    @property
    def n_rarer(self) -> float:
        """How many good answers there are, or how many bad ones: the fewer of the two."""
        n_good = float(self.quality.sum())
        return min(n_good, len(self.quality) - n_good)


@dataclass(frozen=True, slots=True, eq=False)
class TierFit:
    """A linear model of one tier on a transform's columns."""

    coefficients: Floats
    intercept: float
    metrics: Mapping[str, Any]


def fit_family(rows: Sequence[Evidence], traits: Mapping[str, Traits], tiers: Sequence[str]) -> FamilyModel:
    """Return the model of one family. ``traits`` by skill; each tier learns from the rows that it answered."""
    transform = learn_transform(rows, traits)
    matrix = to_matrix(transform, rows)
    answers = {tier: _answers(rows, tier) for tier in tiers}
    varied = [tier for tier in tiers if answers[tier].n_rarer >= MIN_CLASS]
    losses = {tier: _cross_validate(matrix, answers[tier]) for tier in varied}
    best = int(np.argmin(sum(losses.values(), np.zeros(len(STRENGTHS)))))
    fits = {}
    for tier in tiers:
        if tier in varied:
            fits[tier] = _fit_tier(matrix, answers[tier], STRENGTHS[best], float(losses[tier][best]))
        else:
            fits[tier] = _constant(answers[tier], matrix.shape[1])
    return export(transform, fits)


def export(transform: Transform, fits: Mapping[str, TierFit]) -> FamilyModel:
    """Return the scorer of linear models by tier: transform and scales go into its weights."""
    coefficients = np.column_stack([fit.coefficients for fit in fits.values()])
    of_spans, of_dense, of_skills = np.split(coefficients, [len(transform.known), len(transform.known) + len(DENSE)])
    spans = np.zeros((N_BUCKETS, len(fits) + 1), np.float32)
    spans[transform.known, :-1] = of_spans * transform.idf[transform.known, None]
    spans[:, -1] = transform.idf**2
    dense = of_dense / transform.scales[:, None]
    level = np.array([fit.intercept for fit in fits.values()]) - transform.means @ dense
    return FamilyModel(
        tiers=tuple(fits),
        spans=spans,
        dense=dense,
        levels={skill: tuple((level + own).tolist()) for skill, own in zip(transform.skills, of_skills, strict=True)},
        level=tuple(level.tolist()),
        metrics={tier: fit.metrics for tier, fit in fits.items()},
    )


def learn_transform(rows: Sequence[Evidence], traits: Mapping[str, Traits]) -> Transform:
    """Return which spans these rows make known, and how their features vary."""
    spans = [np.unique(hash_spans(row.text)) for row in rows]
    counts = np.bincount(np.concatenate(spans), minlength=N_BUCKETS)
    counts[REPEATED] = 0
    idf = np.where(counts >= MIN_TEXTS, 1 + np.log((1 + len(rows)) / (1 + counts)), 0.0)
    dense = _describe(rows, traits)
    deviations = dense.std(axis=0)
    scales = np.where(deviations > 1e-9, deviations, 1.0) / DENSE_SCALE
    return Transform(idf, np.flatnonzero(idf), dense.mean(axis=0), scales, traits, tuple(sorted({row.skill for row in rows})))


def to_matrix(transform: Transform, rows: Sequence[Evidence]) -> Any:
    """Return a scipy CSR matrix, rows × (known spans + DENSE + skills): what the scorer computes with."""
    from scipy import sparse

    spans = [hash_spans(row.text) for row in rows]
    buckets = np.concatenate(spans)
    ends = np.cumsum([len(own) for own in spans])
    begins = np.array([0, *ends[:-1]])
    weights = transform.idf[buckets]
    lengths = np.sqrt(np.add.reduceat(weights**2, begins))
    weights /= np.repeat(np.where(lengths > 0, lengths, 1.0), ends - begins)
    terms = sparse.csr_matrix((weights, buckets, [0, *ends]), shape=(len(rows), N_BUCKETS))[:, transform.known]
    dense = (_describe(rows, transform.traits) - transform.means) / transform.scales
    skills = [[float(row.skill == skill) for skill in transform.skills] for row in rows]
    return sparse.hstack([terms, sparse.csr_matrix(dense), sparse.csr_matrix(np.array(skills))]).tocsr()


def _describe(rows: Sequence[Evidence], traits: Mapping[str, Traits]) -> Floats:
    return np.array([describe(traits[row.skill], extract_features(row.text, row.language)) for row in rows], float)


def _answers(rows: Sequence[Evidence], tier: str) -> Answers:
    have = [(n, row, row.outcomes[tier].quality) for n, row in enumerate(rows) if tier in row.outcomes]
    weight = np.array([row.weight for _, row, _ in have], float)
    return Answers(
        rows=np.array([n for n, _, _ in have], int),
        quality=np.array([quality for _, _, quality in have], float),
        weight=weight / weight.mean() if have else weight,
        folds=np.array([int(hash_share("strength", row.group) * N_FOLDS) for _, row, _ in have], int),
    )


def _constant(answers: Answers, n_columns: int) -> TierFit:
    """Return a model that knows the tier's rate alone, one good and one bad answer added."""
    n, n_good = len(answers.rows), float(answers.quality.sum())
    rate = float((answers.weight @ answers.quality + 1) / (n + 2))
    why = f"constant: {n_good:.0f} good of {n} answers; {MIN_CLASS:.0f} good and {MIN_CLASS:.0f} bad ones are needed"
    return TierFit(np.zeros(n_columns), float(np.log(rate / (1 - rate))), {"n": n, "rate": rate, "why": why})


def _fit_tier(matrix: Any, answers: Answers, strength: float, log_loss: float) -> TierFit:
    model = _logistic(strength).fit(*_halves(matrix[answers.rows], answers.quality, answers.weight))
    rate = float(np.average(answers.quality, weights=answers.weight))
    metrics = {"n": len(answers.rows), "rate": rate, "C": strength, "log_loss": log_loss}
    return TierFit(model.coef_[0], float(model.intercept_[0]), metrics)


def _cross_validate(matrix: Any, answers: Answers) -> Floats:
    """Return the mean log loss on held-out folds, one for each of STRENGTHS."""
    quality, weight = answers.quality, answers.weight
    losses = np.zeros(len(STRENGTHS))
    for fold in np.unique(answers.folds):
        train, test = answers.folds != fold, answers.folds == fold
        if not 0 < quality[train].sum() < train.sum():
            continue
        halves = _halves(matrix[answers.rows[train]], quality[train], weight[train])
        for n, strength in enumerate(STRENGTHS):
            good = np.clip(_logistic(strength).fit(*halves).predict_proba(matrix[answers.rows[test]])[:, 1], 1e-6, 1 - 1e-6)
            losses[n] -= weight[test] @ (quality[test] * np.log(good) + (1 - quality[test]) * np.log(1 - good))
    return np.asarray(losses / weight.sum())


def _halves(matrix: Any, quality: Floats, weight: Floats) -> tuple[Any, NDArray[np.bool_], Floats]:
    """Return rows, labels and weights for a fit: a quality of 0.7 is a good answer of weight 0.7 and a bad one of weight 0.3."""
    from scipy import sparse

    good, bad = np.flatnonzero(quality > 0), np.flatnonzero(quality < 1)
    labels = np.arange(len(good) + len(bad)) < len(good)
    weights = np.concatenate([weight[good] * quality[good], weight[bad] * (1 - quality[bad])])
    return sparse.vstack([matrix[good], matrix[bad]]).tocsr(), labels, weights


def _logistic(strength: float) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=strength, max_iter=500)
