"""The policies of the replay: what each would do with every item, at each of its settings, for each tested fold."""

import os
from collections.abc import Callable

import numpy as np

from bench.ladders import Case
from bench.outcomes import Floats, Integers
from bench.predictors import Scores
from bench.selection import Curves, Served
from bench.staged import Classifier, fit_logistic, run

PRICES = np.geomspace(0.02, 6.0, 60)
"""Of cost, in mean scores of the expert per mean cost of the expert."""
N_SHARES = 13
"""Quantiles of a score that may be the threshold between two tiers."""
Score = Callable[[str], float]


def always(case: Case, n_folds: int, tier: int) -> Curves:
    """Return the policy that knows one tier; a set of two tiers has its expert as standard."""
    place = min(tier, case.n_tiers - 1)
    served = Served(case.good[:, [place]], case.costs[:, [place]], np.full((len(case), 1), place))
    return dict.fromkeys(range(n_folds), served)


def oracle(case: Case, n_folds: int) -> Curves:
    """Return what knowing every outcome would do: the cheapest tier that is right, else, the dearer cost is, the cheapest of all."""
    worth = case.good[:, :, None] / case.good[:, -1].mean() - case.costs[:, :, None] * PRICES
    return dict.fromkeys(range(n_folds), _at(case, worth.argmax(axis=1)))


def by_score(case: Case, folds: Integers, n_folds: int, hardness: Floats) -> Curves:
    """Return the policy that cuts a score of difficulty in as many ranges as there are tiers, at every pair of quantiles."""
    curves = {}
    for fold in range(n_folds):
        cuts = np.append(np.quantile(hardness[folds != fold], np.linspace(0, 1, N_SHARES)), np.inf)
        cuts[0] = -np.inf
        pairs = [(a, b) for a in cuts for b in cuts if a <= b] if case.n_tiers == 3 else [(a,) for a in cuts]
        tiers = np.stack([sum((hardness >= cut).astype(int) for cut in pair) for pair in pairs], axis=1)
        curves[fold] = _at(case, tiers)
    return curves


def by_probability(case: Case, folds: Integers, n_folds: int, scores: Scores) -> Curves:
    """Return the policy that takes the tier of the best expected score for its price, from the text alone."""
    curves = {}
    for fold in range(n_folds):
        is_fit = folds != fold
        worth = scores[frozenset({fold})] / case.good[is_fit, -1].mean()
        curves[fold] = _at(case, (worth[:, :, None] - case.costs[is_fit].mean(axis=0)[:, None] * PRICES).argmax(axis=1))
    return curves


def by_stages(case: Case, folds: Integers, n_folds: int, scores: Scores, classify: Classifier = fit_logistic) -> Curves:
    """Return the staged policy. For a tested fold, each other fold is decided by what was fitted on the rest."""
    made: dict[frozenset[int], Served] = {}
    for held, score in scores.items():
        clipped = np.clip(score, 1e-3, 1 - 1e-3)
        made[held] = run(case, np.log(clipped / (1 - clipped)), ~np.isin(folds, list(held)), PRICES, classify)
    curves = {}
    for fold in range(n_folds):
        parts = [made[frozenset({fold, other})] for other in range(n_folds)]
        curves[fold] = Served(*(np.choose(folds[:, None], [getattr(p, name) for p in parts]) for name in ("quality", "cost", "tier")))
    return curves


def join(parts: list[Curves]) -> Curves:
    """Return the settings of several policies as those of one."""
    names = ("quality", "cost", "tier")
    return {fold: Served(*(np.hstack([getattr(part[fold], name) for part in parts]) for name in names)) for fold in parts[0]}


def ours_score(prompt: str) -> float:
    """Return the difficulty of the router for skills without evidence, of a skill that declares nothing special."""
    from skillyard.routing.decide import Traits, score_difficulty
    from skillyard.routing.features import extract_features

    traits = Traits("fast", "expert", n_labels=0, n_fields=1, n_prompt_tokens=200, n_output_tokens=200)
    return score_difficulty(traits, extract_features(prompt, "en"))[0]


def litellm_scores() -> dict[str, Score]:
    """Return the difficulty by litellm's two heuristics: its weighted score, and how unlikely its simplest tier is to succeed."""
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    from litellm.router_strategy.adaptive_router.classifier import classify_prompt
    from litellm.router_strategy.complexity_router import ComplexityRouter
    from litellm.router_strategy.complexity_router.tier_predictor import TierSuccessPredictor, resolve_tier_artifact

    router = ComplexityRouter("bench", None, {"tiers": {}})  # type: ignore[arg-type]
    predictor = TierSuccessPredictor(resolve_tier_artifact("ultrafeedback"))
    return {
        "litellm heuristic": lambda prompt: router.classify(prompt)[1],
        "litellm heuristic_v2": lambda prompt: -predictor.predict(prompt, classify_prompt(prompt)).probabilities[1],
    }


def _at(case: Case, tiers: Integers) -> Served:
    """Return what serving each item on these tiers gives (items × settings)."""
    rows = np.arange(len(case))[:, None]
    return Served(case.good[rows, tiers], case.costs[rows, tiers], tiers)
