"""P(good) of each tier from an item's text alone: the learned baselines, the text score of ours, and how they are fitted without leaks.

Whatever counts words or finds neighbours without looking at outcomes is made once; weights, and the document frequencies, come from the
rows that are fitted on.
"""

from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, hstack
from sklearn.decomposition import TruncatedSVD
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import OneHotEncoder

from bench.ladders import Case
from bench.outcomes import Floats, Integers

Fit = Callable[[Integers], Floats]
"""From the rows to fit on: P(good) of every row on every tier (items × tiers)."""
Scores = dict[frozenset[int], Floats]
"""By folds that are held out: P(good) of every row, never by a model that saw this row or one of those folds."""
N_NEIGHBOURS, N_LISTED = 60, 240


def cross_fit(folds: Integers, n_folds: int, fit: Fit, depth: int) -> Scores:
    """Return the scores for each set of at most ``depth`` held-out folds."""
    memory: dict[frozenset[int], Floats] = {}

    def without(held: frozenset[int]) -> Floats:
        if held not in memory:
            memory[held] = fit(np.flatnonzero(~np.isin(folds, list(held))))
        return memory[held]

    made = {}
    for n_held in range(1, depth + 1):
        for held in map(frozenset, combinations(range(n_folds), n_held)):
            scores = without(held).copy()
            for fold in set(range(n_folds)) - held:
                scores[folds == fold] = without(held | {fold})[folds == fold]
            made[held] = scores
    return made


def count_words(case: Case) -> csr_matrix:
    """Return counts of the words and pairs of words that occur at least twice."""
    return CountVectorizer(ngram_range=(1, 2), min_df=2).fit_transform(case.prompts)


def describe(case: Case) -> Floats:
    """Return sizes and flags of each text, standardised."""
    made = np.array([_describe(prompt) for prompt in case.prompts], dtype=np.float64)
    described: Floats = (made - made.mean(axis=0)) / (made.std(axis=0) + 1e-9)
    return described


def _describe(prompt: str) -> list[float]:
    _, *options = prompt.split("\n")
    n_digits = sum(character.isdigit() for character in prompt)
    return [
        np.log1p(len(prompt)),
        np.log1p(len(prompt.split())),
        np.log1p(sum(map(len, options))),
        len(options),
        n_digits / max(len(prompt), 1),
        "$" in prompt or "=" in prompt,
        " not " in prompt.lower() or "except" in prompt.lower(),
    ]


def tfidf_logistic(case: Case, regularisation: float = 1.0, more: Any = None) -> Fit:
    """Return the plain baseline: TF-IDF of words and pairs, logistic regression; ``more`` are further columns."""
    counts = count_words(case)

    def fit(rows: Integers) -> Floats:
        columns = TfidfTransformer(sublinear_tf=True).fit(counts[rows]).transform(counts)
        columns = columns if more is None else hstack([columns, more]).tocsr()
        return _per_tier(case, rows, columns, lambda: LogisticRegression(C=regularisation, solver="liblinear"))

    return fit


def text_and_traits(case: Case) -> Fit:
    """Return the text score of ours: words, sizes and flags of the text, and the subject it is declared to be of."""
    subjects = OneHotEncoder().fit_transform(case.subsets[:, None])
    return tfidf_logistic(case, regularisation=0.5, more=hstack([subjects, csr_matrix(0.3 * describe(case))]).tocsr())


def boosting(case: Case) -> Fit:
    """Return gradient boosting on the leading directions of TF-IDF, sizes, flags and the subject."""
    words = TfidfTransformer(sublinear_tf=True).fit_transform(count_words(case))
    directions = TruncatedSVD(n_components=40, random_state=0).fit_transform(words)
    _, subjects = np.unique(case.subsets.astype(str), return_inverse=True)
    columns = np.hstack([directions, describe(case), subjects[:, None]])
    return lambda rows: _per_tier(case, rows, columns, boosted_trees)


def boosted_trees() -> HistGradientBoostingClassifier:
    """Return gradient boosting as all rows of the table use it."""
    return HistGradientBoostingClassifier(
        max_iter=60, learning_rate=0.08, max_depth=4, min_samples_leaf=30, l2_regularization=5.0, max_bins=64
    )


def nearest_neighbours(case: Case) -> Fit:
    """Return the mean score of the nearest fitted items by cosine of TF-IDF, shrunk to the mean of all."""
    words = TfidfTransformer(sublinear_tf=True).fit_transform(count_words(case))
    directions = TruncatedSVD(n_components=100, random_state=0).fit_transform(words)
    directions = (directions / np.maximum(np.linalg.norm(directions, axis=1, keepdims=True), 1e-9)).astype(np.float32)
    n_listed = min(N_LISTED, len(case) - 1)
    listed = np.empty((len(case), n_listed), dtype=np.int64)
    for start in range(0, len(case), 1000):
        likeness = directions[start : start + 1000] @ directions.T
        likeness[np.arange(len(likeness)), np.arange(start, start + len(likeness))] = -2
        nearest = np.argpartition(-likeness, n_listed - 1, axis=1)[:, :n_listed]
        listed[start : start + 1000] = np.take_along_axis(nearest, np.argsort(-np.take_along_axis(likeness, nearest, 1), axis=1), 1)

    def fit(rows: Integers) -> Floats:
        is_fit = np.zeros(len(case), dtype=bool)
        is_fit[rows] = True
        counted = is_fit[listed]
        counted &= counted.cumsum(axis=1) <= N_NEIGHBOURS
        total = np.einsum("in,int->it", counted.astype(np.float64), case.good[listed])
        mean: Floats = (total + 10 * case.good[rows].mean(axis=0)) / (counted.sum(axis=1, keepdims=True) + 10)
        return mean

    return fit


def _per_tier(case: Case, rows: Integers, columns: Any, make: Callable[[], Any]) -> Floats:
    made = np.empty_like(case.good)
    for tier in range(case.n_tiers):
        labels = case.good[rows, tier] > 0.5
        made[:, tier] = make().fit(columns[rows], labels).predict_proba(columns)[:, 1]
    return made


def fit_boosting(features: Floats, outcomes: Floats, is_fit: NDArray[np.bool_], _prior: Floats) -> Floats:
    """Return P(good) of all rows of a state by gradient boosting; the text scores are among the features."""
    return np.asarray(boosted_trees().fit(features[is_fit], outcomes > 0.5).predict_proba(features)[:, 1])
