"""What the calls of a run would cost, and how long they would take: an expectation and a range, by tier and in total.

**Expectation.** An item's *one-call cost* is what one call on its first tier costs with its input and an answer of mean length. Past
operations say how much an operation costs by its one-call cost: the ratio of the two sums, escalations, retries and calls of unknown
outcome included. The planned items' one-call costs times that ratio is what is expected. Their input is estimated from the text; past
items whose text is at hand say by how much such an estimate is off.

**Range.** It is for the sum over the planned items, so two things count: the history is finite, and so is the run. A plain bootstrap
knows the first only, and takes what it never saw for impossible: with 200 past operations and one escalation in 300, half of the
histories hold none, and where the next tier costs twenty times as much that is most of the bill. So each of ``N_DRAWS`` draws has
two stages: weights of the past operations as in the Bayesian bootstrap (what the process may be like), then as many operations as
are planned by these weights (what a run of it may be like). Beside the past operations stand those that go up to each higher tier,
which cost what the price book says, half of one for the next tier and half as much for each one above: Jeffreys' prior for a thing
that either happens or does not. They count for the high end alone, as an exact interval for a rare event is bounded by what was seen
from below and by what could have been missed from above. Drawing whole operations keeps what belongs together: long texts, long
answers, escalations. Source: Rubin, The Bayesian Bootstrap (1981), https://doi.org/10.1214/aos/1176345338

**Without history** the range goes from the input alone to a bound that is reached if every attempt on every tier is billed in full.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import cycle
from typing import TYPE_CHECKING

from skillyard.costs.prices.book import PROMPT, PriceBook
from skillyard.gateway.complete import ATTEMPTS_PER_REQUEST
from skillyard.gateway.request import compute_s
from skillyard.profiles import Deployment, Profile
from skillyard.running.history import LEAST, History, Operation, Step
from skillyard.running.voters import voters_of
from skillyard.skills import Skill
from skillyard.tiers import TIERS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

N_DRAWS = 1000
COVERED = 0.96
"""Of runs that are like the past ones, so many cost what lies in the range."""
UNSEEN = 0.5
READ_TOKENS_S, WRITTEN_TOKENS_S = 250, 65
"""How fast a model that is priced by time is taken to be: measured on two cores."""


@dataclass(frozen=True, slots=True)
class Load:
    """The items of a run that start on one tier and have to be paid."""

    tier: str
    n_items: int
    input_tokens: float


@dataclass(frozen=True, slots=True)
class Reach:
    """What a run may use of the profile: the tiers in order that an item asks which starts on a tier, and the longest answer there."""

    tiers: Mapping[str, tuple[str, ...]]
    max_tokens: Mapping[str, int]
    timeout_s: float
    voters: Mapping[str, tuple[Deployment, ...]] = field(default_factory=dict)
    """By tier: asked beside it. Past operations have their calls; without history they are counted in."""

    @classmethod
    def of(cls, skill: Skill, profile: Profile) -> "Reach":
        """Return those of a skill: an item goes up only if the skill escalates, and never to the same deployment again."""
        lanes = [lane for lane in skill.lanes if lane in TIERS]
        return cls(
            {tier: profile.distinct(lanes[n:] if skill.escalate_when else [tier]) for n, tier in enumerate(lanes)},
            {tier: min(skill.limits.output_tokens, *(d.max_output_tokens for d in profile.deployments(tier))) for tier in lanes},
            skill.limits.timeout_s,
            voters_of(skill, profile),
        )


@dataclass(frozen=True, slots=True)
class Range:
    """USD: what is expected, and between what the cost will lie."""

    expected: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """What one tier's items would cost, and how many calls that is, by tier."""

    tier: str
    basis: str
    n_past: int
    """Past operations that began on this tier."""
    usd: Range
    n_calls: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class CallPrice:
    """USD per token of one call on a tier, at its dearest deployment."""

    input_usd: float
    output_usd: float

    def of(self, input_tokens: float, output_tokens: float) -> float:
        """Return what a call costs."""
        return input_tokens * self.input_usd + output_tokens * self.output_usd


