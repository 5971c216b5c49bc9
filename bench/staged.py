"""A staged policy: look at the text, then at the answers already paid for, and stop when asking on does not pay.

A *state* is what has been asked so far: how many siblings, in their order, and which tiers. From a state an item can be served an
answer that a tier gave, or one more model is asked; the expert's answer is always served. Which action pays is found by backward
induction (fitted value iteration): from the last states to the first, the value of asking is a regression, on what the state shows,
of the value of the state that comes next. The value of an answer is P(good) / mean score of the expert; a cost counts ``price`` times.

Source: Tsitsiklis and Van Roy, Regression methods for pricing complex American-style options, https://doi.org/10.1109/72.935083.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from bench.ladders import Case
from bench.outcomes import Floats, Integers
from bench.selection import Served

Classifier = Callable[[Floats, Floats, NDArray[np.bool_], Floats], Floats]
"""From features of all rows, outcomes of those to fit on, which these are, and logits from the text: P(good) of all rows."""
RIDGE = 3.0
STRENGTH, N_STEPS = 0.02, 6
"""Regularisation of the values and of the probabilities, chosen on training folds."""


@dataclass(frozen=True, slots=True)
class State:
    """What has been asked: the first ``n_siblings`` siblings and some tiers below the expert."""

    n_siblings: int
    tiers: tuple[int, ...]

    def columns(self, case: Case) -> list[int]:
        """Return the columns of the case's answers that this state shows: tiers first."""
        return [*self.tiers, *range(case.n_tiers, case.n_tiers + self.n_siblings)]

    def nexts(self, case: Case) -> Iterator[tuple["State", Floats]]:
        """Yield each state that one more answer leads to, and what that answer costs."""
        if self.n_siblings < case.n_siblings:
            yield State(self.n_siblings + 1, self.tiers), case.vote_costs[:, self.n_siblings]
        for tier in range(case.n_tiers - 1):
            if tier not in self.tiers:
                yield State(self.n_siblings, tuple(sorted((*self.tiers, tier)))), case.costs[:, tier]


def states_of(case: Case) -> list[State]:
    """Return all states, those that know most first."""
    tiers = [subset for n in range(case.n_tiers) for subset in combinations(range(case.n_tiers - 1), n)]
    made = [State(n, subset) for n, subset in product(range(case.n_siblings + 1), tiers)]
    return sorted(made, key=lambda state: -state.n_siblings - len(state.tiers))


def state_features(case: Case, state: State, logits: Floats) -> Floats:
    """Return what a state shows of each item: text scores, form of the answers, who agrees with whom; standardised, with a constant."""
    columns = state.columns(case)
    answers, has = case.answers[:, columns], case.answers[:, columns] >= 0
    agree = {(a, b): has[:, a] & has[:, b] & (answers[:, a] == answers[:, b]) for a, b in combinations(range(len(columns)), 2)}
    parts = [logits, logits.mean(axis=1, keepdims=True) ** 2, has, case.lengths[:, columns]]
    parts += [pair[:, None] for pair in agree.values()]
    if len(columns) > 1:
        votes = np.stack(
            [sum(agree[min(a, b), max(a, b)].astype(float) for b in range(len(columns)) if b != a) for a in range(len(columns))], axis=1
        )
        shares = votes / (len(columns) - 1)
        most = votes.max(axis=1, keepdims=True)
        backed = shares[:, : max(len(state.tiers), 1)]
        parts += [
            votes.sum(axis=1, keepdims=True),
            most,
            shares == 1,
            (votes == most)[:, : len(state.tiers)],
            (votes == 0)[:, : len(state.tiers)],
        ]
        parts += [backed * logits[:, [tier]] for tier in range(case.n_tiers)]
    made = np.hstack([np.asarray(part, dtype=np.float64) for part in parts])
    spread = made.std(axis=0)
    made = (made - made.mean(axis=0))[:, spread > 1e-9] / spread[spread > 1e-9]
    return np.hstack([np.ones((len(case), 1)), made])


def fit_logistic(features: Floats, outcomes: Floats, is_fit: NDArray[np.bool_], prior: Floats) -> Floats:
    """Return P(good) of all rows: logistic regression on top of the text score, to which it is pulled back where rows are few."""
    rows, offset, weights = features[is_fit], prior[is_fit], np.zeros(features.shape[1])
    penalty = np.full(features.shape[1], 1 / STRENGTH)
    penalty[0] = 1e-3
    for _ in range(N_STEPS):
        chance = expit(rows @ weights + offset)
        slope = rows.T @ (outcomes - chance) - penalty * weights
        curvature = (rows * (chance * (1 - chance) + 1e-4)[:, None]).T @ rows + np.diag(penalty)
        weights = weights + np.linalg.solve(curvature, slope)
    return np.asarray(expit(features @ weights + prior))


def run(case: Case, logits: Floats, is_fit: NDArray[np.bool_], prices: Floats, classify: Classifier = fit_logistic) -> Served:
    """Return what the policy that is fitted on some rows makes of every row, at each price of cost."""
    states, expert = states_of(case), case.n_tiers - 1
    value_of_good = 1 / case.good[is_fit, expert].mean()
    worth: dict[State, Floats] = {}
    chosen: dict[State, Integers] = {}
    for state in states:
        features = state_features(case, state, logits)
        fitting = features[is_fit]
        actions = []
        for tier in (*state.tiers, expert):
            good = classify(features, case.good[is_fit, tier], is_fit, logits[:, tier]) * value_of_good
            paid = np.full(len(case), case.costs[is_fit, expert].mean()) if tier == expert else np.zeros(len(case))
            actions.append(good[:, None] - paid[:, None] * prices)
        solver = np.linalg.solve(fitting.T @ fitting + RIDGE * np.eye(features.shape[1]), fitting.T)
        for following, cost in state.nexts(case):
            actions.append(features @ (solver @ (worth[following][is_fit] - cost[is_fit, None] * prices)))
        stacked = np.stack(actions)
        worth[state], chosen[state] = stacked.max(axis=0), stacked.argmax(axis=0)
    return follow(case, states, chosen, len(prices))


def follow(case: Case, states: list[State], chosen: dict[State, Integers], n_prices: int) -> Served:
    """Return the outcome of taking the chosen actions from the empty state on."""
    shape, expert = (len(case), n_prices), case.n_tiers - 1
    quality, cost, tier = np.zeros(shape), np.zeros(shape), np.full(shape, expert)
    at = {state: np.zeros(shape, dtype=bool) for state in states}
    at[states[-1]][:] = True
    for state in reversed(states):
        for action, served in enumerate((*state.tiers, expert)):
            here = at[state] & (chosen[state] == action)
            quality += here * case.good[:, [served]]
            cost += here * case.costs[:, [expert]] * (served == expert)
            tier[here] = served
        for action, (following, paid) in enumerate(state.nexts(case), start=len(state.tiers) + 1):
            here = at[state] & (chosen[state] == action)
            cost += here * paid[:, None]
            at[following] |= here
    return Served(quality, cost, tier)
