"""What the tests of a mean prove, and how seldom they are wrong."""

import numpy as np
import pytest

from skillyard.routing.bounds import ALPHA, fixed_sequence, is_positive, lower_bound

N_DRAWS = 2000


def draw(rng: np.random.Generator, n_rows: int, mean: float) -> np.ndarray:
    """Return N_DRAWS columns of gains of -1, 0 or 0.0526, skewed as losses of quality are."""
    p_loss = (0.9 * 0.0526 - mean) / (1 + 0.0526)
    u = rng.random((n_rows, N_DRAWS))
    return np.where(u < p_loss, -1.0, np.where(u < 0.9, 0.0526, 0.0))


@pytest.mark.parametrize("n_rows", [30, 100, 400])
def test_a_mean_of_zero_is_seldom_taken_for_positive(n_rows: int) -> None:
    wrong = is_positive(draw(np.random.default_rng(1), n_rows, 0.0), 1.0).mean()
    assert wrong <= ALPHA + 3 * np.sqrt(ALPHA * (1 - ALPHA) / N_DRAWS)


def test_unequal_weights_keep_the_level() -> None:
    rng = np.random.default_rng(2)
    is_rare = rng.random((300, N_DRAWS)) < 0.2  # sampled at a tenth of the chance of the others, all of its gains are losses
    gains = np.where(is_rare, 10.0 * -0.3, 1.0 * 0.75)
    assert abs(gains.mean()) < 0.02
    assert is_positive(gains, 10.0).mean() <= ALPHA + 0.015


def test_a_clearly_positive_mean_is_proven() -> None:
    assert is_positive(draw(np.random.default_rng(3), 1500, 0.03), 1.0).mean() > 0.9


def test_too_few_rows_prove_nothing_however_good_they_are() -> None:
    def proves(n_rows: int) -> bool:
        return bool(is_positive(np.full((n_rows, 1), 0.0526), 1.0)[0])

    assert not proves(50)
    assert proves(100)


def test_the_lower_bound_of_a_ratio_covers_it() -> None:
    rng = np.random.default_rng(4)
    bounds = []
    for _ in range(200):
        whole = (rng.random(300) < 0.9).astype(float)
        part = np.where(rng.random(300) < 0.1, 0.0, whole)  # 90 % is kept
        bounds.append(lower_bound(part, whole, 1.0))
    assert sum(bound > 0.9 for bound in bounds) <= 200 * ALPHA + 10
    assert 0.84 < np.median(bounds) < 0.89


def test_the_lower_bound_of_no_rows_is_zero() -> None:
    assert lower_bound(np.array([]), np.array([]), 1.0) == 0.0


def test_a_fixed_sequence_ends_at_the_first_that_is_not_rejected() -> None:
    assert fixed_sequence(np.array([True, True, False, True])) == 2
    assert fixed_sequence(np.array([False, True])) == 0
    assert fixed_sequence(np.array([True, True])) == 2
