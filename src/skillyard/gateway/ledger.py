"""The ledger and the response store in the state store: what was asked, what it cost, what was answered.

Every function works inside a transaction of its caller, on many requests at once. For one answer they come in this order: ``claim``
(it is stored, somebody asks for it now, or it is ours to ask for); ``begin`` (its upper bound reserved, its row ``sent``); the request;
then ``settle`` (answer, cost and budget in one commit) or ``close``.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, insert, or_, select, update

from skillyard.costs.prices.book import Cost, Usage
from skillyard.gateway.budgets import Limit, Limits, counters_of, lock_balances, move, note_alerts, refused_by, soft_reached
from skillyard.gateway.dialect import insert_missing, take, upsert
from skillyard.gateway.owner import is_gone, own_name
from skillyard.gateway.state import ANSWERS, ATTEMPTS, LEASES

ZERO = Decimal(0)
CACHE_TTL = {"fast": timedelta(minutes=15), "standard": timedelta(minutes=5), "expert": timedelta(0)}
"""How long a published answer may be given again, unless its skill says otherwise."""


@dataclass(frozen=True)
class AnswerKey:
    """What makes two requests the same one. ``team`` is ``*`` for a skill that shares its answers with all teams."""

    team: str
    skill: str
    fingerprint: str
    item_id: str
    request_hash: str

    @cached_property
    def lease(self) -> str:
        """The name of the lease under which it is asked for."""
        joined = "\0".join((self.team, self.skill, self.fingerprint, self.item_id, self.request_hash))
        return f"answer {hashlib.sha256(joined.encode()).hexdigest()}"


@dataclass(frozen=True, slots=True)
class Answer:
    """A provider's reply as it was committed."""

    call_id: str
    tier: str
    model: str
    content: str
    refusal: str | None
    finish_reason: str | None
    cost_usd: Decimal
    answered_at: datetime
    is_published: bool = False


@dataclass(frozen=True, slots=True)
class Claim:
    """A wish for an answer. Any of ``keys`` will do if it is stored; the first names the lease under which only one process asks."""

    keys: tuple[AnswerKey, ...]
    lasts_s: float
    """How long the lease holds unless it is renewed: beyond the timeout of a request."""
    owner: str = ""
    """This process unless given, as for a batch."""


@dataclass(frozen=True, slots=True)
class Hold:
    """A lease that was won, with its fencing token."""

    lease: str
    owner: str
    token: int
    lasts_s: float


@dataclass(frozen=True, slots=True)
class Found:
    """The answer is stored."""

    key: AnswerKey
    answer: Answer


@dataclass(frozen=True, slots=True)
class Busy:
    """Somebody else asks for it now."""

    owner: str


@dataclass(frozen=True, slots=True)
class Ask:
    """One attempt that wants to leave: its row of ATTEMPTS, with ``reserved_usd`` and ``sent_at``, and the lease it is asked under."""

    row: dict[str, Any]
    hold: Hold


@dataclass(frozen=True, slots=True)
class Begun:
    """The attempt may leave: its bound is reserved, its row is committed with the transaction."""

    counters: tuple[str, ...]
    reserved_usd: Decimal
    alerts: tuple[str, ...] = ()
    """Soft limits reached for the first time."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A hard limit would be crossed. While other attempts that count in it are in flight, it may fit later."""

    limit: Limit
    is_waiting_of_use: bool


@dataclass(frozen=True, slots=True)
class Lost:
    """The lease went to somebody else meanwhile."""


@dataclass(frozen=True, slots=True)
class Settled:
    """An answered attempt. Without ``key`` the answer is paid but not kept: it was cut off and is asked again."""

    begun: Begun
    hold: Hold
    key: AnswerKey | None
    answer: Answer
    usage: Usage
    cost: Cost
    request_id: str | None
    latency_ms: int
    keeps_lease: bool = False


@dataclass(frozen=True, slots=True)
class Closed:
    """An attempt without an answer: ``failed`` costs nothing, ``unknown`` keeps its reservation and has no cost."""

    call_id: str
    begun: Begun
    status: str
    error_kind: str
    latency_ms: int


def lock_leases(connection: Connection, leases: set[str]) -> None:
    """Lock the leases under which a transaction will change anything, before any budget: all in one order, against deadlocks."""
    if connection.dialect.name != "sqlite":  # there a transaction excludes all others
        _held(connection, leases)


