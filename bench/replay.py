"""What routing saves on recorded outcomes of real models, and what quality it keeps: two mixes, ours beside every baseline.

Hard mix: 800 items each of five sets, the expert's mean cost of each set scaled to 1. Production mix: all items, weighted so that 65 % are
of low, 30 % of medium and 5 % of high difficulty: thirds of the subsets (a set's subjects) by what the fast tier retains on training folds.
Five folds by question; everything a policy needs, its setting included, comes from the other four (bench/selection.py says how). Folds are
made of all items of the sets; those not drawn for the test are trained on.
"""

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np
from numpy.typing import NDArray

from bench.ladders import LADDERS, Case, load_case
from bench.outcomes import Floats, Integers, bootstrap_weights, data_parser, folds_of, has_data, interval
from bench.policies import always, by_probability, by_score, by_stages, litellm_scores, oracle, ours_score
from bench.predictors import boosting, cross_fit, fit_boosting, nearest_neighbours, text_and_traits, tfidf_logistic
from bench.selection import TARGET, Curves, choose_settings, measure
from bench.staged import Classifier, fit_logistic

N_FOLDS, N_TESTED, N_DRAWS = 5, 800, 2000
CLASSES = (0.65, 0.30, 0.05)
"""Shares of low, medium and high difficulty in the production mix."""
GOAL_MARGIN, GOAL_PRODUCTION, GOAL_EXPERT = 3.0, 60.0, 30.0
OURS, OURS_WITHIN = "ours", "ours, no siblings on GSM8K"
FIXED = ("always-fast", "always-standard", "always-expert")


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


@dataclass(frozen=True, slots=True)
class Result:
    """A policy's figures in each bootstrap draw, the first of which is the sample itself."""

    saved: Floats
    retained: Floats
    expert: Floats
    """Share of items served by the expert."""
    saved_by_set: Floats
    retained_by_set: Floats
    """Draws × sets, not capped at 1."""


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
    """Return each row's class, 0 low … 2 high: thirds of the training rows (each set counts the same) by what fast retains of its subset."""
    difficulty, mass = [], []
    for s in sets:
        is_fit = s.folds != fold
        retained = np.empty(len(s.case))
        for subset in np.unique(s.case.subsets.astype(str)):
            rows = s.case.subsets == subset
            retained[rows] = s.case.good[rows & is_fit, 0].mean() / s.case.good[rows & is_fit, -1].mean()
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


def replay(sets: Sequence[Set], curves: Sequence[Curves], mix: Mix, target: float = TARGET) -> Result:
    """Return what the policy does on the tested rows, each fold at the settings that the others chose."""
    columns = [np.zeros((len(s.case), 6)) for s in sets]
    for fold in range(N_FOLDS):
        ratios = []
        for n, s in enumerate(sets):
            rows = np.flatnonzero(s.folds != fold)
            share = mix.weights[n][fold][rows].sum()
            total = sum(mix.weights[m][fold][other.folds != fold].sum() for m, other in enumerate(sets))
            ratios.append(measure(curves[n][fold], s.case.good[:, -1], s.case.costs[:, -1], mix.weights[n][fold], rows, share / total))
        for n, (s, setting) in enumerate(zip(sets, choose_settings(ratios, target), strict=True)):
            rows, served = np.flatnonzero(s.folds == fold), curves[n][fold]
            values = [
                served.quality,
                s.case.good[:, [-1]],
                served.cost,
                s.case.costs[:, [-1]],
                served.tier == s.case.n_tiers - 1,
                np.ones_like(served.tier),
            ]
            chosen = np.stack([v[rows, min(setting, v.shape[1] - 1)] for v in values], axis=1)
            columns[n][rows] = chosen * mix.weights[n][fold][rows, None]
    return _summarise([own[tested] for own, tested in zip(columns, mix.is_tested, strict=True)], mix.draws)


