"""Batches: many requests reserved at once, handed to a provider as one batch, its answers taken into the response store.

In this order, each step committed before the next: ``prepare`` (one transaction: the batch's row, and an attempt ``sent`` with its
reservation for each request); ``hand_over`` (the file uploaded, the batch created under our name); ``wait_for_batch``; ``collect``. A
process may die between any two steps: the batch is found again by its shard in the state store and by its name at the provider. Answers
are kept under the key that a live request has, so whoever asks for one later finds it.
"""

import asyncio
import random
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from sqlalchemy import Connection, Engine, RowMapping, insert, select

from skillyard.costs.prices.book import BATCH, PriceBook, Usage
from skillyard.errors import UnknownName
from skillyard.gateway import files, ledger
from skillyard.gateway.batch_rows import Batch, change_batch
from skillyard.gateway.budgets import Limits, counters_of
from skillyard.gateway.complete import BATCH_OWNER, NO_USAGE
from skillyard.gateway.files import BatchRefused, BatchUnavailable, ProviderBatch, ResultRow
from skillyard.gateway.ledger import Answer, AnswerKey, Ask, Begun, Claim, Closed, Hold, Settled
from skillyard.gateway.request import Request, attempt_row, upper_bound
from skillyard.gateway.state import ATTEMPTS, BATCHES, LEASES, reading
from skillyard.profiles import Deployment, Profile

HAND_OVER_S = 2 * files.MOVE_TIMEOUT_S
"""How long one process may take to hand a shard over before another one of another host may try."""
FIRST_POLL_S, LAST_POLL_S = 1.0, 120.0
TIME_IS_UP = "time is up"
CHUNK = 200
"""Result rows that are committed together."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """Which requests a batch holds, by call_id; the others have a stored answer, are asked for elsewhere or do not fit the budget."""

    calls: Mapping[str, Request]
    alerts: tuple[str, ...]


def deployment_of(profile: Profile, tier: str, name: str) -> Deployment:
    """Return the deployment that has a batch; UnknownName when it left the profile meanwhile."""
    deployments = {d.name: d for d in profile.deployments(tier)}
    if name not in deployments:
        raise UnknownName(f"deployment of the tier {tier}, which has a batch that is not collected yet,", name, deployments)
    return deployments[name]


@contextmanager
def alone(engine: Engine, shard_key: str, skill: str) -> Iterator[None]:
    """Let one process at a time hand a shard over, waiting for the one that does; a dead one's turn is over at once on its own host."""
    wanted = Claim((AnswerKey("", skill, "", shard_key, "hand over"),), HAND_OVER_S)
    while True:
        with engine.begin() as connection:
            [hold] = ledger.claim(connection, [wanted])
        if isinstance(hold, Hold):
            break
        time.sleep(random.uniform(0.5, 1.5))
    try:
        yield
    finally:
        with engine.begin() as connection:
            ledger.release(connection, [hold])


def prepare(
    engine: Engine,
    batch: Batch,
    requests: Sequence[Request],
    deployments: Sequence[Deployment],
    deployment: Deployment,
    prices: PriceBook,
    limits: Limits,
) -> Prepared:
    """Commit the batch with an attempt for each request that needs one, reserved at the batch price; nothing when none does."""
    now, lasts_s = batch.created_at, (batch.ends_at - batch.created_at).total_seconds()
    more = {"lane": "batch", "service_tier": BATCH, "batch": batch.batch, "ends_at": batch.ends_at, "owner": f"{BATCH_OWNER}{batch.batch}"}
    rows = []
    for request in requests:
        bound = upper_bound(request, deployment, prices, request.max_tokens, now, "batch")
        rows.append(attempt_row(request, deployment, request.max_tokens, bound, now, **more))
    # The owner names the attempt, so that whoever collects finds its lease.
    claims = [
        Claim(tuple(dict.fromkeys(r.key(d) for d in deployments)), lasts_s, f"{row['owner']}:{row['call_id']}")
        for r, row in zip(requests, rows, strict=True)
    ]
    with engine.begin() as connection:
        claimed = zip(requests, rows, ledger.claim(connection, claims), strict=True)
        asked = [(request, Ask(row, hold)) for request, row, hold in claimed if isinstance(hold, Hold)]
        begun = ledger.begin(connection, [ask for _, ask in asked], limits)
        calls: dict[str, Request] = {}
        alerts: list[str] = []
        left: list[Hold] = []
        for (request, ask), outcome in zip(asked, begun, strict=True):
            if isinstance(outcome, Begun):
                calls[ask.row["call_id"]] = request
                alerts += outcome.alerts
            else:
                left.append(ask.hold)
        ledger.release(connection, left)
        if calls:
            connection.execute(insert(BATCHES).values(**asdict(replace(batch, n_requests=len(calls)))))
    return Prepared(calls, tuple(alerts))


