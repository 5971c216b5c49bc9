"""An audit through the batch lane: handed over early in the night, at a provider's lower price, and collected when the answers are needed.

A batch only fills the response store. Whatever it has not answered by then, the audit asks live.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import uuid4

from skillyard.gateway import batch as gateway
from skillyard.gateway.batch_rows import Batch, find_batch
from skillyard.gateway.files import BatchRefused, BatchUnavailable, look_at
from skillyard.gateway.request import Request
from skillyard.profiles import Deployment, Profile
from skillyard.routing.lane import BATCH_WINDOW, Queue, find_offer
from skillyard.running.answer import make_request, n_tokens_needed
from skillyard.running.audit_ask import Auditor
from skillyard.running.batch import CANCEL_TIME, WINDOW_GRACE
from skillyard.running.runs import Workspace
from skillyard.tiers import TIERS


def hand_over(auditor: Auditor, key: str) -> int:
    """Hand the audit's requests to the batch APIs that the tiers offer, each tier's as one batch; return how many requests that is.

    Repeating it finds what was handed over before.
    """
    n_requests = 0
    for tier in auditor.tiers:
        shard_key, state = _shard_key(auditor.space, key, tier), auditor.space.state
        with gateway.alone(state, shard_key, auditor.space.skill.name):
            batch = find_batch(state, shard_key)
            if batch is not None and batch.status == "preparing":
                batch = gateway.find_again(state, batch, gateway.deployment_of(auditor.profile, tier, batch.deployment))
            if batch is None or batch.status == "unsent":
                batch = _submit(auditor, tier, shard_key)
        if batch is not None and batch.is_open:
            n_requests += batch.n_requests
    return n_requests


def is_waiting(space: Workspace, profile: Profile, key: str) -> bool:
    """Say whether a provider still works on a batch of the audit; one that does not answer is waited for."""
    return any(_is_at_work(gateway.deployment_of(profile, batch.tier, batch.deployment), batch) for batch in _open(space, key))


def _is_at_work(deployment: Deployment, batch: Batch) -> bool:
    if batch.provider_batch_id is None:
        return False
    try:
        return not look_at(deployment, batch.provider_batch_id).is_over
    except BatchUnavailable:
        return True


def collect(auditor: Auditor, key: str) -> None:
    """Take in what the audit's batches have answered, cancelling what is not over."""
    skill = auditor.space.skill
    for batch in _open(auditor.space, key):
        deployment = gateway.deployment_of(auditor.profile, batch.tier, batch.deployment)
        if batch.status == "preparing":
            batch = gateway.find_again(auditor.space.state, batch, deployment)
        if batch.provider_batch_id is None:
            continue
        shown = gateway.stop_batch(deployment, batch.provider_batch_id, datetime.now(UTC) + CANCEL_TIME)
        if shown is None:
            gateway.abandon(auditor.space.state, batch)
            continue
        n_answered = gateway.collect(auditor.space.state, batch, deployment, shown, auditor.prices, skill.share == "all")
        auditor.say(f"{skill.name}: the batch {shown.batch_id} is {shown.status}, {n_answered} of {batch.n_requests} answered")


def _submit(auditor: Auditor, tier: str, shard_key: str) -> Batch | None:
    """Return the batch of a tier's requests; None when there is no offer, nothing to ask, or the provider takes none of it."""
    requests, now, skill = list(_requests(auditor, tier)), datetime.now(UTC), auditor.space.skill
    deployments = auditor.profile.deployments(tier)
    if not requests:
        return None
    queue = Queue(len(requests), requests[0].n_tokens_at_most, skill.limits.output_tokens, skill.limits.timeout_s)
    offer = find_offer(queue, deployments, auditor.prices, now)
    if offer is None or offer.price_ratio >= 1:
        return None
    ends_at = now + BATCH_WINDOW + WINDOW_GRACE
    batch = Batch(uuid4().hex, auditor.plan.audit_id, skill.name, shard_key, tier, offer.deployment, "preparing", 0, now, ends_at)
    deployment = gateway.deployment_of(auditor.profile, tier, offer.deployment)
    prepared = gateway.prepare(auditor.space.state, batch, requests, deployments, deployment, auditor.prices, auditor.limits)
    try:
        return gateway.hand_over(auditor.space.state, batch, deployment, prepared.calls) if prepared.calls else None
    except BatchRefused as error:
        auditor.say(f"{skill.name}: no batch, all of it is asked live: {error}")
        return None


def _requests(auditor: Auditor, tier: str) -> Iterator[Request]:
    """Yield what has to be asked of a tier and fits its window."""
    skill, profile = auditor.space.skill, auditor.profile
    for sampled in auditor.plan.sample:
        if auditor.names[sampled.tier] != tier:
            request = make_request(tier, sampled.item, skill, auditor.asker(sampled), profile, "audit")
            if n_tokens_needed(request) <= profile.context_tokens(tier):
                yield request


def _open(space: Workspace, key: str) -> list[Batch]:
    found = (find_batch(space.state, _shard_key(space, key, tier)) for tier in TIERS)
    return [batch for batch in found if batch is not None and batch.is_open]


def _shard_key(space: Workspace, key: str, tier: str) -> str:
    return f"{space.lake.url}/{key}/{tier}"
