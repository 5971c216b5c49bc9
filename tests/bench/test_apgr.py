import numpy as np
import pytest

from bench.apgr import area, recover_gap, share_needed

WEAK = np.repeat([0.0, 1.0], 50)
STRONG = np.ones(100)
"""The weak model fails the first half, the strong one nothing."""
SAMPLE = np.ones((1, 100))


def test_an_order_that_knows_which_items_the_weak_model_fails_needs_the_strong_one_for_these_alone() -> None:
    pgr = recover_gap(WEAK, STRONG, STRONG - WEAK, SAMPLE)
    assert area(pgr)[0] == pytest.approx(0.75)
    assert share_needed(pgr, 0.8)[0] == pytest.approx(40.0)


def test_items_of_one_score_are_called_in_random_order() -> None:
    pgr = recover_gap(WEAK, STRONG, np.zeros(100), SAMPLE)
    assert area(pgr)[0] == pytest.approx(0.5)
    assert share_needed(pgr, 0.5)[0] == pytest.approx(50.0)


def test_a_weak_model_that_is_right_where_the_strong_one_is_wrong_takes_pgr_above_one() -> None:
    strong = np.repeat([1.0, 1.0, 0.0], [50, 40, 10])
    assert recover_gap(WEAK, strong, strong - WEAK, SAMPLE).max() == pytest.approx(50 / 40)


def test_a_draw_counts_each_item_as_often_as_it_holds_it() -> None:
    order = np.random.default_rng(0).random(100)
    twice = np.repeat(np.arange(100), np.arange(100) % 3)
    drawn = recover_gap(WEAK, STRONG, order, (np.arange(100.0) % 3)[None])
    again = recover_gap(WEAK[twice], STRONG[twice], order[twice], np.ones((1, len(twice))))
    assert drawn == pytest.approx(again)