def _summarise(columns: Sequence[Floats], draws: Floats) -> Result:
    """Return the figures from the weighted quality, the expert's, cost, the expert's, expert or not, and weight of each tested row."""
    ends = np.cumsum([len(own) for own in columns])
    sums = np.stack([draws[:, end - len(own) : end] @ own for own, end in zip(columns, ends, strict=True)], axis=1)
    quality, best, cost, dearest, expert, weight = np.moveaxis(sums, 2, 0)
    share = weight / weight.sum(axis=1, keepdims=True)
    retained, saved = quality / best, 1 - cost / dearest
    pooled = (share * np.minimum(retained, 1)).sum(axis=1)
    return Result((share * saved).sum(axis=1), pooled, expert.sum(axis=1) / weight.sum(axis=1), saved, retained)


class Policies:
    """Every policy's curves over all sets, text scores made once."""

    def __init__(self, sets: Sequence[Set], is_quick: bool) -> None:
        self.sets = sets
        self.scores = [cross_fit(s.folds, N_FOLDS, text_and_traits(s.case), depth=2) for s in sets]

    def by_name(self) -> Iterator[tuple[str, list[Curves]]]:
        """Yield the rows of the table, ours before the last."""
        for tier, name in enumerate(FIXED):
            yield name, [always(s.case, N_FOLDS, tier) for s in self.sets]
        random = np.random.default_rng(0).random
        yield "random mix", [by_score(s.case, s.folds, N_FOLDS, random(len(s.case))) for s in self.sets]
        for name, score in {"heuristics": ours_score, **litellm_scores()}.items():
            yield name, [by_score(s.case, s.folds, N_FOLDS, np.array([score(p) for p in s.case.prompts])) for s in self.sets]
        for name, fit in {"kNN": nearest_neighbours, "TF-IDF + LR": tfidf_logistic, "boosting": boosting}.items():
            yield name, [by_probability(s.case, s.folds, N_FOLDS, cross_fit(s.folds, N_FOLDS, fit(s.case), depth=1)) for s in self.sets]
        yield "boosting, stages, one sibling", self._stages(1, fit_boosting)
        yield "ours without siblings", self._stages(0)
        yield "ours, one sibling", self._stages(1)
        yield "boosting, stages, all siblings", self._stages(9, fit_boosting)
        yield OURS_WITHIN, self._stages(9, is_within=True)
        yield OURS, self._stages(9)
        yield "oracle", [oracle(s.case, N_FOLDS) for s in self.sets]

    def _stages(self, n_siblings: int, classify: Classifier = fit_logistic, is_within: bool = False) -> list[Curves]:
        curves = []
        for s, scores in zip(self.sets, self.scores, strict=True):
            n_voting = 0 if is_within and s.case.has_borrowed_siblings else n_siblings
            curves.append(by_stages(s.case.with_siblings(n_voting), s.folds, N_FOLDS, scores, classify))
        return curves


def main() -> int:
    """Replay every policy on both mixes and report."""
    parser = data_parser(__doc__)
    parser.add_argument("--out", type=Path, metavar="DIR", help="write the curves there as PNG")
    options = parser.parse_args()
    if not has_data(options.data):
        return 0
    n_draws = 400 if options.quick else N_DRAWS
    cases = [load_case(options.data, ladder, N_TESTED, 900 if options.quick else None) for ladder in LADDERS]
    sets = [Set(case, folds_of(case.groups, N_FOLDS)) for case in cases]
    mixes = [hard_mix(sets, n_draws), production_mix(sets, n_draws // 2)]
    results: dict[str, list[Result]] = {}
    began = time.perf_counter()
    for name, curves in Policies(sets, options.quick).by_name():
        results[name] = [replay(sets, curves, mix) for mix in mixes]
        print(
            name,
            [
                f"{r.saved[0]:.3f} {r.retained[0]:.3f} {r.retained_by_set[0].round(3)} {r.saved_by_set[0].round(3)} {r.expert[0]:.3f} [{interval(r.retained)[0]:.3f}]"
                for r in results[name]
            ],
            f"{time.perf_counter() - began:.1f}",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