def hand_over(engine: Engine, batch: Batch, deployment: Deployment, calls: Mapping[str, Request]) -> Batch:
    """Upload the requests and have the provider work on them. BatchRefused: it takes none of them, and they are closed without cost."""
    try:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / f"{batch.batch}.jsonl"
            with file.open("w", encoding="utf-8") as stream:
                for call_id, r in calls.items():
                    stream.write(files.request_line(deployment, call_id, r.messages, r.schema, r.skill, r.max_tokens))
            file_id = files.upload(deployment, file)
        with engine.begin() as connection:
            change_batch(connection, batch.batch, input_file_id=file_id)
        made = files.create_batch(deployment, file_id, batch.batch)
    except BatchRefused:
        _end(engine, batch, "refused", "failed", "batch_refused")
        raise
    return _submitted(engine, replace(batch, n_requests=len(calls)), made)


def find_again(engine: Engine, batch: Batch, deployment: Deployment) -> Batch:
    """Return a batch that was being prepared by a process that died: submitted if the provider has it, else closed without cost."""
    found = files.find_batch(deployment, batch.batch)
    if found is not None:
        return _submitted(engine, batch, found)
    return _end(engine, batch, "unsent", "failed", "process_died")


async def wait_for_batch(deployment: Deployment, provider_batch_id: str, until: datetime, say: Callable[[str], None] | None = None) -> str:
    """Return the status of a batch that is over, or TIME_IS_UP. It only looks: nothing is downloaded, nothing is written.

    Between looks it waits longer and longer, with jitter. A look that gets no answer is no news.
    """
    wait_s, status = FIRST_POLL_S, ""
    while (left_s := (until - datetime.now(UTC)).total_seconds()) > 0:
        try:
            shown = await asyncio.to_thread(files.look_at, deployment, provider_batch_id)
        except BatchUnavailable as error:
            shown = None
            if say:
                say(str(error))
        if shown is not None:
            if shown.is_over:
                return shown.status
            if say and shown.status != status:
                say(f"the batch {provider_batch_id} is {shown.status}")
            status = shown.status
        await asyncio.sleep(min(left_s, wait_s * random.uniform(0.8, 1.2)))
        wait_s = min(1.3 * wait_s, LAST_POLL_S)
    return TIME_IS_UP


def stop_batch(deployment: Deployment, provider_batch_id: str, until: datetime) -> ProviderBatch | None:
    """Return a batch that is over, cancelling it first if need be; None when it is not over by ``until``.

    BatchUnavailable when the provider did not answer once.
    """
    shown: ProviderBatch | None = None
    while True:
        try:
            shown = files.look_at(deployment, provider_batch_id)
            if shown.is_over:
                return shown
            if shown.status != "cancelling":
                files.cancel(deployment, provider_batch_id)
        except BatchUnavailable:
            if shown is None and datetime.now(UTC) >= until:
                raise
        if (left_s := (until - datetime.now(UTC)).total_seconds()) <= 0:
            return None
        time.sleep(min(left_s, random.uniform(0.5, 1.5) * FIRST_POLL_S))


def collect(engine: Engine, batch: Batch, deployment: Deployment, shown: ProviderBatch, prices: PriceBook, is_shared: bool) -> int:
    """Take in what a batch that is over has answered: costs into the ledger, answers into the store, in chunks as they arrive.

    Return how many answers were new. Repeating it does nothing twice. A request that failed is closed without cost. One that stands in no
    file is unknown, unless the provider says that it was not worked on.
    """
    calls, holds = _open_attempts(engine, batch), _holds(engine, batch)
    n_lines = n_answered = 0
    for file_id in filter(None, (shown.output_file_id, shown.error_file_id)):
        for lines in _chunks(files.read_lines(deployment, file_id)):
            n_lines += len(lines)
            said = [row for row in map(files.read_row, lines) if row is not None and row.call_id in calls]
            taken = [(row, calls.pop(row.call_id)) for row in {row.call_id: row for row in said}.values()]
            with engine.begin() as connection:
                _take_in(connection, taken, holds, deployment, prices, is_shared)
            n_answered += sum(row.reply is not None for row, _ in taken)
    if shown.status == "failed":
        _end(engine, batch, "collected", "failed", "batch_failed")
    elif shown.status in ("expired", "cancelled") and shown.n_done <= n_lines:
        _end(engine, batch, "collected", "failed", f"batch_{shown.status}")
    else:
        _end(engine, batch, "collected", "unknown", "missing_row")
    return n_answered


