"""A day of the ledger, summed up by DuckDB over Arrow's reader: it follows the table's manifest, on S3 too, in bounded memory."""

import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import count
from tempfile import TemporaryDirectory
from typing import Any, Self, TypeVar

import pyarrow as pa

from skillyard.costs.ledger import queries as queries
from skillyard.costs.ledger.lines import DOCUMENTS, ITEMS, LINES, UNITS, Day
from skillyard.costs.ledger.zones import utc_days
from skillyard.costs.prices.book import PriceBook
from skillyard.errors import StorageError
from skillyard.lake.contents import Contents, find_contents
from skillyard.lake.lake import Lake
from skillyard.lake.read import is_gone, open_days
from skillyard.lake.tables import DOCUMENTS as DOCUMENTS_TABLE
from skillyard.lake.tables import LLM_CALLS, REJECTS

MEMORY = "768MB"
"""What DuckDB may take; beyond it, it goes on in files."""
REJECT_DAYS = 3
"""How long after its last call an item may end as a reject."""
TRIES = 4
SHOWN = 10
ONE_DAY = timedelta(days=1)
T = TypeVar("T")
LABELS = (
    "run_id",
    "dag_id",
    "skill",
    "fingerprint",
    "team",
    "tier",
    "model",
    "deployment",
    "lane",
    "service_tier",
    "purpose",
    "status",
    "price_ids",
)


@dataclass(frozen=True, slots=True)
class Facts:
    """What is odd about a day's rows of the ledger."""

    n_calls: int
    """Each once."""
    n_doubled: int
    """Rows that stand there again as they are."""
    conflicting: tuple[str, ...]
    """Some of the calls that stand there twice and not alike."""
    n_negative: int
    negative: tuple[str, ...]
    """Some of the calls with a negative count or amount."""
    n_backwards: int
    """Calls that were settled before they were sent."""
    n_ahead: int
    """Calls that were sent on a day yet to come."""

    @property
    def is_sound(self) -> bool:
        """Say whether the day can be summed up."""
        return not (self.conflicting or self.n_negative)


@dataclass(frozen=True, slots=True)
class Read:
    """A day and what is odd about it; where that cannot be summed up, ``day`` has no lines."""

    day: Day
    facts: Facts


