"""What a number of cases proves, and what it cannot."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from skillyard.routing.adequacy import (
    PassRate,
    chance_of_so_few,
    cheapest_adequate,
    inadequate_tiers,
    keep_off,
    n_cases_to_prove,
    verdict,
    wilson,
)
from skillyard.routing.decide import Decision, Traits
from skillyard.routing.features import extract_features


@given(st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_is_wilsons(case: tuple[int, int]) -> None:
    expected = binomtest(*case).proportion_ci(0.95, "wilson")
    assert wilson(*case) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert 0 <= wilson(*case)[0] <= case[0] / case[1] <= wilson(*case)[1] <= 1


def test_without_cases_everything_is_possible() -> None:
    assert wilson(0, 0) == (0.0, 1.0) and PassRate(0, 0).share == 0.0


@given(st.floats(0, 0.999))
def test_as_many_right_cases_as_said_prove_a_rate_and_one_fewer_does_not(least: float) -> None:
    n = n_cases_to_prove(least)
    assert n is not None and wilson(n, n)[0] >= least
    assert n == 1 or wilson(n - 1, n - 1)[0] < least


def test_nothing_proves_that_nothing_is_ever_wrong() -> None:
    assert n_cases_to_prove(1.0) is None
    assert "no number of cases" in verdict({"fast": PassRate(8, 8)}, 1.0)


def test_the_cheapest_tier_whose_lower_bound_reaches_the_rate_is_adequate() -> None:
    rates = {"expert": PassRate(40, 40), "standard": PassRate(39, 40), "fast": PassRate(30, 40)}
    assert cheapest_adequate(rates, 0.85) == "standard"
    assert inadequate_tiers(rates, 0.9) == {"fast": PassRate(30, 40)}
    assert verdict(rates, 0.85) == "standard is the cheapest tier proven to reach 85% (39 of 40 right, between 87% and 100%)"


def test_eight_right_cases_do_not_prove_nine_in_ten_and_the_verdict_says_what_would() -> None:
    said = verdict({"fast": PassRate(8, 8), "expert": PassRate(8, 8)}, 0.9)
    assert said == "no tier is proven to reach 90%: 8 cases, all right, prove 68%; 35, all right, would be needed"


@given(st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.floats(0.5, 1.0))
def test_a_tier_that_reaches_the_rate_is_ruled_out_less_than_once_in_forty_times(case: tuple[int, int], least: float) -> None:
    chance = binom.cdf(case[0], case[1], least)
    assert chance_of_so_few(PassRate(*case), least) == pytest.approx(chance, abs=1e-9)
    if inadequate_tiers({"fast": PassRate(*case)}, least):
        assert chance < 0.025
    assert not inadequate_tiers({"fast": PassRate(0, 1)}, 0.85), "one bad case proves little"


def test_a_tier_is_ruled_out_only_when_its_upper_bound_is_below_the_rate() -> None:
    assert inadequate_tiers({"fast": PassRate(6, 8)}, 0.9) == {}
    assert verdict({"fast": PassRate(2, 8)}, 0.9).startswith("fast is proven not to reach 90% (2 of 8 right, between 7% and 59%); no tier")
    assert verdict({"fast": PassRate(36, 40)}, 0.9) == "no tier is proven to reach 90%: 4 wrong of 40 leave it open; more cases would tell"
    assert verdict({"fast": PassRate(7, 8)}, 0.9) == "no tier is proven to reach 90%: too many cases are wrong"


TRAITS = Traits("fast", "expert", n_labels=4, n_fields=2, n_prompt_tokens=200, n_output_tokens=50)
WINDOWS = {"fast": 2_000, "standard": 8_000, "expert": 100_000}
BAD = PassRate(2, 8)


def kept_off(tier: str, *ruled_out: str, traits: Traits = TRAITS, n_words: int = 5) -> Decision:
    decision = Decision(tier, 0.1, "easy", "v7", expected_quality=0.9, expected_cost_usd=0.001)
    features = extract_features("word " * n_words, "en")
    return keep_off(decision, traits, features, WINDOWS, dict.fromkeys(ruled_out, BAD), 0.9)


def test_an_item_starts_on_the_next_tier_that_is_not_ruled_out_and_the_reason_says_why() -> None:
    moved = kept_off("fast", "fast")
    assert (moved.tier, moved.score, moved.router_version) == ("standard", 0.1, "v7")
    assert moved.reason == "easy; evals rule fast out (2 of 8 right, between 7% and 59%, 90% needed)"
    assert (moved.expected_quality, moved.expected_cost_usd) == (None, None), "they were those of the other tier"
    assert kept_off("fast", "fast", "standard").tier == "expert"


def test_what_is_not_ruled_out_stays_as_it_was_decided() -> None:
    decided = kept_off("standard", "fast")
    assert (decided.tier, decided.reason, decided.expected_quality) == ("standard", "easy", 0.9)


def test_when_all_are_ruled_out_the_highest_is_the_best_there_is() -> None:
    assert kept_off("fast", "fast", "standard", "expert").tier == "expert"
    alone = kept_off("expert", "expert")
    assert alone.tier == "expert" and alone.reason.endswith(", but there is none above it")
    assert kept_off("fast", "fast", traits=replace(TRAITS, tier_max="fast")).tier == "fast"


def test_a_tier_whose_window_is_too_small_is_passed_over() -> None:
    assert kept_off("fast", "fast", n_words=20_000).tier == "expert"
