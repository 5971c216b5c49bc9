"""One answer for one item on one tier: from the response store if it was paid before, else from an endpoint, within the budget."""

import asyncio
import random
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Engine

from skillyard.costs.compute import idle_seconds
from skillyard.costs.prices.book import Cost, PriceBook, Usage
from skillyard.errors import ConfigError, SkillyardError, Transient, Unpriced
from skillyard.gateway import ledger
from skillyard.gateway.budgets import Limit, Limits
from skillyard.gateway.endpoints import Endpoints, Slot, TierDown
from skillyard.gateway.journal import Journal
from skillyard.gateway.ledger import Answer, AnswerKey, Ask, Begun, Busy, Claim, Closed, Found, Hold, Refused, Settled
from skillyard.gateway.request import GRACE_S, Request, attempt_row, compute_s, cut_off, upper_bound
from skillyard.gateway.transport import CallFailed, Reply, close_clients, send
from skillyard.profiles import Deployment, Profile

ATTEMPTS_PER_REQUEST = 5
BACKOFF_S = 0.5
BACKOFF_CAP_S = 30.0
POLL_S = 0.2
NO_USAGE = "no_usage"
"""Error kind of an attempt whose answer is kept, but whose provider did not say what it used."""
BATCH_OWNER = "batch:"
"""How the owner of a lease begins that is held for a batch."""


@dataclass(frozen=True, slots=True)
class Completion:
    """An answer and where it came from."""

    answer: Answer
    n_attempts: int
    """Requests sent for it: 0 from the cache, 1 for one that a process paid before it died."""
    cost_usd: Decimal
    """What it cost this item: nothing from the cache."""


class ProviderUnavailable(SkillyardError, Transient):
    """No deployment of the tier answered within the allowed attempts: the item stays pending, it is not at fault."""


class BudgetExhausted(SkillyardError):
    """The next attempt does not fit under a hard limit, and nothing is on its way that could make room: the item stays pending."""

    def __init__(self, limit: Limit) -> None:
        super().__init__(limit)
        self.limit = limit

    def __str__(self) -> str:
        return f"the hard limit of ${self.limit.hard_usd} is reached: {self.limit.label}"


class WaitingForBatch(SkillyardError, Transient):
    """A batch that a provider works on holds the item: it stays pending until the batch is collected."""


