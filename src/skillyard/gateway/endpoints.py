"""Which endpoint of a tier is asked next: the least busy one that is healthy and has a slot, as seen by one process.

The shared part of it stands in ``limits``; this process exchanges news with it once a second, or ten times a second while requests wait.
"""

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from skillyard.errors import SkillyardError, Transient
from skillyard.gateway import limits
from skillyard.gateway.limits import Grant, Health, Wish
from skillyard.gateway.owner import own_name
from skillyard.gateway.state import EPOCH
from skillyard.profiles import Deployment, Profile

EXCHANGE_EVERY_S = 1.0
EXCHANGE_GAP_S = 0.1
ALLOWANCE_TTL = timedelta(seconds=1)
PATIENCE = timedelta(seconds=30)
"""How long requests wait for a tier whose endpoints are all down, counted from when the last of them went down."""
REST_S = 0.5
"""How long an endpoint is left alone after a 429 that does not say for how long."""
LONGEST_REST_S = 30.0
UNHEALTHY = frozenset({"timed_out", "connection", "server_error", "unreadable_reply"})
TROUBLED = frozenset({"timed_out", "rate_limited"})

Run = Callable[[Callable[..., Any]], Awaitable[Any]]


class TierDown(SkillyardError, Transient):
    """Every endpoint of the tier has been down for longer than a request waits."""


@dataclass(slots=True, eq=False)
class Endpoint:
    """One endpoint as this process sees it; deployments of several tiers may share it."""

    deployment: Deployment
    n_in_flight: int = 0
    n_in_flight_peak: int = 0
    """The most since the shared limits were last asked."""
    n_slots: int = 0
    n_requests: int = 0
    n_tokens: int = 0
    allowance_ends: datetime = EPOCH
    latency_s: float = 0.0
    """A moving average; 0 before the first answer."""
    best_latency_s: float = 0.0
    is_troubled: bool = False
    is_short: bool = False
    """A request waits, or has waited, because all slots are taken."""
    has_answered: bool = False
    is_probing: bool = False
    refused_since: datetime | None = None
    """It has answered 429 since then, and nothing else."""
    rests_until: datetime = EPOCH
    health: Health = field(default_factory=lambda: Health(0, None, None))

    @property
    def name(self) -> str:
        """What all processes know it by."""
        return self.deployment.endpoint

    @property
    def is_open(self) -> bool:
        """Its circuit is open: it is not asked but by probes."""
        return self.health.open_until is not None

    def is_up(self, now: datetime) -> bool:
        """Say whether it is asked at all: its circuit is closed, and it has not asked to be left alone."""
        return not self.is_open and now >= self.rests_until

    def down_since(self, now: datetime) -> datetime | None:
        """Return since when it has not answered, if it is not asked for that reason."""
        return None if self.is_up(now) else self.health.down_since or self.refused_since

    def is_ready(self, now: datetime, n_tokens: int) -> bool:
        """Say whether a request of so many tokens may go there now."""
        if not self.is_up(now) or self.n_in_flight >= self.n_slots:
            return False
        d = self.deployment
        if d.rpm is None and d.tpm is None:
            return True
        is_current = now < self.allowance_ends
        return is_current and (d.rpm is None or self.n_requests >= 1) and (d.tpm is None or self.n_tokens >= n_tokens)

    def busyness(self) -> float:
        """Return how long a further request would take, roughly: requests in flight times latency, by weight."""
        return (self.n_in_flight + 1) * (self.latency_s or 0.001) / self.deployment.weight

    def take(self, n_tokens: int) -> None:
        """Count a request that is about to leave."""
        self.n_in_flight += 1
        self.n_in_flight_peak = max(self.n_in_flight_peak, self.n_in_flight)
        self.n_requests -= 1
        self.n_tokens -= n_tokens

    def note_latency(self, seconds: float) -> None:
        """Average the latency; the best one is forgotten slowly, so that an endpoint may become slower for good."""
        self.latency_s = seconds if not self.latency_s else 0.9 * self.latency_s + 0.1 * seconds
        self.best_latency_s = min(self.best_latency_s * 1.001 or seconds, self.latency_s)
        self.has_answered, self.refused_since = True, None

    def note_refusal(self, retry_after_s: float | None, now: datetime) -> None:
        """Leave it alone for as long as it asks after a 429, each process a little longer than that."""
        rest_s = min(REST_S if retry_after_s is None else retry_after_s, LONGEST_REST_S) + random.uniform(0, REST_S)
        self.rests_until = max(self.rests_until, now + timedelta(seconds=rest_s))
        self.refused_since = self.refused_since or now

    def wish(self, waiting: Sequence[int], now: datetime) -> Wish:
        """Return what to tell and to ask the shared limits, given the tokens of each waiting request, and begin to look anew.

        Until they answer, requests may only take the place of others: a free slot may go to another process now.
        """
        d = self.deployment
        if now >= self.allowance_ends:
            self.n_requests = self.n_tokens = 0
        is_short = self.is_short and self.has_answered and self.latency_s < 2 * self.best_latency_s
        n_wanted = max(self.n_in_flight_peak, self.n_in_flight + len(waiting))
        n_requests, n_tokens = max(0, len(waiting) - max(0, self.n_requests)), max(0, sum(waiting) - max(0, self.n_tokens))
        made = Wish(
            self.name,
            d.concurrency,
            d.rpm,
            d.tpm,
            self.n_in_flight,
            n_wanted,
            n_requests,
            n_tokens,
            is_troubled=self.is_troubled,
            is_short=is_short,
            largest=min(n_tokens, max(waiting, default=0)),
        )
        self.is_troubled = self.has_answered = False
        self.n_slots = self.n_in_flight_peak = self.n_in_flight
        return made

    def accept(self, grant: Grant, now: datetime) -> None:
        """Take over what was granted."""
        self.n_slots, self.health = max(grant.n_slots, self.n_in_flight), grant.health
        self.is_short = False  # what still waits is about to say so again
        if grant.n_requests or grant.n_tokens:
            self.n_requests = max(0, self.n_requests) + grant.n_requests
            self.n_tokens = max(0, self.n_tokens) + grant.n_tokens
            self.allowance_ends = now + ALLOWANCE_TTL