@dataclass(frozen=True, slots=True)
class Sample:
    """Past operations as the draws see them."""

    n_items: int
    planned_usd: float
    """The planned items' one-call costs."""
    costs: Sequence[float]
    settled: Sequence[float]
    """The same without calls of unknown outcome, which may not have been billed."""
    calls: Sequence[float]
    """The one-call cost of each."""
    unseen: Sequence[tuple[float, float, float]]
    """Cost, one-call cost and weight of the operations that may have been missed."""


def estimate(
    loads: Sequence[Load], history: History, reach: Reach, profile: Profile, prices: PriceBook, at: datetime
) -> tuple[list[Estimate], Range]:
    """Return what each tier's items and all of them would cost."""
    call_prices = {tier: call_price(profile.deployments(tier), prices, at) for tier in TIERS}
    if history.basis == "worst_case":
        found = [_bound(load, reach, call_prices, profile, prices, at) for load in loads]
        sums = (sum(getattr(e.usd, end) for e in found) for end in ("expected", "low", "high"))
        return found, Range(*sums)
    lengths = mean_lengths(history.operations)
    samples = [_sample(load, history.operations, reach, call_prices, lengths) for load in loads]
    ranges, total = cost_ranges(samples)
    by_tier = []
    for load, usd in zip(loads, ranges, strict=True):
        own = [o for o in history.operations if o.tier == load.tier]
        n_calls = _calls_per_operation(own or history.operations, load.tier, reach)
        by_tier.append(
            Estimate(
                load.tier,
                history.basis if len(own) >= LEAST else "other_tiers",
                len(own),
                usd,
                {tier: n * load.n_items for tier, n in n_calls.items()},
            )
        )
    return by_tier, total


def calibrate(history: History, estimates: Mapping[str, int]) -> tuple[History, float]:
    """Return by what estimates of input have to be multiplied, given those of past items, and the history with such estimates.

    Where the text of a past item is not at hand, its estimate is taken to be off by as much as that of another one.
    """
    known = [o for o in history.operations if o.item_id in estimates and o.input_tokens > 0]
    if not known:
        return history, 1.0
    factor = sum(o.input_tokens for o in known) / sum(estimates[o.item_id] for o in known)
    off = cycle([estimates[o.item_id] / o.input_tokens for o in known])
    said = (estimates[o.item_id] if o.item_id in estimates else o.input_tokens * next(off) for o in history.operations)
    operations = tuple(replace(o, estimated_tokens=factor * n) for o, n in zip(history.operations, said, strict=True))
    return replace(history, operations=operations), factor


def call_price(deployments: Sequence[Deployment], prices: PriceBook, at: datetime) -> CallPrice:
    """Return the price of a call on a tier, the dearest of its deployments' for each part of it."""
    rates = [prices.rates(d.model, at, d.service_tier, d.region) for d in deployments]
    return CallPrice(
        max(float(rate["input"] + rate["compute_s"] / READ_TOKENS_S) for rate in rates),
        max(float(rate["output"] + rate["compute_s"] / WRITTEN_TOKENS_S) for rate in rates),
    )


def cost_ranges(samples: Sequence[Sample], seed: int = 0) -> tuple[list[Range], Range]:
    """Return the range of each sample and of their sum; the same for the same samples."""
    import numpy as np

    rng = np.random.default_rng(seed)
    drawn = [_draw(sample, rng) for sample in samples]
    ranges = [_range(_expected(sample), low, high) for sample, (low, high) in zip(samples, drawn, strict=True)]
    lows, highs = (np.sum([ends[k] for ends in drawn], axis=0) if drawn else np.zeros(1) for k in (0, 1))
    return ranges, _range(sum(map(_expected, samples)), lows, highs)


