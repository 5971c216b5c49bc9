"""Fit one family's model to evidence: for each tier a regularised logistic regression on the n-grams and features of its items.

A quality between 0 and 1 counts as that share of a good answer, so a probability is the expected quality. The strength of regularisation
is chosen for each tier by cross-validation whose folds never divide a group.
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

STRENGTHS = (0.03, 0.1, 0.3, 1.0)
"""Inverse strengths of regularisation, the strongest first."""
N_FOLDS = 3
MIN_TEXTS = 2
"""A span of fewer texts is not learned."""
MIN_CLASS = 5.0
"""With fewer good or fewer bad answers than this a tier gets a constant."""
DENSE_SCALE = 0.1
"""Standard deviation of a dense feature beside blocks of length 1: the smaller, the stronger it is regularised."""
LEVEL_SCALE = 1.0


@dataclass(frozen=True, slots=True)
class Design:
    """The rows as one sparse matrix: known spans, dense features, skills."""

    matrix: Any
    """scipy CSR, rows × (spans + DENSE + skills)."""
    buckets: Integers
    """Of the span columns."""
    idf: Floats
    """Of all N_BUCKETS; 0 for what is not learned."""
    means: Floats
    scales: Floats
    """Of the dense features, as they are weighed."""
    skills: tuple[str, ...]


def fit_family(rows: Sequence[Evidence], traits: Mapping[str, Traits], tiers: Sequence[str]) -> FamilyModel:
    """Return the model of one family. ``traits`` by skill; each tier learns from the rows that it answered."""
    design = make_design(rows, traits)
    fits = [_fit_tier(rows, design, tier) for tier in tiers]
    coefficients = np.array([fit[0] for fit in fits]).T
    n_spans = len(design.buckets)
    spans = np.zeros((N_BUCKETS, len(tiers) + 1), np.float32)
    spans[design.buckets, :-1] = coefficients[:n_spans] * design.idf[design.buckets, None]
    spans[:, -1] = design.idf**2
    dense = coefficients[n_spans : n_spans + len(DENSE)] / design.scales[:, None]
    level = np.array([fit[1] for fit in fits]) - design.means @ dense
    own = coefficients[n_spans + len(DENSE) :] * LEVEL_SCALE + level
    return FamilyModel(
        tiers=tuple(tiers),
        spans=spans,
        dense=dense,
        levels={skill: tuple(own[n].tolist()) for n, skill in enumerate(design.skills)},
        level=tuple(level.tolist()),
        metrics={tier: fit[2] for tier, fit in zip(tiers, fits, strict=True)},
    )


def make_design(rows: Sequence[Evidence], traits: Mapping[str, Traits]) -> Design:
    """Return what the scorer makes of the rows, as a matrix."""
    from scipy import sparse

    spans = [hash_spans(row.text) for row in rows]
    buckets = np.concatenate([own for own, _ in spans])
    lengths = [len(own) for own, _ in spans]
    idf = _idf(buckets, np.repeat(np.arange(len(rows)), lengths), len(rows))
    weights = idf[buckets]
    offsets = np.cumsum([0, *lengths[:-1]])
    blocks = np.concatenate([offset + np.array(own) for offset, (_, own) in zip(offsets, spans, strict=True)])
    norms = np.sqrt(np.add.reduceat(weights**2, blocks))
    weights /= np.repeat(np.where(norms > 0, norms, 1.0), np.diff([*blocks, len(buckets)]))
    known = np.flatnonzero(idf)
    terms = sparse.csr_matrix((weights, buckets, [*offsets, len(buckets)]), shape=(len(rows), N_BUCKETS))[:, known]
    dense = np.array([describe(traits[row.skill], extract_features(row.text, row.language)) for row in rows], float)
    means, deviations = dense.mean(axis=0), dense.std(axis=0)
    scales = np.where(deviations > 1e-9, deviations, 1.0) / DENSE_SCALE
    skills = tuple(sorted({row.skill for row in rows}))
    levels = np.array([[row.skill == skill for skill in skills] for row in rows]) * LEVEL_SCALE
    matrix = sparse.hstack([terms, sparse.csr_matrix((dense - means) / scales), sparse.csr_matrix(levels)]).tocsr()
    return Design(matrix, known, idf, means, scales, skills)


def _idf(buckets: Integers, texts: Integers, n_texts: int) -> Floats:
    """Return per bucket 1 + ln((1 + texts) / (1 + texts that have it)), as in scikit-learn; 0 for what too few texts have."""
    seen = np.unique(texts * N_BUCKETS + buckets) % N_BUCKETS
    counts = np.bincount(seen, minlength=N_BUCKETS)
    counts[REPEATED] = 0
    return np.where(counts >= MIN_TEXTS, 1 + np.log((1 + n_texts) / (1 + counts)), 0.0)


def _fit_tier(rows: Sequence[Evidence], design: Design, tier: str) -> tuple[Floats, float, dict[str, Any]]:
    """Return coefficients, intercept and metrics of one tier."""
    have = np.array([n for n, row in enumerate(rows) if tier in row.outcomes], int)
    quality = np.array([rows[n].outcomes[tier].quality for n in have], float)
    weight = np.array([rows[n].weight for n in have], float)
    n_good = float(quality.sum())
    if min(n_good, len(have) - n_good) < MIN_CLASS:
        rate = (n_good + 1) / (len(have) + 2)
        why = f"constant: {n_good:.0f} good of {len(have)} answers, {MIN_CLASS:.0f} good and {MIN_CLASS:.0f} bad ones are needed"
        return np.zeros(design.matrix.shape[1]), float(np.log(rate / (1 - rate))), {"n": len(have), "rate": rate, "why": why}
    weight /= weight.mean()
    matrix = design.matrix[have]
    folds = np.array([int(hash_share("fold", rows[n].group) * N_FOLDS) for n in have])
    losses = _cross_validate(matrix, quality, weight, folds)
    strength = STRENGTHS[int(np.argmin(losses))]
    model = _logistic(strength).fit(*_halves(matrix, quality, weight))
    metrics = {"n": len(have), "rate": float(np.average(quality, weights=weight)), "C": strength, "log_loss": float(min(losses))}
    return model.coef_[0], float(model.intercept_[0]), metrics


def _cross_validate(matrix: Any, quality: Floats, weight: Floats, folds: Integers) -> Floats:
    """Return the log loss on held-out folds, one for each of STRENGTHS."""
    losses = np.zeros(len(STRENGTHS))
    for fold in np.unique(folds):
        train, test = folds != fold, folds == fold
        n_good = quality[train].sum()
        if not 0 < n_good < train.sum():
            continue
        halves = _halves(matrix[train], quality[train], weight[train])
        for n, strength in enumerate(STRENGTHS):
            good = np.clip(_logistic(strength).fit(*halves).predict_proba(matrix[test])[:, 1], 1e-6, 1 - 1e-6)
            surprise = -(quality[test] * np.log(good) + (1 - quality[test]) * np.log(1 - good))
            losses[n] += float(weight[test] @ surprise)
    made: Floats = losses / weight.sum()
    return made


def _halves(matrix: Any, quality: Floats, weight: Floats) -> tuple[Any, NDArray[np.bool_], Floats]:
    """Return rows, labels and weights for a fit: a quality of 0.7 is a good answer of weight 0.7 and a bad one of weight 0.3."""
    from scipy import sparse

    good, bad = np.flatnonzero(quality > 0), np.flatnonzero(quality < 1)
    labels = np.arange(len(good) + len(bad)) < len(good)
    weights = np.concatenate([weight[good] * quality[good], weight[bad] * (1 - quality[bad])])
    return sparse.vstack([matrix[good], matrix[bad]]).tocsr(), labels, weights


def _logistic(strength: float) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=strength, tol=1e-3, max_iter=300)