def claim(connection: Connection, claims: Sequence[Claim]) -> list[Found | Busy | Hold]:
    """Find each answer, or take the lease to ask for it. Found: an unpublished answer of any age, a published one until it expires."""
    now = datetime.now(UTC)
    found = _find(connection, claims, now)
    wanted = {c.keys[0].lease for c, f in zip(claims, found, strict=True) if f is None}
    held = _seen(connection, wanted)
    taken: dict[str, dict[str, Any]] = {}
    results: list[Found | Busy | Hold] = []
    for c, f in zip(claims, found, strict=True):
        if f is not None:
            results.append(f)
            continue
        lease, owner = c.keys[0].lease, c.owner or own_name()
        other = taken.get(lease) or held.get(lease)
        if other is not None and other["expires_at"] > now and not is_gone(other["owner"]):
            results.append(Busy(other["owner"]))
            continue
        hold = Hold(lease, owner, other["token"] + 1 if other else _first_token(now), c.lasts_s)
        taken[lease] = {"name": lease, "owner": owner, "token": hold.token, "expires_at": now + timedelta(seconds=c.lasts_s)}
        results.append(hold)
    take(connection, LEASES, [taken[name] for name in sorted(taken)])
    won = _seen(connection, set(taken))
    results = [Busy(won[r.lease]["owner"]) if isinstance(r, Hold) and not _is_mine(won[r.lease], r) else r for r in results]
    return results if connection.dialect.name == "sqlite" else _look_again(connection, claims, results, now)


def _first_token(now: datetime) -> int:
    """Return a token for a lease that nobody holds: the time in microseconds, so that none it ever had before comes again."""
    return int(now.timestamp() * 1_000_000)


def begin(connection: Connection, asks: Sequence[Ask], limits: Limits) -> list[Begun | Refused | Lost]:
    """Reserve each attempt's upper bound and commit it as ``sent`` with the transaction, or say why it may not leave."""
    now = datetime.now(UTC)
    held = _held(connection, {a.hold.lease for a in asks})
    counters = [counters_of(a.row) for a in asks]
    balances = lock_balances(connection, [name for names in counters for name in names])
    in_flight: dict[str, bool] = {}
    rows: list[dict[str, Any]] = []
    reserved: dict[str, tuple[Decimal, Decimal]] = {}
    alerted: set[str] = set()
    results: list[Begun | Refused | Lost] = []
    for ask, names in zip(asks, counters, strict=True):
        bounds, usd = limits.on(ask.row["sent_at"].date()), ask.row["reserved_usd"]
        if not _is_mine(held.get(ask.hold.lease), ask.hold):
            results.append(Lost())
            continue
        if (refusal := refused_by(bounds, balances, usd)) is not None:
            if refusal.counter not in in_flight:
                in_flight[refusal.counter] = bool(rows) or _has_others_in_flight(connection, refusal.counter, limits, now)
            results.append(Refused(refusal, in_flight[refusal.counter]))
            continue
        for name in names:
            balances[name].reserved_usd += usd
            reserved[name] = (ZERO, reserved.get(name, (ZERO, ZERO))[1] + usd)
        rows.append(ask.row)
        soft = soft_reached(bounds, balances)
        told = tuple(_alert(x, balances[x.counter].spent_usd) for x in soft if not balances[x.counter].is_alerted)
        for limit in soft:
            balances[limit.counter].is_alerted = True
        alerted.update(x.counter for x in soft if told)
        results.append(Begun(names, usd, told))
    move(connection, reserved)
    note_alerts(connection, alerted, now)
    _add(connection, [row | {"status": "sent"} for row in rows])
    _renew(connection, [a.hold for a, r in zip(asks, results, strict=True) if isinstance(r, Begun)], now)
    return results


def settle(connection: Connection, settled: Sequence[Settled]) -> None:
    """Commit answers, their costs and what they leave of their reservations with the transaction.

    An attempt that is no longer ``sent`` was given up for dead, or settled before: its row stays as it is, only its answer is kept.
    """
    open_calls = _open_calls(connection, [s.answer.call_id for s in settled])
    closing = [s for s in settled if s.answer.call_id in open_calls]
    held = _held(connection, {s.hold.lease for s in settled})
    if closing:
        connection.execute(_SETTLE, [_settled_row(s) for s in closing])
    _give_back(connection, [(s.begun, s.cost.usd) for s in closing])
    kept = [s for s in settled if s.key is not None]
    upsert(connection, ANSWERS, [_answer_row(s) for s in kept if _is_mine(held.get(s.hold.lease), s.hold)])
    insert_missing(connection, ANSWERS, [_answer_row(s) for s in kept if not _is_mine(held.get(s.hold.lease), s.hold)])
    release(connection, [s.hold for s in settled if not s.keeps_lease])