def _expected(sample: Sample) -> float:
    return sample.planned_usd * sum(sample.costs) / sum(sample.calls)


def _draw(sample: Sample, rng: "np.random.Generator") -> tuple["Floats", "Floats"]:
    """Return possible sums: of what was seen and billed, and with what may have been billed or missed."""
    import numpy as np

    n_seen = len(sample.costs)
    costs = np.array([*sample.costs, *(cost for cost, _, _ in sample.unseen)])
    calls = np.array([*sample.calls, *(call for _, call, _ in sample.unseen)])
    shapes = np.array([1.0] * n_seen + [weight for _, _, weight in sample.unseen])
    weights = rng.gamma(shapes, size=(N_DRAWS, len(shapes)))
    counts = rng.multinomial(sample.n_items, weights / weights.sum(axis=1, keepdims=True))
    seen = _times(sample, counts[:, :n_seen] @ np.array(sample.settled), counts[:, :n_seen] @ calls[:n_seen])
    return seen, _times(sample, counts @ costs, counts @ calls)


def _times(sample: Sample, costs: "Floats", calls: "Floats") -> "Floats":
    """Return the planned one-call costs times each draw's ratio; what is expected for a draw of no such operation."""
    import numpy as np

    found: Floats = np.full(N_DRAWS, _expected(sample))
    is_drawn = calls > 0
    found[is_drawn] = sample.planned_usd * costs[is_drawn] / calls[is_drawn]
    return found


def _range(expected: float, lows: "Floats", highs: "Floats") -> Range:
    import numpy as np

    low, high = float(np.quantile(lows, (1 - COVERED) / 2)), float(np.quantile(highs, (1 + COVERED) / 2))
    return Range(expected, min(low, expected), max(high, expected))


def _sample(
    load: Load, operations: Sequence[Operation], reach: Reach, call_prices: Mapping[str, CallPrice], lengths: Mapping[str, float]
) -> Sample:
    """Return the operations that began on the load's tier; with few of them, also the others as if they had begun there."""
    used = [o for o in operations if o.tier == load.tier]
    if len(used) < LEAST:
        used += [o for o in operations if o.tier != load.tier]
    first, path = call_prices[load.tier], reach.tiers[load.tier]
    typical = sum(o.input_tokens for o in used) / len(used)
    climb = [call_prices[tier].of(typical, lengths[tier]) for tier in path]
    is_free = climb[0] == 0  # then operations are counted, not weighed
    return Sample(
        load.n_items,
        load.n_items if is_free else first.of(load.input_tokens, load.n_items * lengths[load.tier]),
        [sum(_costs(o, load.tier, path, call_prices, lengths)) for o in used],
        [sum(_costs(replace(o, steps=_known(o)), load.tier, path, call_prices, lengths)) for o in used],
        [1.0 if is_free else first.of(o.estimated_tokens, lengths[load.tier]) for o in used],
        [(sum(climb[: n + 1]), climb[0] or 1.0, UNSEEN / 2 ** (n - 1)) for n in range(1, len(climb))],
    )


def _costs(
    operation: Operation, start: str, path: Sequence[str], call_prices: Mapping[str, CallPrice], lengths: Mapping[str, float]
) -> list[float]:
    """Return the cost of each of an operation's calls, as if it had begun on ``start``; those above the highest tier fall away."""
    n_up = TIERS.index(start) - TIERS.index(operation.tier)
    found = []
    for step in operation.steps:
        number = TIERS.index(step.tier) + n_up
        if n_up == 0 and step.cost_usd is not None:
            found.append(step.cost_usd)
        elif number < len(TIERS) and (tier := TIERS[number]) in path:
            n_output = lengths[tier] if step.output_tokens is None else step.output_tokens
            found.append(call_prices[tier].of(operation.input_tokens, n_output))
    return found


