"""The two mixes that policies are replayed on: which recorded items are tested, and what each of them counts."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.ladders import Case
from bench.outcomes import Floats, Integers, bootstrap_weights

N_FOLDS = 5
CLASSES = (0.65, 0.30, 0.05)
"""Shares of low, medium and high difficulty in the production mix."""
PRIOR_ROWS = 10
"""What a subset is taken to hold besides its own rows: as many average ones of its set."""


@dataclass(frozen=True, slots=True)
class Set:
    """A case and the fold of each of its rows."""

    case: Case
    folds: Integers


@dataclass(frozen=True, slots=True)
class Mix:
    """What each row counts, by set and then by tested fold: the rows of the other folds when trained on, those of this one when tested."""

    name: str
    weights: list[list[Floats]]
    is_tested: list[NDArray[np.bool_]]
    draws: Floats
    """Bootstrap counts of the tested rows of all sets, one after the other (draws × rows); the first draw is the sample itself."""


def hard_mix(sets: Sequence[Set], n_draws: int) -> Mix:
    """Return the mix in which every set counts the same."""
    weights = [[np.where(s.folds == fold, 1 / s.case.is_tested.sum(), 1 / len(s.case)) for fold in range(N_FOLDS)] for s in sets]
    return _mix("hard mix", sets, weights, [s.case.is_tested for s in sets], n_draws)


def production_mix(sets: Sequence[Set], n_draws: int) -> Mix:
    """Return the mix of CLASSES; which class a subset is of is seen on the training folds."""
    weights: list[list[Floats]] = [[] for _ in sets]
    for fold in range(N_FOLDS):
        classes = classify_subsets(sets, fold)
        for is_fit in (True, False):
            base = [((s.folds != fold) == is_fit) / len(s.case) for s in sets]
            mass = [sum(b[c == n].sum() for b, c in zip(base, classes, strict=True)) for n in range(len(CLASSES))]
            for own, b, c in zip(weights, base, classes, strict=True):
                counted = b * np.array(CLASSES)[c] / np.array(mass)[c]
                if is_fit:
                    own.append(counted)
                else:
                    own[fold] = own[fold] + counted
    return _mix("production mix", sets, weights, [np.full(len(s.case), True) for s in sets], n_draws)


def classify_subsets(sets: Sequence[Set], fold: int) -> list[Integers]:
    """Return each row's class, 0 low … 2 high: thirds of the training rows (sets counting alike) by what fast retains of the subset."""
    difficulty, mass = [], []
    for s in sets:
        is_fit = s.folds != fold
        retained = np.empty(len(s.case))
        for subset in np.unique(s.case.subsets.astype(str)):
            rows = s.case.subsets == subset
            own = s.case.good[rows & is_fit]
            totals = own.sum(axis=0) + PRIOR_ROWS * s.case.good[is_fit].mean(axis=0)
            retained[rows] = totals[0] / totals[-1]
        difficulty.append(-retained)
        mass.append(is_fit / is_fit.sum())
    flat, weight = np.concatenate(difficulty), np.concatenate(mass)
    order = flat.argsort(kind="stable")
    reached = weight[order].cumsum() / weight.sum()
    cuts = [flat[order][np.searchsorted(reached, third)] for third in (1 / 3, 2 / 3)]
    return [np.searchsorted(cuts, d, side="left") for d in difficulty]


def _mix(name: str, sets: Sequence[Set], weights: list[list[Floats]], is_tested: list[NDArray[np.bool_]], n_draws: int) -> Mix:
    groups = np.concatenate([s.case.groups[tested] for s, tested in zip(sets, is_tested, strict=True)])
    draws = np.vstack([np.ones(len(groups)), bootstrap_weights(groups, n_draws)])
    return Mix(name, weights, is_tested, draws)
