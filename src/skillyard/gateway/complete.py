"""One answer for one item on one tier: from the response store if it was paid before, else from the least busy deployment."""

import asyncio
import hashlib
import json
import os
import random
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from typing import Any
from uuid import uuid4

from sqlalchemy import Engine

from skillyard.costs.prices import PriceBook
from skillyard.errors import ConfigError, SkillyardError, Transient
from skillyard.gateway import ledger
from skillyard.gateway.ledger import Answer, AnswerKey
from skillyard.gateway.transport import CallFailed, Reply, send
from skillyard.profiles import Deployment, Profile
from skillyard.tokens import most_tokens

ATTEMPTS_PER_REQUEST = 5
BACKOFF_S = 0.5
BACKOFF_CAP_S = 30.0


@dataclass(frozen=True, slots=True)
class Request:
    """What to ask for one item. ``sample_no`` grows when the same tier is asked again after a failed check."""

    run_id: str
    dag_id: str
    team: str
    skill: str
    fingerprint: str
    item_id: str
    doc_id: str
    tier: str
    messages: list[dict[str, str]]
    schema: dict[str, Any] | None
    max_tokens: int
    timeout_s: float
    sample_no: int = 0

    @property
    def operation_id(self) -> str:
        """The same for every attempt at this item in this run, in whichever process."""
        return hashlib.sha256("\0".join((self.run_id, self.skill, self.item_id)).encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Completion:
    """An answer and where it came from."""

    answer: Answer
    model: str
    n_attempts: int
    """Requests sent for it: 0 from the cache, 1 for one that a process paid before it died."""
    cost_usd: Decimal
    """What it cost this item: nothing from the cache."""


class ProviderUnavailable(SkillyardError, Transient):
    """No deployment of the tier answered within the allowed attempts: the item stays pending, it is not at fault."""


class ItemRefused(SkillyardError):
    """The provider will not work on this item (overflow, refusal, bad_request): another tier may."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(kind, message)
        self.kind, self.message = kind, message


class Gateway:
    """Asks the deployments of one profile; every attempt stands in the ledger before it leaves."""

    def __init__(self, engine: Engine, profile: Profile, prices: PriceBook) -> None:
        self._engine, self._profile, self._prices = engine, profile, prices
        self._in_flight: dict[str, int] = {}
        self._slots: dict[str, asyncio.Semaphore] = {}

    async def complete(self, request: Request) -> Completion:
        """Return one answer. ProviderUnavailable, ItemRefused and ConfigError say why there is none."""
        keys = {d.name: _answer_key(request, d) for d in self._profile.deployments(request.tier)}
        stored = self._find_stored(request, keys)
        if stored is not None:
            return stored
        failed: list[CallFailed] = []
        tried: set[str] = set()
        while len(failed) < ATTEMPTS_PER_REQUEST:
            deployment = self._choose(request.tier, tried)
            try:
                answer = await self._attempt(request, deployment, keys[deployment.name])
                return Completion(answer, deployment.model, len(failed) + 1, answer.cost_usd)
            except CallFailed as failure:
                failed.append(failure)
                tried.add(deployment.name)
                _raise_if_final(failure, deployment)
            if len(failed) < ATTEMPTS_PER_REQUEST:
                await asyncio.sleep(_delay_s(len(failed), failed[-1].retry_after_s))
        raise ProviderUnavailable(f"{request.tier}: {len(failed)} attempts failed, the last with {failed[-1]}")

    def _find_stored(self, request: Request, keys: Mapping[str, AnswerKey]) -> Completion | None:
        seen: set[AnswerKey] = set()
        for deployment in self._profile.deployments(request.tier):
            key = keys[deployment.name]
            answer = None if key in seen else ledger.find_answer(self._engine, key, request.tier)
            seen.add(key)
            if answer is None:
                continue
            if not answer.is_published:
                return Completion(answer, deployment.model, 1, answer.cost_usd)
            ledger.record_cached(self._engine, _attempt_row(request, deployment, key, uuid4().hex), answer)
            return Completion(answer, deployment.model, 0, Decimal(0))
        return None

    def _choose(self, tier: str, tried: set[str]) -> Deployment:
        """Return the least busy deployment, one that has not failed for this request if there is any."""
        every = self._profile.deployments(tier)
        untried = [d for d in every if d.name not in tried] or every
        return min(untried, key=lambda d: self._in_flight.get(d.name, 0) / d.concurrency)

    async def _attempt(self, request: Request, deployment: Deployment, key: AnswerKey) -> Answer:
        slot = self._slots.setdefault(deployment.name, asyncio.Semaphore(deployment.concurrency))
        self._in_flight[deployment.name] = self._in_flight.get(deployment.name, 0) + 1
        try:
            async with slot:
                return await self._ask(request, deployment, key)
        finally:
            self._in_flight[deployment.name] -= 1

    async def _ask(self, request: Request, deployment: Deployment, key: AnswerKey) -> Answer:
        """Commit ``sent``, ask, commit the outcome."""
        now = datetime.now(UTC)
        call_id = uuid4().hex
        reserved = self._prices.upper_bound(deployment.model, _n_tokens_at_most(request), request.max_tokens, request.timeout_s, now)
        row = _attempt_row(request, deployment, key, call_id) | {"reserved_usd": reserved, "sent_at": now}
        ledger.record_sent(self._engine, row)
        started = time.monotonic()
        try:
            reply = await send(deployment, request.messages, request.schema, request.skill, request.max_tokens, request.timeout_s, call_id)
        except CallFailed as failure:
            status = "unknown" if failure.is_billed_unknown else "failed"
            ledger.close_attempt(self._engine, call_id, status, failure.kind, _ms_since(started))
            raise
        return self._settle(key, request.tier, call_id, deployment, reply, now, _ms_since(started))

    def _settle(
        self, key: AnswerKey, tier: str, call_id: str, deployment: Deployment, reply: Reply, sent_at: datetime, latency_ms: int
    ) -> Answer:
        cost = self._prices.cost(deployment.model, reply.usage, sent_at)
        answer = Answer(call_id, reply.content, reply.refusal, reply.finish_reason, cost.usd, datetime.now(UTC))
        ledger.settle(self._engine, key, tier, answer, reply.usage, cost, provider_request_id=reply.request_id, latency_ms=latency_ms)
        return answer


def _answer_key(request: Request, deployment: Deployment) -> AnswerKey:
    asked = [deployment.model, request.messages, request.schema, dict(deployment.params), request.max_tokens, request.sample_no]
    digest = hashlib.sha256(json.dumps(asked, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
    return AnswerKey(request.team, request.skill, request.fingerprint, request.item_id, digest)


def _attempt_row(request: Request, deployment: Deployment, key: AnswerKey, call_id: str) -> dict[str, Any]:
    return {
        "call_id": call_id,
        "operation_id": request.operation_id,
        "run_id": request.run_id,
        "dag_id": request.dag_id,
        "skill": request.skill,
        "fingerprint": request.fingerprint,
        "team": request.team,
        "item_id": request.item_id,
        "doc_id": request.doc_id,
        "sample_no": request.sample_no,
        "tier": request.tier,
        "model": deployment.model,
        "deployment": deployment.name,
        "request_hash": key.request_hash,
        "owner": _owner(),
    }


def _n_tokens_at_most(request: Request) -> int:
    """Return an upper bound of the input: the messages, a few tokens for each one's role, and the schema, which providers count too."""
    schema = json.dumps(request.schema) if request.schema else ""
    return sum(most_tokens(m["content"]) + 16 for m in request.messages) + most_tokens(schema)


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


@cache
def _owner_of(pid: int) -> str:
    return f"{socket.gethostname()}:{pid}:{int(time.time())}"


def _owner() -> str:
    """Return host, process and its first use: a pid alone is used again."""
    return _owner_of(os.getpid())
