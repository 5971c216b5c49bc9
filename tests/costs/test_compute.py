"""Compute seconds: the calls of an endpoint that is as busy as assumed are together charged its time."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillyard.costs.compute import compute_seconds, idle_seconds

latencies = st.decimals(0, 3600, places=3, allow_nan=False)
concurrencies = st.integers(1, 1024)
utilisations = st.decimals("0.01", 1, places=2)


def test_an_idle_half_doubles_what_a_call_is_charged() -> None:
    assert compute_seconds(2.0, 1, 1.0) == Decimal(2)
    assert compute_seconds(2.0, 8, 1.0) == Decimal("0.25")
    assert compute_seconds(2.0, 8, 0.5) == Decimal("0.5")


@pytest.mark.parametrize(("latency_s", "charged"), [("0.0000005", "0"), ("0.0000015", "0.000002"), ("0.000001", "0.000001")])
def test_seconds_have_six_places_rounded_half_even(latency_s: str, charged: str) -> None:
    assert compute_seconds(Decimal(latency_s), 1, 1) == Decimal(charged)


@given(st.integers(1, 64), utilisations, latencies, st.integers(1, 50))
def test_the_calls_of_an_endpoint_as_busy_as_assumed_are_charged_its_time(
    concurrency: int, utilisation: Decimal, latency_s: Decimal, n: int
) -> None:
    n_calls = n * concurrency
    paid_s = n * latency_s / utilisation
    charged_s = sum(compute_seconds(latency_s, concurrency, utilisation) for _ in range(n_calls))
    assert abs(charged_s - paid_s) <= n_calls * Decimal("0.0000005") + Decimal("1e-18")


@given(latencies, latencies, concurrencies, utilisations)
def test_a_call_within_its_timeout_is_never_charged_above_the_seconds_of_that(
    latency_s: Decimal, timeout_s: Decimal, concurrency: int, utilisation: Decimal
) -> None:
    charged = compute_seconds(min(latency_s, timeout_s), concurrency, utilisation)
    assert charged <= compute_seconds(timeout_s, concurrency, utilisation)


@given(latencies, concurrencies, utilisations)
def test_what_is_idle_and_what_was_busy_are_all_that_is_charged(latency_s: Decimal, concurrency: int, utilisation: Decimal) -> None:
    charged = compute_seconds(latency_s, concurrency, utilisation)
    idle = idle_seconds(charged, utilisation)
    assert 0 <= idle <= charged
    assert abs(charged - idle - charged * utilisation) <= Decimal("0.0000005")