def close(connection: Connection, closed: Sequence[Closed]) -> None:
    """Commit attempts without an answer with the transaction; those no longer ``sent`` are left as they are."""
    now = datetime.now(UTC)
    open_calls = _open_calls(connection, [c.call_id for c in closed])
    closing = [c for c in closed if c.call_id in open_calls]
    rows = [
        {
            "own_call": c.call_id,
            "status": c.status,
            "error_kind": c.error_kind,
            "latency_ms": c.latency_ms,
            "settled_at": now,
            "cost_usd": ZERO if c.status == "failed" else None,
        }
        for c in closing
    ]
    if rows:
        connection.execute(_CLOSE, rows)
    _give_back(connection, [(c.begun, ZERO) for c in closing if c.status == "failed"])


def release(connection: Connection, holds: Sequence[Hold]) -> None:
    """Give leases back; one that somebody else holds by now stays."""
    if holds:
        connection.execute(_RELEASE, [{"own": h.lease, "holder": h.owner, "number": h.token} for h in sorted(holds, key=lambda h: h.lease)])


def record_cached(connection: Connection, row: Mapping[str, Any], answer: Answer) -> None:
    """Commit with the transaction that an answer was taken from the cache: it cost nothing and saved what it once cost."""
    now = datetime.now(UTC)
    values = {"status": "cached", "reserved_usd": ZERO, "cost_usd": ZERO, "saved_usd": answer.cost_usd, "latency_ms": 0}
    _add(connection, [dict(row) | values | {"sent_at": now, "ends_at": now, "settled_at": now}])


def end_journal(
    connection: Connection,
    skill: str,
    fingerprint: str,
    results: Sequence[str],
    rejects: Sequence[str],
    ttl: Mapping[str, timedelta | None],
) -> None:
    """Close the journal of items that stand in the lake: a result's answers become cache entries, a reject's are forgotten.

    Nobody who tries a reject again wants the answers that failed. ``ttl`` is each tier's time to live; None: while the fingerprint
    is asked for.
    """
    now = datetime.now(UTC)
    journal = (ANSWERS.c.skill == skill, ANSWERS.c.fingerprint == fingerprint, ANSWERS.c.published_at.is_(None))
    for chunk in _chunks(rejects):
        connection.execute(delete(ANSWERS).where(*journal, ANSWERS.c.item_id.in_(chunk)))
    for tier, lasts in ttl.items():
        cached = update(ANSWERS).values(published_at=now, expires_at=None if lasts is None else now + lasts)
        for chunk in _chunks(results):
            connection.execute(cached.where(*journal, ANSWERS.c.tier == tier, ANSWERS.c.item_id.in_(chunk)))


def end_run_journal(connection: Connection, skill: str, run_id: str, ttl: Mapping[str, timedelta | None]) -> None:
    """Turn the answers that one run paid for into cache entries, and those alone: of a run whose rows stand in the lake by another way."""
    now = datetime.now(UTC)
    paid = select(ATTEMPTS.c.call_id).where(ATTEMPTS.c.skill == skill, ATTEMPTS.c.run_id == run_id)
    for tier, lasts in ttl.items():
        cached = update(ANSWERS).values(published_at=now, expires_at=None if lasts is None else now + lasts)
        own = (ANSWERS.c.skill == skill, ANSWERS.c.tier == tier, ANSWERS.c.published_at.is_(None), ANSWERS.c.call_id.in_(paid))
        connection.execute(cached.where(*own))


def _find(connection: Connection, claims: Sequence[Claim], now: datetime) -> list[Found | None]:
    stored = _stored(connection, {key for c in claims for key in c.keys}, now)
    return [next((Found(key, stored[key]) for key in c.keys if key in stored), None) for c in claims]


