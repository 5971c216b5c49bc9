"""What is asked for one item, and the ledger row and response-store key that follow from it, for the live lane and for batches."""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any
from uuid import uuid4

from skillyard.costs.compute import compute_seconds
from skillyard.costs.prices.book import PriceBook
from skillyard.gateway.ledger import AnswerKey
from skillyard.gateway.owner import own_name
from skillyard.profiles import Deployment, voter_pool
from skillyard.tokens import Message, most_tokens, n_images, text_of

GRACE_S = 10.0
"""After its timeout and this, nobody waits for an attempt any more."""


@dataclass(frozen=True)
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
    messages: list[Message]
    schema: dict[str, Any] | None
    max_tokens: int
    """The skill's limit: a longer answer is no answer."""
    timeout_s: float
    sample_no: int = 0
    learned_max_tokens: int | None = None
    """Enough for nearly every answer: sent first, so that less is reserved. One that is cut off there is asked again at the limit."""
    is_shared: bool = False
    """The stored answer may serve other teams."""
    lake: str = ""
    """Root of the lake on which the ledger's row belongs."""
    purpose: str = "answer"
    """Why it is asked: answer, routing, vote, audit, judge or eval. The ledger has it; an answer found in the store serves any purpose."""

    voter: str | None = None
    """The one voter of the tier that is asked, in place of its deployments."""

    @property
    def pool(self) -> str:
        """Which of the profile's pools is asked."""
        return voter_pool(self.voter) if self.voter else self.tier

    @cached_property
    def operation_id(self) -> str:
        """The same for every attempt at this item in this run, in whichever process."""
        return hashlib.sha256("\0".join((self.run_id, self.skill, self.item_id)).encode()).hexdigest()[:32]

    @cached_property
    def n_tokens_at_most(self) -> int:
        """An upper bound of the input but its pictures: the texts, a few tokens for each one's role, and the schema, which counts too."""
        schema = json.dumps(self.schema) if self.schema else ""
        return sum(most_tokens(text_of(m)) + 16 for m in self.messages) + most_tokens(schema)

    @cached_property
    def n_images(self) -> int:
        """Pictures that are shown: how many tokens each counts as is the deployment's."""
        return n_images(self.messages)

    @cached_property
    def _asked(self) -> bytes:
        asked = [self.messages, self.schema, self.max_tokens, self.sample_no]
        return hashlib.sha256(json.dumps(asked, sort_keys=True, ensure_ascii=False).encode()).digest()

    def key(self, deployment: Deployment) -> AnswerKey:
        """Return the response store's key for an answer of this deployment; endpoints of the same model share it."""
        how = json.dumps([deployment.model, dict(deployment.params)], sort_keys=True)
        digest = hashlib.sha256(self._asked + how.encode()).hexdigest()
        return AnswerKey("*" if self.is_shared else self.team, self.skill, self.fingerprint, self.item_id, digest)


def cut_off(key: AnswerKey) -> AnswerKey:
    """Return the key under which it is kept that the learned limit was too low for this request."""
    return AnswerKey(key.team, key.skill, key.fingerprint, key.item_id, f"{key.request_hash} cut off")


def upper_bound(request: Request, deployment: Deployment, prices: PriceBook, max_tokens: int, at: datetime, lane: str = "live") -> Decimal:
    """Return the most USD an attempt can cost at the lane's prices of that day."""
    seconds = compute_s(deployment, request.timeout_s, request.timeout_s)
    tier = deployment.service_tier_in(lane)
    n_input = request.n_tokens_at_most + request.n_images * (deployment.image_tokens or 0)
    return prices.upper_bound(deployment.model, n_input, max_tokens, seconds, at, tier, deployment.region)


def compute_s(deployment: Deployment, latency_s: float, timeout_s: float) -> Decimal:
    """Return the compute seconds a call is charged with at an endpoint that is paid by the hour; at any other all of its time."""
    charged = min(latency_s, timeout_s)
    if deployment.utilisation is None:
        return Decimal(str(charged))
    return compute_seconds(charged, deployment.concurrency, deployment.utilisation)


def attempt_row(
    request: Request, deployment: Deployment, max_tokens: int, reserved_usd: Decimal, at: datetime, **more: Any
) -> dict[str, Any]:
    """Return an attempt's row of the ledger as it leaves."""
    return {
        "call_id": uuid4().hex,
        "operation_id": request.operation_id,
        "lake": request.lake,
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
        "lane": "live",
        "service_tier": deployment.service_tier,
        "purpose": request.purpose,
        "request_hash": request.key(deployment).request_hash,
        "max_tokens": max_tokens,
        "reserved_usd": reserved_usd,
        "sent_at": at,
        "ends_at": at + timedelta(seconds=request.timeout_s + GRACE_S),
        "owner": own_name(),
        **more,
    }