class LedgerEngine:
    """DuckDB, and the queries that make a day. What it is given are Arrow tables or data sets."""

    def __init__(self, now: datetime | None = None) -> None:
        self._now = now or datetime.now(UTC)
        self._open = ExitStack()

    def __enter__(self) -> Self:
        import duckdb

        spill = self._open.enter_context(TemporaryDirectory(prefix="skillyard-ledger-"))
        options: dict[str, Any] = {"threads": str(os.cpu_count() or 1), "memory_limit": MEMORY, "temp_directory": spill}
        fixed = {"preserve_insertion_order": "false", "autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}
        self._duckdb = self._open.enter_context(duckdb.connect(":memory:", config=options | fixed))
        self._duckdb.execute(queries.MACROS)
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def load_documents(self, documents: Any) -> None:
        """Take over how many pages each document has, as its newest row says."""
        self._duckdb.register("documents", documents)
        self._duckdb.execute(queries.PAGES)
        self._duckdb.unregister("documents")

    def make(self, day: date, interval: tuple[datetime, datetime] | None, sources: "Sources", tiers: dict[date, tuple[int, ...]]) -> Read:
        """Return the day; without an interval the UTC day of that date."""
        facts = self._load(day, interval, sources, tiers)
        if not facts.is_sound:
            return Read(Day(day, *(schema.empty_table() for schema in (LINES, ITEMS, UNITS, DOCUMENTS))), facts)
        self._execute(queries.LATER, queries.REJECTED, queries.FATES, queries.NAMES)
        lines = self._table(queries.LINES, LINES)
        items, units = self._table(queries.ITEMS, ITEMS, day), self._table(queries.UNITS, UNITS, day)
        return Read(Day(day, lines, items, units, self._table(queries.DOCUMENTS, DOCUMENTS)), facts)

    def ask(self, interval: tuple[datetime, datetime], sources: "Sources", query: str, values: Sequence[object]) -> pa.Table:
        """Return what a query finds among ``work``: the calls sent in [start, end), each once and with its use."""
        self._load(interval[0].date(), interval, sources, {})
        self._execute(queries.LATER, queries.REJECTED, queries.WORK)
        return self._duckdb.execute(query, values).to_arrow_table()

    def _load(self, day: date, interval: tuple[datetime, datetime] | None, sources: "Sources", tiers: dict[date, tuple[int, ...]]) -> Facts:
        """Read the day's rows, and tell what is odd about them; rows that are there again as they are, are left out."""
        for name, rows in (("ledger", sources.ledger), ("nearby", sources.nearby), ("rejects", sources.rejects)):
            self._duckdb.register(name, rows)
        tomorrow = datetime.combine(self._now.date() + ONE_DAY, time(), UTC)
        n_read = 0
        conflicting: tuple[str, ...] = ()
        for is_doubled in (False, True):
            self._execute(queries.rows(day, interval, is_doubled=is_doubled), queries.calls(tiers, tomorrow))
            n_rows, n_calls, n_negative, n_backwards, n_ahead = self._duckdb.execute(queries.FACTS).fetchall()[0]
            n_read = n_read or n_rows
            if n_rows == n_calls:
                break
        else:
            conflicting = self._ids(queries.CONFLICTING)
        negative = self._ids(queries.NEGATIVE) if n_negative else ()
        return Facts(n_calls, n_read - n_rows, conflicting, n_negative, negative, n_backwards, n_ahead)

    def _execute(self, *statements: str) -> None:
        for statement in statements:
            self._duckdb.execute(statement)

    def _ids(self, query: str) -> tuple[str, ...]:
        return tuple(row[0] for row in self._duckdb.execute(query, (SHOWN,)).fetchall())

    def _table(self, query: str, schema: pa.Schema, day: date | None = None) -> pa.Table:
        rows = self._duckdb.execute(query).to_arrow_table()
        if day is not None:
            rows = rows.add_column(0, "usage_date", pa.array([day] * rows.num_rows, pa.date32()))
        return pa.table([rows.column(field.name).cast(field.type) for field in schema], schema=schema)


@dataclass(frozen=True, slots=True)
class Sources:
    """What a day is made of."""

    ledger: Any
    """Rows of ``llm_calls`` of every UTC day that it touches."""
    nearby: Any
    """Of what comes after, up to a day: an operation may go on then."""
    rejects: Any
    """Of these days and some more."""


class LedgerReader:
    """Reads days of a lake's ledger, one after the other."""

    def __init__(self, lake: Lake, book: PriceBook, expert: str, ledger: Contents | None = None, rejects: Contents | None = None) -> None:
        self._lake, self._book, self._expert = lake, book, expert
        self._ledger, self._rejects = ledger, rejects
        self._opened: dict[tuple[date, date], Any] = {}
        self._engine = LedgerEngine()

    def __enter__(self) -> Self:
        self._engine.__enter__()
        self._try(self._load_documents)
        return self

    def __exit__(self, *_: object) -> None:
        self._engine.__exit__()

    def read(self, day: date, start: datetime | None = None, end: datetime | None = None) -> Read:
        """Return the UTC day, or what was sent in [start, end) as a day of another time zone."""
        return self._try(lambda are_sought: self._read(day, start, end, are_sought))

    def ask(self, start: datetime, end: datetime, query: str, values: Sequence[object] = ()) -> pa.Table:
        """Return what a query in DuckDB's SQL finds among ``work``: see ``LedgerEngine.ask``. Also where a day cannot be summed up."""
        first, last = utc_days(start, end)
        return self._try(lambda are_sought: self._engine.ask((start, end), self._sources(first, last, last, are_sought), query, values))

    def _read(self, day: date, start: datetime | None, end: datetime | None, are_sought: bool) -> Read:
        interval = (start, end) if start and end else None
        first, last = utc_days(*interval) if interval else (day, day)
        tiers = {one: self._book.context_tiers(self._expert, one) for one in _days(first, last)}
        after = last if interval else last + ONE_DAY
        return self._engine.make(day, interval, self._sources(first, last, after, are_sought), tiers)

    def _sources(self, first: date, last: date, after: date, are_sought: bool) -> Sources:
        """Return the days from first to last, and the ledger from ``after`` to the day after them."""
        if self._ledger is None or self._rejects is None or are_sought:
            self._ledger, self._rejects = find_contents(self._lake, LLM_CALLS), find_contents(self._lake, REJECTS)
            self._opened = {}
        ledger, nearby = self._open(self._ledger, first, last, are_sought), self._open(self._ledger, after, last + ONE_DAY, are_sought)
        return Sources(
            ledger, nearby, open_days(self._lake, self._rejects, first, last + timedelta(days=REJECT_DAYS), are_sought=are_sought)
        )

    def _open(self, ledger: Contents, first: date, last: date, are_sought: bool) -> Any:
        """Return days of the ledger; what was opened last, as what comes after another day, is not opened again."""
        if (first, last) not in self._opened:
            self._opened = {(first, last): open_days(self._lake, ledger, first, last, LABELS, are_sought=are_sought)}
        return self._opened[first, last]

    def _load_documents(self, are_sought: bool) -> None:
        found = find_contents(self._lake, DOCUMENTS_TABLE)
        self._engine.load_documents(open_days(self._lake, found, date.min, date.max, are_sought=are_sought))

    def _try(self, do: Callable[[bool], T]) -> T:
        """Return what is done, once more where a file was moved away meanwhile."""
        import duckdb

        for number in count():
            try:
                return do(number > 0)
            except (OSError, duckdb.Error) as error:
                if number + 1 == TRIES or not (is_gone(error) or "Errno 2" in str(error)):
                    raise StorageError(f"the ledger of {self._lake.url} could not be summed up: {error}") from error
        raise AssertionError


def _days(first: date, last: date) -> list[date]:
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]