def _look_again(
    connection: Connection, claims: Sequence[Claim], results: Sequence[Found | Busy | Hold], now: datetime
) -> list[Found | Busy | Hold]:
    """Give leases back whose answer was settled between the look for it and the look at the lease: SQLite lets nobody in between."""
    held = [(c, r) for c, r in zip(claims, results, strict=True) if isinstance(r, Hold)]
    late = {hold: found for (_, hold), found in zip(held, _find(connection, [c for c, _ in held], now), strict=True) if found}
    release(connection, list(late))
    return [late.get(r, r) if isinstance(r, Hold) else r for r in results]


def _stored(connection: Connection, keys: Iterable[AnswerKey], now: datetime) -> dict[AnswerKey, Answer]:
    scopes: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    wanted = set(keys)
    for key in wanted:
        scopes[key.team, key.skill, key.fingerprint].append(key.item_id)
    found = {}
    for (team, skill, fingerprint), items in scopes.items():
        scope = {"own_team": team, "own_skill": skill, "own_fingerprint": fingerprint, "items": sorted(set(items)), "now": now}
        for row in connection.execute(_FIND, scope):
            key = AnswerKey(team, skill, fingerprint, row.item_id, row.request_hash)
            if key in wanted:
                is_published = row.published_at is not None
                rest = (row.content, row.refusal, row.finish_reason, row.cost_usd, row.answered_at, is_published)
                found[key] = Answer(row.call_id, row.tier, row.model, *rest)
    return found


def _seen(connection: Connection, leases: set[str]) -> dict[str, Mapping[str, Any]]:
    return {row["name"]: dict(row) for row in connection.execute(_SEE, {"names": sorted(leases)}).mappings()} if leases else {}


def _held(connection: Connection, leases: set[str]) -> dict[str, Mapping[str, Any]]:
    return {row["name"]: dict(row) for row in connection.execute(_HELD, {"names": sorted(leases)}).mappings()} if leases else {}


def _is_mine(row: Mapping[str, Any] | None, hold: Hold) -> bool:
    return row is not None and (row["owner"], row["token"]) == (hold.owner, hold.token)


def _renew(connection: Connection, holds: Sequence[Hold], now: datetime) -> None:
    if holds:
        ordered = sorted(holds, key=lambda h: h.lease)
        connection.execute(_RENEW, [{"own": h.lease, "until": now + timedelta(seconds=h.lasts_s)} for h in ordered])


def _add(connection: Connection, rows: list[dict[str, Any]]) -> None:
    """Insert attempts, each numbered on within its operation, whichever process began that."""
    if not rows:
        return
    known = connection.execute(_LAST_NUMBERS, {"operations": sorted({r["operation_id"] for r in rows})})
    numbers = {row.operation_id: row.last for row in known}
    for row in rows:
        row["attempt_no"] = numbers[row["operation_id"]] = numbers.get(row["operation_id"], 0) + 1
    connection.execute(_ADD, [_BLANK | row for row in rows])


def _open_calls(connection: Connection, call_ids: list[str]) -> set[str]:
    return {row.call_id for row in connection.execute(_OPEN, {"calls": sorted(call_ids)})} if call_ids else set()


def _give_back(connection: Connection, ended: Sequence[tuple[Begun, Decimal]]) -> None:
    """Take the reservations of ended attempts from their counters and add what they cost."""
    changes: dict[str, tuple[Decimal, Decimal]] = {}
    for begun, usd in ended:
        for name in begun.counters:
            spent, reserved = changes.get(name, (ZERO, ZERO))
            changes[name] = (spent + usd, reserved - begun.reserved_usd)
    move(connection, changes)


def _has_others_in_flight(connection: Connection, counter: str, limits: Limits, now: datetime) -> bool:
    """Say whether a live attempt that counts in the counter is on its way, in a process that still runs."""
    c = ATTEMPTS.c
    scope = [c.status == "sent", c.team == limits.team, c.lane == "live", c.ends_at > now]
    if not counter.startswith(f"{limits.team}|*|"):
        scope.append(c.skill == limits.skill)
    if counter.startswith("run|"):
        scope.append(c.run_id == limits.run_id)
    return any(not is_gone(row.owner) for row in connection.execute(select(c.owner).distinct().where(*scope)))


def _alert(limit: Limit, spent_usd: Decimal) -> str:
    return f"{limit.label}: ${spent_usd:.6f} of the soft limit of ${limit.soft_usd} is spent"


