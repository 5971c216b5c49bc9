"""What the state store may forget: expired cache entries, ledger rows that are on the lake, leases nobody holds, old budget counters."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Engine, Table, delete, func, select, tuple_

from skillyard.gateway.state import ANSWERS, ATTEMPTS, BUDGETS, LEASES, SHARES, reading

KEEP_LEDGER = timedelta(days=30)
"""An attempt stays so long after it was settled, although it is on the lake."""
KEEP_COUNTERS = timedelta(days=400)
CHUNK = 500
"""Rows deleted in one transaction."""
PAGE = 10_000
"""Rows looked for at once, without a lock."""


@dataclass(frozen=True, slots=True)
class Evicted:
    """Rows that went."""

    n_answers: int
    n_attempts: int
    n_leases: int
    n_shares: int
    n_counters: int


def evict(engine: Engine, now: datetime) -> Evicted:
    """Delete what nobody needs any more and return how much that was; doing it again does no harm.

    Stays in any case: answers that are not published, attempts that are not on the lake or whose outcome is unknown, counters with a
    reservation, and counters of runs.
    """
    a = ATTEMPTS.c
    is_done = a.is_drained & a.status.not_in(("sent", "unknown")) & (a.settled_at < now - KEEP_LEDGER)
    n_attempts = delete_rows(engine, ATTEMPTS, is_done)
    return Evicted(
        n_answers=delete_rows(engine, ANSWERS, is_expired(now)) + _delete_outlived(engine, now),
        n_attempts=n_attempts,
        n_leases=delete_rows(engine, LEASES, LEASES.c.expires_at < now),
        n_shares=delete_rows(engine, SHARES, SHARES.c.expires_at < now),
        n_counters=_delete_counters(engine, now),
    )


def is_expired(now: datetime) -> ColumnElement[bool]:
    """Return the condition on ANSWERS for a cache entry whose time has passed."""
    return ANSWERS.c.published_at.is_not(None) & (ANSWERS.c.expires_at <= now)


def delete_rows(engine: Engine, table: Table, doomed: ColumnElement[bool]) -> int:
    """Delete the rows that a condition holds for and return their number: found without a lock, deleted in small transactions."""
    key, n = tuple_(*table.primary_key), 0
    for page in _pages(engine, table, doomed):
        for start in range(0, len(page), CHUNK):
            began = time.monotonic()
            with engine.begin() as connection:
                n += connection.execute(delete(table).where(doomed, key.in_(page[start : start + CHUNK]))).rowcount
            time.sleep(time.monotonic() - began)  # half of the time belongs to running tasks
    return n


def _pages(engine: Engine, table: Table, doomed: ColumnElement[bool]) -> Iterator[Sequence[tuple[Any, ...]]]:
    """Yield the primary keys of the rows that a condition holds for."""
    columns = list(table.primary_key)
    query, page = select(*columns).where(doomed).order_by(*columns).limit(PAGE), None
    while page is None or len(page) == PAGE:
        following = query.where(tuple_(*columns) > page[-1]) if page else query
        with reading(engine) as connection:
            page = [tuple(row) for row in connection.execute(following)]
        yield page


def _delete_outlived(engine: Engine, now: datetime) -> int:
    """Delete answers that last while their fingerprint is asked for, once the skill is only asked with others."""
    c = ANSWERS.c
    lasting = c.published_at.is_not(None) & c.expires_at.is_(None) & (c.published_at < now - KEEP_LEDGER)
    with reading(engine) as connection:
        asked = {tuple(row) for row in connection.execute(select(ATTEMPTS.c.skill, ATTEMPTS.c.fingerprint).distinct())}
        kept = {tuple(row) for row in connection.execute(select(c.skill, c.fingerprint).distinct().where(lasting))}
    skills = {skill for skill, _ in asked}
    outlived = [(skill, fingerprint) for skill, fingerprint in sorted(kept - asked) if skill in skills]
    return sum(delete_rows(engine, ANSWERS, lasting & (c.skill == skill) & (c.fingerprint == of)) for skill, of in outlived)


def _delete_counters(engine: Engine, now: datetime) -> int:
    """Delete the counters of days and months that are long over."""
    c, first = BUDGETS.c, (now - KEEP_COUNTERS).date()
    day, month = func.substr(c.counter, func.length(c.counter) - 9), func.substr(c.counter, func.length(c.counter) - 6)
    is_old = (c.counter.like("%|____-__-__") & (day < f"{first}")) | (c.counter.like("%|____-__") & (month < f"{first:%Y-%m}"))
    return delete_rows(engine, BUDGETS, c.counter.not_like("run|%") & (c.reserved_usd == Decimal(0)) & is_old)