def _known(operation: Operation) -> tuple[Step, ...]:
    return tuple(step for step in operation.steps if step.cost_usd is not None)


def mean_lengths(operations: Sequence[Operation]) -> dict[str, float]:
    """Return the mean length of an answer by tier; a tier without answers has that of all of them."""
    found = [(s.tier, s.output_tokens) for o in operations for s in o.steps if s.output_tokens is not None]
    of_all = sum(n for _, n in found) / len(found)
    lengths = {tier: [n for own, n in found if own == tier] for tier in TIERS}
    return {tier: sum(own) / len(own) if own else of_all for tier, own in lengths.items()}


def _calls_per_operation(operations: Sequence[Operation], start: str, reach: Reach) -> dict[str, float]:
    """Return how many calls an operation makes on each tier, as if all had begun on ``start``."""
    totals = dict.fromkeys(reach.tiers[start], 0.0)
    for operation in operations:
        n_up = TIERS.index(start) - TIERS.index(operation.tier)
        for step in operation.steps:
            number = TIERS.index(step.tier) + n_up
            if number < len(TIERS) and TIERS[number] in totals:
                totals[TIERS[number]] += 1
    return {tier: n / len(operations) for tier, n in totals.items()}


def _bound(load: Load, reach: Reach, call_prices: Mapping[str, CallPrice], profile: Profile, prices: PriceBook, at: datetime) -> Estimate:
    """Return what a tier's items cost when each is answered in full by one call, and at most."""
    most = 0.0
    for tier in reach.tiers[load.tier]:
        bounds = {}
        voters = reach.voters.get(tier, ())
        for d in (*profile.deployments(tier), *voters):
            seconds = load.n_items * compute_s(d, reach.timeout_s, reach.timeout_s)
            n_output = load.n_items * reach.max_tokens[tier]
            longest = min(int(load.input_tokens), d.context_tokens)
            rates = prices.rates(d.model, at, d.service_tier, d.region, longest)
            tokens = max(rates[part] for part in PROMPT) * int(load.input_tokens) + rates["output"] * n_output
            bounds[d.name] = float(tokens + rates["compute_s"] * seconds + rates["request"] * load.n_items)
        asked = max(bounds[d.name] for d in profile.deployments(tier)) + sum(bounds[d.name] for d in voters)
        most += ATTEMPTS_PER_REQUEST * asked
    firsts = [call_prices[load.tier], *(call_price([voter], prices, at) for voter in reach.voters.get(load.tier, ()))]
    expected = min(most, sum(first.of(load.input_tokens, load.n_items * reach.max_tokens[load.tier]) for first in firsts))
    low = min(expected, sum(first.of(load.input_tokens, 0) for first in firsts))
    return Estimate(load.tier, "worst_case", 0, Range(expected, low, most), {load.tier: float(load.n_items)})


def duration_s(estimates: Sequence[Estimate], tokens_per_call: int, history: History, reach: Reach, profile: Profile) -> tuple[float, bool]:
    """Return how long the calls take at the deployments' limits, and whether that is a bound because a latency is not known."""
    slowest, is_bound = 0.0, False
    for tier in TIERS:
        n_calls = sum(e.n_calls.get(tier, 0.0) for e in estimates)
        if not n_calls:
            continue
        latency_s = history.latency_s.get(tier, reach.timeout_s)
        is_bound |= tier not in history.latency_s
        per_s = sum(_calls_per_s(d, max(latency_s, 0.001), tokens_per_call) for d in profile.deployments(tier))
        slowest = max(slowest, n_calls / per_s + latency_s)
    return slowest, is_bound


def _calls_per_s(deployment: Deployment, latency_s: float, n_tokens: int) -> float:
    limits = [deployment.concurrency / latency_s]
    if deployment.rpm is not None:
        limits.append(deployment.rpm / 60)
    if deployment.tpm is not None:
        limits.append(deployment.tpm / 60 / max(n_tokens, 1))
    return min(limits)
