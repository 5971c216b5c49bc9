"""The decision live or batch: a provider's batch API is cheaper and may take a day.

It is made once for the items of a run that start on one tier, by deadline, queue length and price.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from skillyard.costs.prices.book import BATCH, PriceBook, Usage
from skillyard.errors import Unpriced
from skillyard.profiles import Deployment

BATCH_WINDOW = timedelta(hours=24)
"""What a provider allows itself for a batch."""
LEAST_ITEMS = 100
"""Fewer are not worth a batch, unless the live lane would be at them for longer than LONG_QUEUE."""
LONG_QUEUE = timedelta(hours=1)
CALL_S = 5.0
"""Seconds a live call is taken to last."""
LANES = ("auto", "live", "batch")
"""What a caller may ask for."""


@dataclass(frozen=True, slots=True)
class Queue:
    """The items of one run that start on one tier; tokens are of a typical one."""

    n_items: int
    input_tokens: int
    output_tokens: int
    timeout_s: float


@dataclass(frozen=True, slots=True)
class Offer:
    """The batch API of one deployment."""

    deployment: str
    price_ratio: Decimal
    """Its price of a typical item, by the cheapest live price of the tier."""


@dataclass(frozen=True, slots=True)
class LaneDecision:
    """``live`` or ``batch``, and why."""

    lane: str
    reason: str


def choose_lane(
    asked: str, queue: Queue, deployments: Sequence[Deployment], prices: PriceBook, now: datetime, deadline: datetime | None
) -> LaneDecision:
    """Return the lane for a tier's items. ``asked`` is auto, live or batch; the price and an offer are needed for a batch all the same."""
    offer = find_offer(queue, deployments, prices, now)
    if offer is None:
        return LaneDecision("live", "no deployment of the tier offers batches")
    margin = live_margin(queue, deployments)
    left = None if deadline is None else deadline - now
    said = _said(left)
    if asked == "live":
        return LaneDecision("live", "asked for")
    if left is not None and left <= margin:
        return LaneDecision("live", f"{said} leaves no time for a batch")
    if asked == "batch":
        return LaneDecision("batch", f"asked for, {offer.price_ratio:.2f} of the live price")
    if offer.price_ratio >= 1:
        return LaneDecision("live", "a batch costs as much")
    if left is None:
        return LaneDecision("live", "without a deadline somebody waits")
    if left < BATCH_WINDOW + margin:
        return LaneDecision("live", f"{said} is too near for a batch")
    if queue.n_items < LEAST_ITEMS and live_time(queue, deployments) < LONG_QUEUE:
        return LaneDecision("live", f"{queue.n_items} items are too few for a batch")
    return LaneDecision("batch", f"{said} allows it, {offer.price_ratio:.2f} of the live price")


def find_offer(queue: Queue, deployments: Sequence[Deployment], prices: PriceBook, at: datetime) -> Offer | None:
    """Return the cheapest batch API of a tier, if it has one with a price."""
    usage = Usage(input_tokens=queue.input_tokens, output_tokens=queue.output_tokens)
    costs = {}
    for deployment in deployments:
        if deployment.has_batch:
            try:
                costs[deployment.name] = prices.cost(deployment.model, usage, at, BATCH, deployment.region).usd
            except Unpriced:
                continue
    if not costs:
        return None
    name = min(costs, key=lambda name: (costs[name], name))
    live = min(prices.cost(d.model, usage, at, d.service_tier, d.region).usd for d in deployments)
    return Offer(name, costs[name] / live if live else Decimal(1))


def live_time(queue: Queue, deployments: Sequence[Deployment]) -> timedelta:
    """Return how long the live lane would be at these items, at the rate limits of the tier."""
    tokens = queue.input_tokens + queue.output_tokens
    per_s = sum(min(d.concurrency / CALL_S, (d.rpm or 1e9) / 60, (d.tpm or 1e12) / 60 / max(tokens, 1)) for d in deployments)
    return timedelta(seconds=queue.n_items / per_s)


def live_margin(queue: Queue, deployments: Sequence[Deployment]) -> timedelta:
    """Return how long before its deadline a run has to give up on a batch, so that the live lane can still answer all of it."""
    return live_time(queue, deployments) + timedelta(seconds=2 * queue.timeout_s)


def _said(left: timedelta | None) -> str:
    if left is None:
        return ""
    hours = left.total_seconds() / 3600
    return f"the deadline in {hours:.0f} h" if hours >= 2 else f"the deadline in {max(left.total_seconds(), 0) / 60:.0f} min"