@dataclass(frozen=True, slots=True)
class Slot:
    """Leave to send one request of a deployment to its endpoint."""

    deployment: Deployment
    endpoint: Endpoint
    n_tokens: int


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    """A request that waits for a slot."""

    n_tokens: int
    turn: asyncio.Future[None]


class Endpoints:
    """Hands out slots of a profile's endpoints to the requests of one event loop. ``run`` runs a function in a transaction."""

    def __init__(self, profile: Profile, run: Run) -> None:
        self._run = run
        made: dict[str, Endpoint] = {}
        self._tiers = {
            tier: [(d, made.setdefault(d.endpoint, Endpoint(d))) for d in deployments] for tier, deployments in profile.pools.items()
        }
        self._waiting: dict[str, deque[_Waiting]] = {tier: deque() for tier in self._tiers}
        self._used: dict[str, Endpoint] = {}
        self._is_short = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None
        self._error: Exception | None = None

    async def acquire(self, tier: str, n_tokens: int, tried: set[str]) -> Slot:
        """Wait for a slot at the least busy endpoint; TierDown when none comes.

        A deployment in ``tried`` is asked only if no other is up. Give the slot back by ``succeeded``, ``failed`` or ``unused``.
        """
        deployments = self._tiers[tier]
        self._start(tier)
        while True:
            if self._error is not None:
                raise self._error
            now = datetime.now(UTC)
            found = await self._probe(tier, tried, now)
            others = [(d, e) for d, e in deployments if d.name not in tried and e.is_up(now)]
            if found is None:
                ready = [(d, e) for d, e in others or deployments if e.is_ready(now, n_tokens)]
                found = min(ready, key=lambda pair: pair[1].busyness(), default=None)
            if found is not None:
                found[1].take(n_tokens)
                return Slot(*found, n_tokens)
            _raise_if_down(tier, [e for _, e in deployments], now)
            for _, endpoint in others:
                endpoint.is_short |= endpoint.n_in_flight >= endpoint.n_slots
            await self._wait(tier, n_tokens)

    async def succeeded(self, slot: Slot, latency_s: float | None) -> None:
        """Give a slot back after an answer, be it a refusal of the request (latency None)."""
        endpoint = slot.endpoint
        if latency_s is not None:
            endpoint.note_latency(latency_s)
        self._free(endpoint)
        if endpoint.health.n_failures:
            endpoint.health = Health(0, None, None)
            await self._run(lambda connection: limits.note_success(connection, endpoint.name))
            self._wake_all()

    async def failed(self, slot: Slot, kind: str, retry_after_s: float | None = None) -> None:
        """Give a slot back after a failure that may be the endpoint's."""
        endpoint, now = slot.endpoint, datetime.now(UTC)
        if kind in TROUBLED:
            endpoint.is_troubled = True
            self._is_short.set()
        if kind == "rate_limited":
            endpoint.note_refusal(retry_after_s, now)
        self._free(endpoint)
        if kind in UNHEALTHY:
            endpoint.health = await self._run(lambda connection: limits.note_failure(connection, endpoint.name, now))

    def unused(self, slot: Slot) -> None:
        """Give a slot back that no request has used."""
        slot.endpoint.n_requests += 1
        slot.endpoint.n_tokens += slot.n_tokens
        self._free(slot.endpoint)

    def has_others(self, tier: str, tried: set[str]) -> bool:
        """Say whether the tier has a deployment beside those tried that is asked at all now."""
        now = datetime.now(UTC)
        return any(d.name not in tried and e.is_up(now) for d, e in self._tiers[tier])

    async def stop(self) -> None:
        """Give the process's shares back."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])
            owner = own_name()
            await self._run(lambda connection: limits.give_back(connection, owner))

    def _start(self, tier: str) -> None:
        for _, endpoint in self._tiers[tier]:
            if endpoint.name not in self._used:
                self._used[endpoint.name] = endpoint
                self._is_short.set()
        if self._keeper is None:
            self._keeper = asyncio.create_task(self._keep())

    async def _keep(self) -> None:
        """Exchange news with the other processes, as long as the gateway is at work."""
        try:
            while True:
                self._is_short.clear()
                await self._exchange()
                await asyncio.sleep(EXCHANGE_GAP_S)
                try:
                    async with asyncio.timeout(EXCHANGE_EVERY_S - EXCHANGE_GAP_S):
                        await self._is_short.wait()
                except TimeoutError:
                    pass
        except Exception as error:
            self._error = error
            self._wake_all()

    async def _exchange(self) -> None:
        now, owner = datetime.now(UTC), own_name()
        endpoints = list(self._used.values())
        wishes = [e.wish(self._tokens_waiting(e), now) for e in endpoints]
        grants = await self._run(lambda connection: limits.exchange(connection, owner, wishes, now))
        for endpoint, grant in zip(endpoints, grants, strict=True):
            endpoint.accept(grant, now)
        self._wake_all()

    async def _probe(self, tier: str, tried: set[str], now: datetime) -> tuple[Deployment, Endpoint] | None:
        """Return an endpoint whose cooldown is over, when this process is the one that may ask it."""
        for deployment, endpoint in self._tiers[tier]:
            until = endpoint.health.open_until
            if until is None or until > now or endpoint.is_probing or deployment.name in tried:
                continue
            endpoint.is_probing = True
            try:
                is_ours, endpoint.health = await self._run(lambda c, e=endpoint: limits.claim_probe(c, e.name, now))
            finally:
                endpoint.is_probing = False
            if is_ours:
                return deployment, endpoint
        return None

    async def _wait(self, tier: str, n_tokens: int) -> None:
        waiting = _Waiting(n_tokens, asyncio.get_running_loop().create_future())
        self._waiting[tier].append(waiting)
        self._is_short.set()
        try:
            await waiting.turn
        except asyncio.CancelledError:
            with suppress(ValueError):
                self._waiting[tier].remove(waiting)
            raise

    def _free(self, endpoint: Endpoint) -> None:
        endpoint.n_in_flight -= 1
        for tier in self._tiers_of(endpoint):
            _wake(self._waiting[tier], 1)

    def _wake_all(self) -> None:
        for waiting in self._waiting.values():
            _wake(waiting, len(waiting))

    def _tokens_waiting(self, endpoint: Endpoint) -> list[int]:
        return [waiting.n_tokens for tier in self._tiers_of(endpoint) for waiting in self._waiting[tier]]

    def _tiers_of(self, endpoint: Endpoint) -> list[str]:
        return [tier for tier, deployments in self._tiers.items() if any(e is endpoint for _, e in deployments)]


def _wake(waiting: deque[_Waiting], n: int) -> None:
    for _ in range(n):
        while waiting:
            turn = waiting.popleft().turn
            if not turn.done():
                turn.set_result(None)
                break


def _raise_if_down(tier: str, endpoints: list[Endpoint], now: datetime) -> None:
    since = [moment for e in endpoints if (moment := e.down_since(now)) is not None]
    if len(since) == len(endpoints) and now - max(since) >= PATIENCE:
        raise TierDown(f"{tier}: no endpoint has answered since {max(since):%H:%M:%S} UTC ({', '.join(e.name for e in endpoints)})")
