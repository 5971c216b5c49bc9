import numpy as np

from bench.ladders import Case, read_letter, read_literal, read_number
from bench.outcomes import bootstrap_weights, fold_of, normalise_question
from bench.policies import always, by_stages
from bench.predictors import cross_fit
from bench.selection import Ratio, choose_settings

N, N_FOLDS = 600, 5
FOLDS = np.arange(N) % N_FOLDS


def make_case(seed: int = 0) -> Case:
    """Return items that fast gets right half of the time, and whose sibling agrees with fast exactly when it is right."""
    random = np.random.default_rng(seed)
    is_right = random.random(N) < 0.5
    return Case(
        name="made",
        prompts=np.array([f"question {n}" for n in range(N)], dtype=object),
        groups=np.array([f"group {n}" for n in range(N)], dtype=object),
        subsets=np.full(N, "", dtype=object),
        is_tested=np.full(N, True),
        good=np.stack([is_right, np.full(N, True)], axis=1).astype(float),
        costs=np.tile([0.1, 1.0], (N, 1)),
        answers=np.stack([np.zeros(N), np.zeros(N), np.where(is_right, 0, 2)], axis=1).astype(np.int64),
        lengths=np.ones((N, 3)),
        vote_costs=np.full((N, 1), 0.05),
        has_borrowed_siblings=False,
    )


def test_copies_of_a_question_share_a_fold_whatever_their_options() -> None:
    few, many = "What is  2+2?\nA. 3\nB. 4\nAnswer:", "What is 2 + 2?\nOptions:\nA. 3\nB. 4\nC. 5"
    assert normalise_question(few) == normalise_question(many) == "what is 2 2"
    assert fold_of(normalise_question(few), 5) == fold_of(normalise_question(many), 5)


def test_items_of_one_group_are_drawn_together() -> None:
    weights = bootstrap_weights(["a", "b", "a", "c"], n_draws=50)
    assert (weights[:, 0] == weights[:, 2]).all()
    assert (weights[:, 0] != weights[:, 1]).any()


def test_answers_are_read_from_what_models_write() -> None:
    assert read_letter("Thus the answer is (C).") == "C"
    assert read_letter("none of them") is None
    assert read_number('{"reasoning": "2 + 2 = 4", "answer": "1,250.0"}') == "1250"
    assert read_number("so it is 7\n#### 12") == "12"
    assert read_literal('{"answer": "[1,2]"}') == read_literal('{\n "answer": "[1, 2]"\n}') == "[1, 2]"
    assert read_literal("no field") is None


def test_no_row_is_scored_by_a_model_that_saw_it_or_a_held_out_fold() -> None:
    def fit(rows: np.ndarray) -> np.ndarray:
        seen = np.zeros((N, N_FOLDS))
        seen[:, np.unique(FOLDS[rows])] = 1
        return seen

    for held, seen in cross_fit(FOLDS, N_FOLDS, fit, depth=2).items():
        assert not seen[:, list(held)].any()
        assert not seen[np.arange(N), FOLDS].any()


def test_a_sibling_that_knows_when_fast_is_right_saves_the_expert_there() -> None:
    case = make_case()
    curves = by_stages(case, FOLDS, N_FOLDS, cross_fit(FOLDS, N_FOLDS, lambda rows: np.full((N, 2), 0.5), depth=2))
    served = curves[0]
    perfect = served.quality.mean(axis=0) == 1.0
    assert served.cost.mean(axis=0)[perfect].min() < 0.15 + (1 - case.good[:, 0].mean()) + 0.01


def test_votes_are_paid_for() -> None:
    case = make_case()
    curves = by_stages(case, FOLDS, N_FOLDS, cross_fit(FOLDS, N_FOLDS, lambda rows: np.full((N, 2), 0.5), depth=2))
    bare = always(case, N_FOLDS, tier=1)[0]
    is_perfect = curves[0].quality.mean(axis=0) == 1.0
    assert np.isclose(bare.cost.mean(), 1.0)
    assert (curves[0].cost.mean(axis=0)[is_perfect] >= 0.15 + (1 - case.good[:, 0].mean()) - 1e-9).any()


def test_the_setting_that_saves_most_and_is_proven_is_chosen() -> None:
    ratio = Ratio(retained=np.array([1.0, 0.97, 0.955, 0.8]), error=np.full(4, 0.01), saved=np.array([0.0, 0.3, 0.4, 0.9]), share=1.0)
    assert choose_settings([ratio], target=0.95) == [1]
    assert choose_settings([ratio], target=0.93) == [2]


def test_one_set_does_not_pay_below_its_floor_for_another() -> None:
    spare = Ratio(np.array([1.2]), np.array([0.0]), np.array([0.5]), share=0.5)
    poor = Ratio(np.array([0.91, 0.85]), np.array([0.001, 0.001]), np.array([0.2, 0.9]), share=0.5)
    assert choose_settings([spare, poor], target=0.9, floor=0.9) == [0, 0]
