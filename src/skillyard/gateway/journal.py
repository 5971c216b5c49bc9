"""The writer of a process: what many requests want to commit at the same moment goes into one transaction.

A thread of its own commits, so that a slow or locked store never holds up the event loop; meanwhile the next transaction's work gathers.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, OperationalError

from skillyard.errors import StateUnavailable
from skillyard.gateway import ledger
from skillyard.gateway.budgets import Limits
from skillyard.gateway.ledger import Ask, Begun, Busy, Claim, Closed, Found, Hold, Lost, Refused, Settled

TRIES = 4
T = TypeVar("T")


@dataclass(slots=True)
class _Work:
    """What waits for the next transaction: values, each with the future that its outcome goes to."""

    claims: list[tuple[Claim, asyncio.Future[Any]]] = field(default_factory=list)
    asks: list[tuple[Ask, asyncio.Future[Any]]] = field(default_factory=list)
    settled: list[tuple[Settled, asyncio.Future[Any]]] = field(default_factory=list)
    closed: list[tuple[Closed, asyncio.Future[Any]]] = field(default_factory=list)
    released: list[tuple[Hold, asyncio.Future[Any]]] = field(default_factory=list)
    others: list[tuple[Callable[[Connection], Any], asyncio.Future[Any]]] = field(default_factory=list)

    def queues(self) -> tuple[list[tuple[Any, asyncio.Future[Any]]], ...]:
        """Return all queues."""
        return (self.claims, self.settled, self.closed, self.released, self.others, self.asks)

    def has_money(self) -> bool:
        """Say whether anything waits that changes an attempt or gives a lease back."""
        return any((self.settled, self.closed, self.released, self.asks))


class Journal:
    """Commits claims, attempts and outcomes for one event loop. Each call returns when its transaction is committed."""

    def __init__(self, engine: Engine, limits: Limits) -> None:
        self._engine, self._limits = engine, limits
        self._work = _Work()
        self._thread = ThreadPoolExecutor(1, "journal")
        self._writing: asyncio.Task[None] | None = None

    async def claim(self, wanted: Claim) -> Found | Busy | Hold:
        """See ``ledger.claim``."""
        found: Found | Busy | Hold = await self._put(self._work.claims, wanted)
        return found

    async def begin(self, ask: Ask) -> Begun | Refused | Lost:
        """See ``ledger.begin``."""
        begun: Begun | Refused | Lost = await self._put(self._work.asks, ask)
        return begun

    async def settle(self, settled: Settled) -> None:
        """See ``ledger.settle``."""
        await self._put(self._work.settled, settled)

    async def close(self, closed: Closed) -> None:
        """See ``ledger.close``."""
        await self._put(self._work.closed, closed)

    def release(self, hold: Hold) -> None:
        """Give a lease back with the next transaction, without waiting for it."""
        self._put(self._work.released, hold)

    async def run(self, action: Callable[[Connection], T]) -> T:
        """Run a function of a connection in a transaction of its own. It may run again when that has to be repeated."""
        result: T = await self._put(self._work.others, action)
        return result

    async def stop(self) -> None:
        """Commit what waits, and end the thread."""
        while self._writing is not None:
            await asyncio.wait([self._writing])
        self._thread.shutdown()

    def _put(self, queue: list[tuple[Any, asyncio.Future[Any]]], value: Any) -> asyncio.Future[Any]:
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        queue.append((value, future))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write())
        return future

    async def _write(self) -> None:
        """Commit until nothing waits."""
        try:
            while any(self._work.queues()):
                work, self._work = self._work, _Work()
                try:
                    results = await asyncio.get_running_loop().run_in_executor(self._thread, self._commit, work)
                except Exception as error:
                    _fail(work, error)
                else:
                    _answer(work, results)
        finally:
            self._writing = None

    def _commit(self, work: _Work) -> list[Sequence[Any]]:
        """Return the results, in the order of ``queues``.

        Claims, money and functions lock other rows, each in an order of its own: together they would deadlock. In SQLite a transaction
        excludes all others anyway: claims and money share one.
        """
        done = [self._transact(action) for action, _ in work.others]
        if self._engine.dialect.name == "sqlite" and work.claims and work.has_money():
            claimed, begun = self._transact(lambda connection: (_claim(connection, work), _account(connection, work, self._limits)))
        else:
            claimed = self._transact(lambda connection: _claim(connection, work)) if work.claims else []
            begun = self._transact(lambda connection: _account(connection, work, self._limits)) if work.has_money() else []
        return [claimed, [None] * len(work.settled), [None] * len(work.closed), [None] * len(work.released), done, begun]

    def _transact(self, action: Callable[[Connection], T]) -> T:
        """Run a function in a transaction; after a deadlock or a lost race again from the start."""
        for attempt in range(1, TRIES + 1):
            try:
                with self._engine.begin() as connection:
                    return action(connection)
            except OperationalError as error:
                if attempt == TRIES or error.connection_invalidated:
                    raise _unavailable(error) from None
                time.sleep(0.05 * attempt)
            except DBAPIError as error:
                raise _unavailable(error) from None
        raise AssertionError("unreachable")


def _claim(connection: Connection, work: _Work) -> Sequence[Found | Busy | Hold]:
    return ledger.claim(connection, [value for value, _ in work.claims])


def _account(connection: Connection, work: _Work, limits: Limits) -> Sequence[Begun | Refused | Lost]:
    """Return what became of the asks. What frees budget goes before what asks for it."""
    settled, closed = [value for value, _ in work.settled], [value for value, _ in work.closed]
    released, asks = [value for value, _ in work.released], [value for value, _ in work.asks]
    ledger.lock_leases(connection, {h.lease for h in (*(s.hold for s in settled), *(a.hold for a in asks), *released)})
    if settled:
        ledger.settle(connection, settled)
    if closed:
        ledger.close(connection, closed)
    ledger.release(connection, released)
    return ledger.begin(connection, asks, limits) if asks else []


def _answer(work: _Work, results: list[Sequence[Any]]) -> None:
    for queue, values in zip(work.queues(), results, strict=True):
        for (_, future), value in zip(queue, values, strict=True):
            if not future.done():
                future.set_result(value)


def _fail(work: _Work, error: Exception) -> None:
    for queue in work.queues():
        for _, future in queue:
            if not future.done():
                future.set_exception(error)
    # A release that nobody waits for is not worth a warning: its lease ends by itself.
    for _, future in work.released:
        future.exception()


def _unavailable(error: DBAPIError) -> StateUnavailable:
    return StateUnavailable(
        f"the state store refused a transaction: {' '.join(str(error.orig).split())[:200]}. Nothing was sent without its row."
    )
