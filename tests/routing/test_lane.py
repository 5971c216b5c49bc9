"""Live or batch as a pure decision."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillyard.costs.prices.book import PriceBook
from skillyard.profiles import Deployment
from skillyard.routing.lane import BATCH_WINDOW, LANES, Queue, choose_lane, find_offer, live_margin, live_time
from tests.costs.books import price

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
QUEUE = Queue(n_items=500, input_tokens=800, output_tokens=100, timeout_s=60)
CHEAP = Deployment("cheap", "fast", "acme/cheap", 8000, 1000, True, 64, {}, has_batch=True)
PLAIN = replace(CHEAP, name="plain", model="acme/plain", has_batch=False)


def book(**meters: str) -> PriceBook:
    """Return a book in which acme/plain costs 1 and 4 a token, and acme/cheap what is given, a ``batch_`` meter in the batch tier."""
    own = {"input": "1", "output": "4", "batch_input": "0.5", "batch_output": "2"} | meters
    listed = [("acme/cheap", m, p) for m, p in own.items() if p] + [("acme/plain", "input", "1"), ("acme/plain", "output", "4")]
    return PriceBook(
        price(f"{model}.{name}", model, name.removeprefix("batch_"), amount, "batch" if "batch_" in name else "standard")
        for model, name, amount in listed
    )


def decide(
    asked: str = "auto", hours: float | None = 30, queue: Queue = QUEUE, deployments: tuple[Deployment, ...] = (CHEAP,), **meters: str
) -> tuple[str, str]:
    deadline = None if hours is None else NOW + timedelta(hours=hours)
    decision = choose_lane(asked, queue, deployments, book(**meters), NOW, deadline)
    return decision.lane, decision.reason


def test_a_long_queue_with_a_far_deadline_goes_to_the_batch_and_the_reason_says_the_discount() -> None:
    assert decide() == ("batch", "the deadline in 30 h allows it, 0.50 of the live price")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"hours": None}, "without a deadline somebody waits"),
        ({"hours": 24}, "the deadline in 24 h is too near for a batch"),
        ({"hours": 0.5}, "the deadline in 30 min is too near for a batch"),
        ({"hours": 0.01}, "the deadline in 1 min leaves no time for a batch"),
        ({"queue": replace(QUEUE, n_items=99)}, "99 items are too few for a batch"),
        ({"deployments": (PLAIN,)}, "no deployment of the tier offers batches"),
        ({"batch_output": ""}, "no deployment of the tier offers batches"),
        ({"batch_input": "1", "batch_output": "4"}, "a batch costs as much"),
        ({"asked": "live"}, "asked for"),
    ],
)
def test_otherwise_it_is_live_and_says_why(options: dict[str, object], reason: str) -> None:
    assert decide(**options) == ("live", reason)  # type: ignore[arg-type]


def test_asked_for_it_needs_neither_deadline_nor_length_but_an_offer_and_time() -> None:
    few = replace(QUEUE, n_items=3)
    assert decide("batch", None, few) == ("batch", "asked for, 0.50 of the live price")
    assert decide("batch", 2, few)[0] == "batch"
    assert decide("batch", 0.01, few) == ("live", "the deadline in 1 min leaves no time for a batch")
    assert decide("batch", None, few, (PLAIN,))[0] == "live"


def test_few_items_that_the_rate_limits_would_hold_up_for_hours_go_to_the_batch() -> None:
    slow = replace(CHEAP, rpm=1)
    few = replace(QUEUE, n_items=90)
    assert live_time(few, [slow]) == timedelta(minutes=90)
    assert decide(queue=few, deployments=(slow,))[0] == "batch"


def test_a_long_queue_needs_a_later_deadline_because_the_live_lane_may_have_to_do_all_of_it() -> None:
    slow = (replace(CHEAP, rpm=1),)
    assert decide(hours=24.5)[0] == "batch"
    assert decide(hours=24.5, deployments=slow) == ("live", "the deadline in 24 h is too near for a batch")
    assert live_margin(QUEUE, slow) == timedelta(minutes=500 + 2)


def test_tokens_a_minute_bound_the_live_lane_too() -> None:
    assert live_time(QUEUE, [replace(CHEAP, tpm=900)]) == timedelta(minutes=500)


def test_the_cheapest_batch_of_the_tier_is_offered_and_compared_with_its_cheapest_live_price() -> None:
    other = replace(CHEAP, name="other", model="acme/plain")
    offer = find_offer(QUEUE, (other, CHEAP, PLAIN), book(input="2", output="8"), NOW)
    assert offer is not None
    assert (offer.deployment, offer.price_ratio) == ("cheap", Decimal("0.5"))


@given(
    asked=st.sampled_from(LANES),
    hours=st.none() | st.floats(-10, 100),
    n_items=st.integers(1, 10**6),
    rpm=st.none() | st.integers(1, 10**4),
)
def test_a_batch_of_its_own_accord_always_leaves_time_to_answer_everything_live(
    asked: str, hours: float | None, n_items: int, rpm: int | None
) -> None:
    queue, deployments = replace(QUEUE, n_items=n_items), (replace(CHEAP, rpm=rpm),)
    lane, reason = decide(asked, hours, queue, deployments)
    assert reason
    if lane == "batch" and asked == "auto":
        assert hours is not None and timedelta(hours=hours) >= BATCH_WINDOW + live_margin(queue, deployments)
    if lane == "batch" and hours is not None:
        assert timedelta(hours=hours) > live_margin(queue, deployments)
