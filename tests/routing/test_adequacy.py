"""What a number of cases proves, and what it cannot."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from skillyard.routing.adequacy import PassRate, cheapest_adequate, inadequate_tiers, n_cases_to_prove, verdict, wilson


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


def test_a_tier_is_ruled_out_only_when_its_upper_bound_is_below_the_rate() -> None:
    assert inadequate_tiers({"fast": PassRate(6, 8)}, 0.9) == {}
    assert verdict({"fast": PassRate(2, 8)}, 0.9).startswith("fast is proven not to reach 90% (2 of 8 right, between 7% and 59%); no tier")
    assert "too many of the 40 cases are wrong" in verdict({"fast": PassRate(36, 40)}, 0.9)