def abandon(engine: Engine, batch: Batch) -> None:
    """Give up on a batch that would not end: what became of its requests is unknown, and they may be asked again."""
    _end(engine, batch, "abandoned", "unknown", "batch_stuck")


def _take_in(
    connection: Connection,
    taken: Iterable[tuple[ResultRow, RowMapping]],
    holds: Mapping[str, Hold],
    deployment: Deployment,
    prices: PriceBook,
    is_shared: bool,
) -> None:
    settled, closed, given_back = [], [], []
    now = datetime.now(UTC)
    for row, call in taken:
        latency_ms = int((now - call["sent_at"]).total_seconds() * 1000)
        hold = holds.get(row.call_id, Hold("", "", 0, 0.0))
        if row.reply is None:
            status = "unknown" if row.is_billed_unknown else "failed"
            closed.append(Closed(row.call_id, _begun(call), status, row.error_kind, latency_ms))
            given_back.append(hold)
            continue
        reply = row.reply
        if reply.usage == Usage():
            closed.append(Closed(row.call_id, _begun(call), "unknown", NO_USAGE, latency_ms))
        cost = prices.cost(call["model"], reply.usage, call["sent_at"], BATCH, deployment.region)
        key = AnswerKey("*" if is_shared else call["team"], call["skill"], call["fingerprint"], call["item_id"], call["request_hash"])
        said = (reply.content, reply.refusal, reply.finish_reason)
        answer = Answer(row.call_id, call["tier"], call["model"], *said, cost.usd, now)
        settled.append(Settled(_begun(call), hold, key, answer, reply.usage, cost, reply.request_id, latency_ms))
    ledger.lock_leases(connection, {hold.lease for hold in holds.values()})
    ledger.close(connection, closed)
    ledger.settle(connection, settled)
    ledger.release(connection, given_back)


def _submitted(engine: Engine, batch: Batch, made: ProviderBatch) -> Batch:
    with engine.begin() as connection:
        change_batch(connection, batch.batch, status="submitted", provider_batch_id=made.batch_id)
    return replace(batch, status="submitted", provider_batch_id=made.batch_id)


def _end(engine: Engine, batch: Batch, status: str, row_status: str, error_kind: str) -> Batch:
    """Close what is left of a batch, free its leases and note its end."""
    now = datetime.now(UTC)
    with engine.begin() as connection:
        rows = connection.execute(select(ATTEMPTS).where(ATTEMPTS.c.batch == batch.batch, ATTEMPTS.c.status == "sent")).mappings().all()
        latency_ms = int((now - batch.created_at).total_seconds() * 1000)
        holds = list(_held(connection, batch).values())
        ledger.lock_leases(connection, {hold.lease for hold in holds})
        ledger.close(connection, [Closed(row["call_id"], _begun(row), row_status, error_kind, latency_ms) for row in rows])
        ledger.release(connection, holds)
        change_batch(connection, batch.batch, status=status, collected_at=now)
    return replace(batch, status=status)


def _open_attempts(engine: Engine, batch: Batch) -> dict[str, RowMapping]:
    """Return the attempts whose answer is wanted: those on their way, and those that were given up for dead."""
    query = select(ATTEMPTS).where(ATTEMPTS.c.batch == batch.batch, ATTEMPTS.c.status.in_(("sent", "unknown")))
    with reading(engine) as connection:
        return {row["call_id"]: row for row in connection.execute(query).mappings()}


def _holds(engine: Engine, batch: Batch) -> dict[str, Hold]:
    with reading(engine) as connection:
        return _held(connection, batch)


def _held(connection: Connection, batch: Batch) -> dict[str, Hold]:
    """Return the leases a batch still holds, by call_id."""
    owner = f"{BATCH_OWNER}{batch.batch}:"
    rows = connection.execute(select(LEASES).where(LEASES.c.owner.startswith(owner, autoescape=True)))
    return {row.owner.removeprefix(owner): Hold(row.name, row.owner, row.token, 0.0) for row in rows}


def _begun(row: RowMapping) -> Begun:
    return Begun(counters_of(dict(row)), row["reserved_usd"])


def _chunks(lines: Iterator[bytes]) -> Iterator[list[bytes]]:
    while chunk := list(islice(lines, CHUNK)):
        yield chunk
