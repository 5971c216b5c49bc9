"""What a fit makes of evidence, and that what it exports scores as scikit-learn does."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from skillyard.routing.decide import Traits
from skillyard.routing.evidence import Evidence
from skillyard.routing.features import extract_features
from skillyard.routing.fit import MIN_CLASS, TierFit, Transform, export, fit_family, learn_transform, to_matrix
from skillyard.routing.model import FamilyModel
from tests.routing.rows import row

SKILL, OTHER = "classify-things", "classify-letters"
TRAITS = {
    SKILL: Traits("fast", "expert", n_labels=4, n_fields=2, n_prompt_tokens=200, n_output_tokens=50),
    OTHER: Traits("standard", "expert", n_labels=60, n_fields=9, n_prompt_tokens=900, n_output_tokens=300),
}
EASY, HARD = "the parcel arrived and was paid", "an ambiguous clause contradicts the annex"
WORDS = ["invoice", "total", "12.50", "not", "paid?", "by", "Müller;", "def", "run(x):", "3", "=", "4", "請求書", "\n", "A.", "B."]


def texts(n_rows: int, seed: int = 0) -> list[str]:
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, rng.integers(1, 30))) for _ in range(n_rows)]


def signal(n_rows: int, seed: int = 0) -> list[Evidence]:
    """Return rows of two skills: easy texts go well on fast, hard ones seldom, and the second skill goes worse."""
    rng = np.random.default_rng(seed)
    rows = []
    for n in range(n_rows):
        is_easy, is_other = rng.random(2) < 0.5
        chance = (0.9 if is_easy else 0.3) - 0.2 * is_other
        quality = {"fast": float(rng.random() < chance), "expert": 1.0}
        rows.append(row(n, quality, skill=OTHER if is_other else SKILL, text=f"{EASY if is_easy else HARD} {rng.integers(99)}"))
    return rows


def score(model: FamilyModel, text: str, skill: str = SKILL) -> dict[str, float]:
    return model.score(skill, TRAITS[skill], extract_features(text, "en"), text)


@pytest.fixture(scope="module")
def fitted() -> FamilyModel:
    return fit_family(signal(900), TRAITS, ("fast", "expert"))


def learn_random() -> tuple[Transform, FamilyModel, dict[str, LogisticRegression]]:
    """Return a transform, scikit-learn's models of random labels on it, and the scorer exported from them."""
    rng = np.random.default_rng(1)
    rows = [row(n, {}, text=text, skill=(SKILL, OTHER)[n % 2]) for n, text in enumerate(texts(300))]
    transform = learn_transform(rows, TRAITS)
    matrix = to_matrix(transform, rows)
    models = {tier: LogisticRegression(C=30.0).fit(matrix, rng.random(len(rows)) < 0.6) for tier in ("fast", "standard")}
    fits = {tier: TierFit(model.coef_[0], float(model.intercept_[0]), {}) for tier, model in models.items()}
    return transform, export(transform, fits), models


RANDOM = learn_random()


@given(text=st.text(max_size=400) | st.integers(0, 10**6).map(lambda seed: texts(1, seed)[0]), skill=st.sampled_from([SKILL, OTHER]))
@settings(max_examples=200, deadline=None)
def test_the_exported_scorer_is_scikit_learns_decision_function(text: str, skill: str) -> None:
    transform, scorer, models = RANDOM
    matrix = to_matrix(transform, [row(0, {}, text=text, skill=skill)])
    wanted = [model.decision_function(matrix)[0] for model in models.values()]
    assert scorer.decision(skill, TRAITS[skill], extract_features(text, "en"), text) == pytest.approx(wanted, abs=1e-5)


def test_a_fit_learns_which_texts_go_well_and_which_skill_goes_worse(fitted: FamilyModel) -> None:
    assert score(fitted, f"{EASY} 7")["fast"] == pytest.approx(0.9, abs=0.1)
    assert score(fitted, f"{HARD} 7")["fast"] == pytest.approx(0.3, abs=0.1)
    assert score(fitted, f"{EASY} 7", OTHER)["fast"] < score(fitted, f"{EASY} 7")["fast"] - 0.1


def test_a_tier_whose_outcomes_are_all_alike_is_a_constant_and_says_so(fitted: FamilyModel) -> None:
    assert score(fitted, EASY)["expert"] == score(fitted, HARD)["expert"] == pytest.approx(901 / 902)
    assert fitted.metrics["expert"]["why"] == "constant: 900 good of 900 answers; 5 good and 5 bad ones are needed"
    assert fitted.metrics["fast"]["n"] == 900 and 0 < fitted.metrics["fast"]["log_loss"] < 0.65


def test_a_tier_that_answered_nothing_is_even() -> None:
    assert score(fit_family(signal(60), TRAITS, ("standard",)), EASY) == {"standard": 0.5}


def test_few_rows_give_a_model_all_the_same() -> None:
    rows = [row(n, {"fast": float(n % 2)}, text=f"{EASY} {n}") for n in range(int(2 * MIN_CLASS))]
    assert 0.2 < score(fit_family(rows, TRAITS, ("fast",)), EASY)["fast"] < 0.8
    assert score(fit_family(rows[:1], TRAITS, ("fast",)), EASY)["fast"] == pytest.approx(1 / 3)


def test_a_fraction_counts_as_that_share_of_a_good_answer() -> None:
    rows = [row(n, {"fast": 0.7}, text=f"{EASY} {n}") for n in range(200)]
    assert score(fit_family(rows, TRAITS, ("fast",)), EASY)["fast"] == pytest.approx(0.7, abs=0.01)


def test_a_row_sampled_with_a_tenth_of_the_chance_counts_ten_times() -> None:
    rows = [row(n, {"fast": 0.0}, text=EASY, weight=10.0) for n in range(50)]
    rows += [row(100 + n, {"fast": 1.0}, text=EASY) for n in range(500)]
    assert score(fit_family(rows, TRAITS, ("fast",)), EASY)["fast"] == pytest.approx(0.5, abs=0.02)


def test_rows_in_another_order_give_the_same_model(fitted: FamilyModel) -> None:
    again = fit_family(signal(900)[::-1], TRAITS, ("fast", "expert"))
    assert score(again, HARD)["fast"] == pytest.approx(score(fitted, HARD)["fast"], abs=1e-3)
