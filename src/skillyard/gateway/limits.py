"""What all processes share of an endpoint, in transactions: slots, rates, and the circuit breaker.

*Slots.* ``allowed`` is how many requests the endpoint gets at once, over all processes: a quarter of its configured concurrency at
first, one thirty-second more whenever a process has used all its slots and the latency held, half as many after a 429 or a timeout:
after that nothing changes for a second. Each process holds a share, fair by what each would like; the share of one that is not heard
of for ten seconds is free again.

*Rates.* ``requests_at`` and ``tokens_at`` are the clocks of the generic cell rate algorithm: each request moves a clock on by its
cost, and may leave while the clock is less than a burst ahead. The rate is set so that burst, rate and what was granted before
and arrives late together never pass the limit in any minute. Source: https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm

*Circuit breaker.* Five failures without a success between them, in whichever processes, open it: nobody asks until the cooldown is
over, then one process sends one request. Source: https://martinfowler.com/bliki/CircuitBreaker.html
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import floor

from sqlalchemy import Connection, delete, select, update

from skillyard.gateway.dialect import insert_missing, upsert
from skillyard.gateway.state import ENDPOINTS, SHARES

SHARE_TTL = timedelta(seconds=10)
BURST_S = 2.0
LAG_S = 2.0
"""From a grant to the request's arrival, at most: a second as an allowance, the rest on its way."""
COOLDOWN = timedelta(seconds=5)
FAILURES_TO_OPEN = 5
RAISE_EVERY = timedelta(seconds=0.1)
HALVE_EVERY = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Wish:
    """What one process has seen of an endpoint since it last asked, and would like."""

    endpoint: str
    concurrency: int
    rpm: int | None
    tpm: int | None
    n_in_flight: int
    n_wanted: int
    """Requests in flight and waiting."""
    n_requests: int
    n_tokens: int
    """What the waiting ones need of the rates."""
    is_troubled: bool
    """A 429 or a timeout came."""
    is_short: bool
    """Requests waited for a slot while the latency held."""
    largest: int = 0
    """Of the tokens, the most that one request needs."""


@dataclass(frozen=True, slots=True)
class Health:
    """The circuit breaker as last read."""

    n_failures: int
    down_since: datetime | None
    open_until: datetime | None


@dataclass(frozen=True, slots=True)
class Grant:
    """What the process may use until it asks again."""

    n_slots: int
    n_requests: int
    n_tokens: int
    health: Health


def exchange(connection: Connection, owner: str, wishes: Sequence[Wish], now: datetime) -> list[Grant]:
    """Hand in what was seen and take what is granted, for several endpoints."""
    ordered = sorted(wishes, key=lambda w: w.endpoint)
    insert_missing(connection, ENDPOINTS, [_fresh(w, now) for w in ordered])
    grants = {w.endpoint: _exchange_one(connection, owner, w, now) for w in ordered}
    return [grants[w.endpoint] for w in wishes]


def give_back(connection: Connection, owner: str) -> None:
    """Free the shares of a process that ends."""
    connection.execute(delete(SHARES).where(SHARES.c.owner == owner))


def note_failure(connection: Connection, endpoint: str, now: datetime) -> Health:
    """Count a failure; with the fifth in a row the circuit opens."""
    c = ENDPOINTS.c
    row = connection.execute(select(ENDPOINTS).where(c.endpoint == endpoint).with_for_update()).mappings().one()
    n_failures, open_until = row["n_failures"] + 1, row["open_until"]
    if n_failures >= FAILURES_TO_OPEN and (open_until is None or open_until <= now):
        open_until = now + COOLDOWN
    health = Health(n_failures, row["down_since"] or now, open_until)
    values = {"n_failures": n_failures, "down_since": health.down_since, "open_until": open_until}
    connection.execute(update(ENDPOINTS).where(c.endpoint == endpoint).values(**values))
    return health


def note_success(connection: Connection, endpoint: str) -> Health:
    """Close the circuit: the endpoint answers."""
    values = {"n_failures": 0, "down_since": None, "open_until": None}
    connection.execute(update(ENDPOINTS).where(ENDPOINTS.c.endpoint == endpoint).values(**values))
    return Health(0, None, None)


def claim_probe(connection: Connection, endpoint: str, now: datetime) -> tuple[bool, Health]:
    """Try to be the one process that asks an endpoint whose cooldown is over; the next cooldown begins with that."""
    c = ENDPOINTS.c
    won = connection.execute(update(ENDPOINTS).where(c.endpoint == endpoint, c.open_until <= now).values(open_until=now + COOLDOWN))
    row = connection.execute(select(ENDPOINTS).where(c.endpoint == endpoint)).mappings().one()
    return won.rowcount == 1, Health(row["n_failures"], row["down_since"], row["open_until"])