class ItemRefused(SkillyardError):
    """The provider will not work on this item (overflow, refusal, bad_request): another tier may."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(kind, message)
        self.kind, self.message = kind, message


@dataclass(slots=True)
class _Asking:
    """One request on its way: the attempts so far."""

    request: Request
    hold: Hold
    max_tokens: int
    failed: list[CallFailed] = field(default_factory=list)
    tried: set[str] = field(default_factory=set)
    """Deployments that failed since the last pause."""
    n_answered: int = 0
    cost_usd: Decimal = Decimal(0)


class Gateway:
    """Asks the endpoints of one profile for one run; every attempt stands in the ledger, its bound reserved, before it leaves."""

    def __init__(self, engine: Engine, profile: Profile, prices: PriceBook, limits: Limits) -> None:
        self._profile, self._prices = profile, prices
        self._journal = Journal(engine, limits)
        self._endpoints = Endpoints(profile, self._journal.run)
        self.alerts: list[str] = []
        """Soft limits that this process was the first to reach."""

    async def complete(self, request: Request) -> Completion:
        """Return one answer. ProviderUnavailable, BudgetExhausted, WaitingForBatch, ItemRefused and ConfigError say why there is none."""
        keys = tuple(dict.fromkeys(request.key(d) for d in self._profile.deployments(request.pool)))
        limit = min(request.max_tokens, request.learned_max_tokens or request.max_tokens)
        while True:
            markers = tuple(map(cut_off, keys)) if limit < request.max_tokens else ()
            claimed = await self._claim(request, keys + markers)
            if isinstance(claimed, Hold):
                try:
                    return await self._ask(_Asking(request, claimed, limit))
                except _LeaseLost:
                    continue
                except BaseException:
                    self._journal.release(claimed)
                    raise
            if claimed.key not in markers:
                return await self._take_stored(request, claimed)
            limit = request.max_tokens

    async def stop(self) -> None:
        """Commit what waits, give the process's shares of the endpoints back, close its connections."""
        await self._endpoints.stop()
        await self._journal.stop()
        await close_clients()

    async def _claim(self, request: Request, keys: tuple[AnswerKey, ...]) -> Found | Hold:
        """Find the answer or win the right to ask for it, waiting without a slot while somebody else asks."""
        wanted = Claim(keys, request.timeout_s + 2 * GRACE_S)
        wait_s = POLL_S / 2
        while isinstance(claimed := await self._journal.claim(wanted), Busy):
            if claimed.owner.startswith(BATCH_OWNER):
                raise WaitingForBatch(f"{request.item_id} is in a batch that its provider works on")
            await asyncio.sleep(wait_s * random.uniform(0.5, 1.5))
            wait_s = min(2 * wait_s, 1.0)
        return claimed

    async def _take_stored(self, request: Request, found: Found) -> Completion:
        """Return a stored answer: one whose item is not published yet was paid for this item, any other saves its price."""
        if not found.answer.is_published:
            return Completion(found.answer, 1, found.answer.cost_usd)
        deployments = self._profile.deployments(request.pool)
        deployment = next(d for d in deployments if request.key(d) == found.key)
        row = attempt_row(request, deployment, request.max_tokens, Decimal(0), datetime.now(UTC))
        await self._journal.run(lambda connection: ledger.record_cached(connection, row, found.answer))
        return Completion(found.answer, 0, Decimal(0))

    async def _ask(self, asking: _Asking) -> Completion:
        """Send requests until one is answered, as many as are allowed."""
        while len(asking.failed) < ATTEMPTS_PER_REQUEST:
            try:
                completion = await self._attempt(asking)
            except CallFailed as failure:
                asking.failed.append(failure)
                await self._pause(asking)
            else:
                if completion is not None:
                    return completion
        raise ProviderUnavailable(f"{asking.request.tier}: {len(asking.failed)} attempts failed, the last with {asking.failed[-1]}")

    async def _attempt(self, asking: _Asking) -> Completion | None:
        """Send one request; None when its reservation has to wait, or when its answer was cut off and is asked again at the limit."""
        request = asking.request
        try:
            slot = await self._endpoints.acquire(request.pool, request.n_tokens_at_most + asking.max_tokens, asking.tried)
        except TierDown as down:
            raise ProviderUnavailable(str(down)) from None
        sent = await self._begin(asking, slot)
        if sent is None:
            return None
        call_id, started = sent.row["call_id"], time.monotonic()
        try:
            reply = await send(
                slot.deployment, request.messages, request.schema, request.skill, asking.max_tokens, request.timeout_s, call_id
            )
        except CallFailed as failure:
            status = "unknown" if failure.is_billed_unknown else "failed"
            await self._journal.close(Closed(call_id, sent.begun, status, failure.kind, _ms_since(started)))
            if failure.can_retry:
                await self._endpoints.failed(slot, failure.kind, failure.retry_after_s)
            else:
                await self._endpoints.succeeded(slot, None)
            _raise_if_final(failure, slot.deployment)
            asking.tried.add(slot.deployment.name)
            raise
        await self._endpoints.succeeded(slot, time.monotonic() - started)
        return await self._settle(asking, slot.deployment, sent, reply, time.monotonic() - started)

    async def _begin(self, asking: _Asking, slot: Slot) -> "_Sent | None":
        """Reserve the attempt and commit it as sent; None when the reservation of another attempt has to be freed first."""
        request, now = asking.request, datetime.now(UTC)
        bound = upper_bound(request, slot.deployment, self._prices, asking.max_tokens, now)
        row = attempt_row(request, slot.deployment, asking.max_tokens, bound, now)
        begun = await self._journal.begin(Ask(row, asking.hold))
        if isinstance(begun, Begun):
            self.alerts.extend(begun.alerts)
            return _Sent(row, begun)
        self._endpoints.unused(slot)
        if not isinstance(begun, Refused):
            raise _LeaseLost
        if not begun.is_waiting_of_use:
            raise BudgetExhausted(begun.limit)
        await asyncio.sleep(POLL_S * random.uniform(0.5, 1.5))
        return None

    async def _settle(self, asking: _Asking, deployment: Deployment, sent: "_Sent", reply: Reply, latency_s: float) -> Completion | None:
        request, usage = asking.request, reply.usage
        if deployment.utilisation is not None and not usage.compute_s:
            charged = compute_s(deployment, latency_s, request.timeout_s)
            usage = replace(usage, compute_s=charged, idle_s=idle_seconds(charged, deployment.utilisation))
        if usage == Usage():  # paid, for a price that nobody knows: only the answer is settled below
            await self._journal.close(Closed(sent.row["call_id"], sent.begun, "unknown", NO_USAGE, int(latency_s * 1000)))
        cost = self._cost(deployment, usage, sent.row["sent_at"], reply.service_tier or deployment.service_tier)
        said = (reply.content, reply.refusal, reply.finish_reason)
        answer = Answer(sent.row["call_id"], request.tier, deployment.model, *said, cost.usd, datetime.now(UTC))
        is_cut_off = reply.finish_reason == "length" and asking.max_tokens < request.max_tokens
        key = request.key(deployment)
        settled = Settled(
            sent.begun, asking.hold, cut_off(key) if is_cut_off else key, answer, usage, cost, reply.request_id, int(latency_s * 1000)
        )
        await self._journal.settle(replace(settled, keeps_lease=is_cut_off))
        asking.cost_usd += cost.usd
        asking.n_answered += 1
        if is_cut_off:
            asking.max_tokens = request.max_tokens
            return None
        return Completion(answer, len(asking.failed) + asking.n_answered, asking.cost_usd)

    def _cost(self, deployment: Deployment, usage: Usage, at: datetime, service_tier: str) -> Cost:
        """Return the cost by the price list that the provider says it worked by, which need not be the one that was asked for."""
        asked = deployment.service_tier
        if service_tier != asked:
            try:
                return self._prices.cost(deployment.model, usage, at, service_tier, deployment.region)
            except Unpriced:  # a name for something that the book does not tell apart
                pass
        return self._prices.cost(deployment.model, usage, at, asked, deployment.region)

    async def _pause(self, asking: _Asking) -> None:
        """Wait before the same endpoints are asked again; another endpoint of the tier is asked at once."""
        if self._endpoints.has_others(asking.request.pool, asking.tried) or len(asking.failed) == ATTEMPTS_PER_REQUEST:
            return
        asking.tried.clear()
        await asyncio.sleep(_delay_s(len(asking.failed), asking.failed[-1].retry_after_s))


@dataclass(frozen=True, slots=True)
class _Sent:
    """An attempt that may leave."""

    row: dict[str, Any]
    begun: Begun


class _LeaseLost(Exception):
    """The lease ran out while the request waited, and somebody else took it."""


def _raise_if_final(failure: CallFailed, deployment: Deployment) -> None:
    if failure.kind in ("authentication", "not_found"):
        raise ConfigError(f"deployment {deployment.name!r} ({deployment.model}) refused the call: {failure}. Check its key and model name.")
    if not failure.can_retry:
        raise ItemRefused(failure.kind, failure.message)


def _delay_s(n_failed: int, retry_after_s: float | None) -> float:
    """Wait as long as the provider asks, else exponentially; with jitter, so that many callers do not come back as one."""
    if retry_after_s is not None:
        return min(retry_after_s, BACKOFF_CAP_S) + random.uniform(0, BACKOFF_S)
    return random.uniform(0.5, 1.0) * min(BACKOFF_S * 2.0 ** (n_failed - 1), BACKOFF_CAP_S)


def _ms_since(started: float) -> int:
    return int((time.monotonic() - started) * 1000)