def _settled_row(s: Settled) -> dict[str, Any]:
    return {
        "own_call": s.answer.call_id,
        "status": "settled",
        "service_tier": s.cost.service_tier,
        "settled_at": s.answer.answered_at,
        "finish_reason": s.answer.finish_reason,
        "input_tokens": s.usage.input_tokens,
        "cache_read_tokens": s.usage.cache_read_tokens,
        "cache_write_tokens": s.usage.cache_write_tokens,
        "cache_write_1h_tokens": s.usage.cache_write_1h_tokens,
        "output_tokens": s.usage.output_tokens,
        "reasoning_tokens": s.usage.reasoning_tokens,
        "n_images": s.usage.n_images,
        "compute_s": s.usage.compute_s,
        "idle_s": s.usage.idle_s,
        "cost_usd": s.cost.usd,
        "price_ids": ",".join(s.cost.price_ids),
        "provider_request_id": s.request_id,
        "latency_ms": s.latency_ms,
    }


def _answer_row(s: Settled) -> dict[str, Any]:
    key, answer = s.key, s.answer
    assert key is not None
    return {
        "team": key.team,
        "skill": key.skill,
        "fingerprint": key.fingerprint,
        "item_id": key.item_id,
        "request_hash": key.request_hash,
        "call_id": answer.call_id,
        "tier": answer.tier,
        "model": answer.model,
        "content": answer.content,
        "refusal": answer.refusal,
        "finish_reason": answer.finish_reason,
        "cost_usd": answer.cost_usd,
        "answered_at": answer.answered_at,
        "published_at": None,
        "expires_at": None,
    }


def _chunks(ids: Sequence[str]) -> Iterable[Sequence[str]]:
    return (ids[start : start + 500] for start in range(0, len(ids), 500))


# Statements are built once: building one costs more than running it.
_FIND = select(ANSWERS).where(
    *(ANSWERS.c[name] == bindparam(f"own_{name}") for name in ("team", "skill", "fingerprint")),
    ANSWERS.c.item_id.in_(bindparam("items", expanding=True)),
    or_(ANSWERS.c.published_at.is_(None), ANSWERS.c.expires_at.is_(None), ANSWERS.c.expires_at > bindparam("now")),
)
_SEE = select(LEASES).where(LEASES.c.name.in_(bindparam("names", expanding=True)))
_HELD = _SEE.order_by(LEASES.c.name).with_for_update()
_RENEW = update(LEASES).where(LEASES.c.name == bindparam("own")).values(expires_at=bindparam("until"))
_RELEASE = delete(LEASES).where(
    LEASES.c.name == bindparam("own"), LEASES.c.owner == bindparam("holder"), LEASES.c.token == bindparam("number")
)
_LAST_NUMBERS = (
    select(ATTEMPTS.c.operation_id, func.max(ATTEMPTS.c.attempt_no).label("last"))
    .where(ATTEMPTS.c.operation_id.in_(bindparam("operations", expanding=True)))
    .group_by(ATTEMPTS.c.operation_id)
)
_ADD = insert(ATTEMPTS)
_BLANK: dict[str, Any] = {c.name: getattr(c.default, "arg", None) for c in ATTEMPTS.c}
"""A value for every column: rows of one insert have to have the same ones."""
_OPEN = (
    select(ATTEMPTS.c.call_id)
    .where(ATTEMPTS.c.call_id.in_(bindparam("calls", expanding=True)), ATTEMPTS.c.status == "sent")
    .order_by(ATTEMPTS.c.call_id)
    .with_for_update()
)
_OWN_CALL = ATTEMPTS.c.call_id == bindparam("own_call")
_SETTLE = (
    update(ATTEMPTS)
    .where(_OWN_CALL)
    .values(
        {
            name: bindparam(name)
            for name in (
                "status",
                "service_tier",
                "settled_at",
                "finish_reason",
                "input_tokens",
                "cache_read_tokens",
                "cache_write_tokens",
                "cache_write_1h_tokens",
                "output_tokens",
                "reasoning_tokens",
                "n_images",
                "compute_s",
                "idle_s",
                "cost_usd",
                "price_ids",
                "provider_request_id",
                "latency_ms",
            )
        }
    )
)
_CLOSE = (
    update(ATTEMPTS).where(_OWN_CALL).values({n: bindparam(n) for n in ("status", "error_kind", "latency_ms", "settled_at", "cost_usd")})
)