def fair_share(total: int, wanted: Sequence[int], mine: int) -> int:
    """Return the part of ``total`` of the process at index ``mine``, when each gets what it wants or an equal part of the rest."""
    left, shares = total, [0] * len(wanted)
    order = sorted(range(len(wanted)), key=lambda i: (wanted[i], i))
    for position, i in enumerate(order):
        n_left = len(order) - position
        shares[i] = min(wanted[i], -(-left // n_left))
        left -= shares[i]
    return shares[mine]


def _exchange_one(connection: Connection, owner: str, wish: Wish, now: datetime) -> Grant:
    row = connection.execute(select(ENDPOINTS).where(ENDPOINTS.c.endpoint == wish.endpoint).with_for_update()).mappings().one()
    allowed, changed_at = _adapt(wish, row["allowed"], row["changed_at"], now)
    requests_at, n_requests = _draw(row["requests_at"], wish.rpm, wish.n_requests, 1, now)
    tokens_at, n_tokens = _draw(row["tokens_at"], wish.tpm, wish.n_tokens, max(1, wish.largest), now)
    if allowed != row["allowed"] or changed_at != row["changed_at"] or n_requests or n_tokens:
        values = {"allowed": allowed, "changed_at": changed_at, "requests_at": requests_at, "tokens_at": tokens_at}
        connection.execute(update(ENDPOINTS).where(ENDPOINTS.c.endpoint == wish.endpoint).values(**values))
    n_slots = _take_slots(connection, owner, wish, allowed, now)
    return Grant(n_slots, n_requests, n_tokens, Health(row["n_failures"], row["down_since"], row["open_until"]))


def _adapt(wish: Wish, allowed: int, changed_at: datetime, now: datetime) -> tuple[int, datetime]:
    """Return how many requests at once are allowed from now on, and from when on that may change again."""
    adapted = min(allowed, wish.concurrency)
    if wish.is_troubled and now >= changed_at:
        return max(1, adapted // 2), now + HALVE_EVERY
    if not wish.is_troubled and wish.is_short and now - changed_at >= RAISE_EVERY:
        adapted = min(wish.concurrency, adapted + max(1, wish.concurrency // 32))
    return adapted, (now if adapted != allowed else changed_at)


def _draw(clock: datetime, per_minute: int | None, n_wanted: int, largest: int, now: datetime) -> tuple[datetime, int]:
    """Return the moved clock and how much of a rate is granted. A full bucket always gives one request its due, however large."""
    if per_minute is None or n_wanted == 0:
        return clock, n_wanted
    burst_s = max(BURST_S, 60 / per_minute)
    unit_s = (60 + burst_s + LAG_S) / per_minute
    begin = max(clock, now)
    n = min(n_wanted, floor((burst_s - (begin - now).total_seconds()) / unit_s + 1e-9))
    if n < largest:
        n = largest if clock <= now else 0
    return begin + timedelta(seconds=n * unit_s), n


def _take_slots(connection: Connection, owner: str, wish: Wish, allowed: int, now: datetime) -> int:
    rows = connection.execute(select(SHARES).where(SHARES.c.endpoint == wish.endpoint, SHARES.c.expires_at > now)).mappings().all()
    others = sorted((r for r in rows if r["owner"] != owner), key=lambda r: r["owner"])
    names = sorted([owner, *(r["owner"] for r in others)])
    wanted = {r["owner"]: r["n_wanted"] for r in others} | {owner: wish.n_wanted}
    fair = fair_share(allowed, [wanted[name] for name in names], names.index(owner))
    free = allowed - sum(r["n_slots"] for r in others)
    n_slots: int = max(min(fair, free), wish.n_in_flight, 0)
    mine = {"endpoint": wish.endpoint, "owner": owner, "n_slots": n_slots, "n_wanted": wish.n_wanted, "expires_at": now + SHARE_TTL}
    upsert(connection, SHARES, [mine])
    return n_slots


def _fresh(wish: Wish, now: datetime) -> dict[str, object]:
    start = min(wish.concurrency, max(8, wish.concurrency // 4))
    return {"endpoint": wish.endpoint, "allowed": start, "changed_at": now, "requests_at": now, "tokens_at": now, "n_failures": 0}
