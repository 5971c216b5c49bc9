"""The nightly tables of money: made of a day's lines, a day at a time, the same however often and from whatever cut of the ledger.

A night makes the days whose stamp differs (``stamps.py``): late rows, rejects, audits and prices reopen their day by themselves. What is
odd about a day is a finding of its report. A day that cannot be summed up, or whose rows went away, keeps its tables as they are and has a
problem; all other days are made, then ``check_reports`` raises. Nobody's bill waits for a missing price.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc

from skillyard.costs import charges, savings
from skillyard.costs.expert_ratio import AUDIT_COLUMNS, AUDIT_WINDOW
from skillyard.costs.focus import rows as focus
from skillyard.costs.ledger.lines import Day
from skillyard.costs.ledger.oddities import Finding, refusals, remarks
from skillyard.costs.ledger.reader import LedgerReader, Read
from skillyard.costs.prices.book import PriceBook, load_prices
from skillyard.costs.stamps import Listing, Stamp, stored_stamps
from skillyard.errors import ConfigError, DayRefused, ValidationFailed
from skillyard.lake.cost_tables import COST_DAILY, SAVINGS_DAILY, UNIT_COSTS
from skillyard.lake.focus_table import FOCUS
from skillyard.lake.lake import Lake
from skillyard.lake.publish import partition_hash, replace_partition
from skillyard.lake.read import read
from skillyard.lake.rows import row_hash
from skillyard.lake.tables import AUDITS, Table
from skillyard.lake.validate import Validation, import_ahead
from skillyard.profiles import load_profile
from skillyard.settings import Settings

HELD_ROWS = 200_000
"""Rows that are made before they are validated together and published: a validation costs most of a second whatever it reads."""
AHEAD_DAYS = 3
"""Days that are read while others are made: DuckDB reads beside Python, which makes, hashes and validates."""


@dataclass(frozen=True, slots=True)
class DayReport:
    """What a day came to."""

    day: date
    n_calls: int
    """Attempts: settled, failed and unknown."""
    n_rows: int
    """Of ``cost_daily``."""
    cost_usd: Decimal
    is_changed: bool
    """A table of the day had to be written or removed."""
    findings: tuple[Finding, ...] = ()
    problem: str | None = None
    """Why its tables were left as they are."""


def attribute(settings: Settings, first: date, last: date, *, accept_loss: bool = False) -> list[DayReport]:
    """Make the tables of every day from first to last; one report per day that has or had calls. See ``check_reports``.

    ``accept_loss``: also where calls that a day was made of are gone from the ledger.
    """
    check_range(first, last)
    nightly = _Nightly(settings)
    return nightly.make(sorted(day for day in nightly.listing.days | nightly.stamps.keys() if first <= day <= last), accept_loss)


def attribute_changed(settings: Settings) -> list[DayReport]:
    """Make the tables of every day that would come out otherwise than it is published; nothing is read of the others."""
    nightly = _Nightly(settings)
    known = nightly.listing.days | nightly.stamps.keys()
    return nightly.make(sorted(day for day in known if nightly.sources(day) != nightly.stamp(day).sources), accept_loss=False)


def check_reports(reports: Iterable[DayReport]) -> None:
    """Raise DayRefused when days were left as they are, with what is wrong with each."""
    problems = [report.problem for report in reports if report.problem]
    if problems:
        raise DayRefused(" ".join(problems))


def check_range(first: date, last: date) -> None:
    """Raise ConfigError for a range that ends before it begins."""
    if last < first:
        raise ConfigError(f"the days from {first} to {last} end before they begin: the first has to be the earlier one.")


@dataclass(frozen=True, slots=True)
class _Context:
    """What the tables of all days are made with."""

    book: PriceBook
    expert: str
    audits: pa.Table


_Builder = Callable[[Day, pa.Table, _Context], pa.Table]
BUILDERS: tuple[tuple[Table, _Builder], ...] = (
    (UNIT_COSTS, lambda day, charged, _: charges.unit_rows(day, charged)),
    (SAVINGS_DAILY, lambda day, _, with_: savings.savings_rows(day, with_.book, with_.expert, with_.audits)),
    (FOCUS, lambda day, _, with_: focus.focus_rows(day, with_.book)),
    (COST_DAILY, lambda day, charged, _: charges.cost_rows(day, charged)),
)
"""The tables of a day and what makes each, in the order in which they are published: ``cost_daily`` has the stamp and is the last."""
_FOCUS = [table for table, _ in BUILDERS].index(FOCUS)
_VERSIONS = (charges.METHOD, savings.METHOD, *(f"{table.name}/{table.version}" for table, _ in BUILDERS))


@dataclass(frozen=True, slots=True)
class _Made:
    """A day that is made and not published yet."""

    day: date
    tables: tuple[pa.Table, ...]
    """In the order of BUILDERS."""
    hashes: tuple[str, ...]
    is_new: tuple[bool, ...]
    """Whether a table of the day has other rows now."""
    stamp: Stamp
    findings: tuple[Finding, ...]

    def report(self, problem: str | None = None) -> DayReport:
        rows, is_changed = self.tables[-1], any(self.is_new) and problem is None
        cost = pc.sum(rows.column("cost_usd")).as_py() or Decimal(0)
        return DayReport(self.day, pc.sum(rows.column("n_calls")).as_py() or 0, rows.num_rows, cost, is_changed, self.findings, problem)


class _Nightly:
    """One pass over days of a lake."""

    def __init__(self, settings: Settings) -> None:
        self._lake, self._book = Lake(settings.lake), load_prices(settings)
        self._expert = load_profile(settings.profile, settings.include).deployments("expert")[0].model
        self.stamps = stored_stamps(self._lake)
        self.listing = Listing(self._lake, self._book, _VERSIONS)

    def sources(self, day: date) -> str:
        return self.listing.sources(day)

    def stamp(self, day: date) -> Stamp:
        return self.stamps.get(day, Stamp())

    def make(self, days: list[date], accept_loss: bool) -> list[DayReport]:
        """Make the days, publish them a few at a time, and return what came of each."""
        if not days:
            return []
        import_ahead()
        reports: list[DayReport] = []
        held: list[_Made] = []
        for made in self._made(days, accept_loss):
            if isinstance(made, DayReport):
                reports.append(made)
                continue
            held.append(made)
            if sum(rows.num_rows for one in held for rows in one.tables) >= HELD_ROWS:
                reports += self._publish(held)
                held = []
        return sorted(reports + self._publish(held), key=lambda report: report.day)

    def _made(self, days: list[date], accept_loss: bool) -> Iterator[_Made | DayReport]:
        is_near = (pc.field("audited_on") >= days[0] - AUDIT_WINDOW) & (pc.field("audited_on") <= days[-1])
        context = _Context(self._book, self._expert, read(self._lake, AUDITS, AUDIT_COLUMNS, is_near))
        with LedgerReader(self._lake, self._book, self._expert, self.listing.ledger, self.listing.rejects) as reader:
            for day, found in _read_ahead(reader, days):
                refused = refusals(day, found.facts, self.stamp(day).n_calls, accept_loss)
                if refused:
                    problem = " ".join(finding.message for finding in refused)
                    yield DayReport(day, found.facts.n_calls, 0, Decimal(0), False, tuple(refused), problem)
                    continue
                charged = charges.charges(found.day)
                tables = tuple(build(found.day, charged, context) for _, build in BUILDERS)
                hashes = tuple(row_hash(table, rows) for (table, _), rows in zip(BUILDERS, tables, strict=True))
                is_new = tuple(partition_hash(self._lake, table, day) != one for (table, _), one in zip(BUILDERS, hashes, strict=True))
                findings = tuple(remarks(found.day, found.facts, self._book, self._expert)) if found.facts.n_calls else ()
                findings += tuple(focus.lost_prices(tables[_FOCUS]))
                yield _Made(day, tables, hashes, is_new, Stamp(self.sources(day), found.facts.n_calls), findings)

    def _publish(self, held: list[_Made]) -> list[DayReport]:
        """Validate what is new, all days together, and publish day by day; a day that is not valid is refused alone."""
        try:
            self._validate(held)
        except ValidationFailed as error:
            if len(held) == 1:
                return [held[0].report(str(error))]
            return [report for one in held for report in self._publish([one])]
        for one in held:
            for (table, _), rows, row_digest, is_new in zip(BUILDERS, one.tables, one.hashes, one.is_new, strict=True):
                marks = one.stamp.marks() if table is COST_DAILY else {}
                if is_new or marks:
                    replace_partition(self._lake, table, one.day, rows, row_digest, **marks)
        return [one.report() for one in held]

    def _validate(self, held: list[_Made]) -> None:
        validation = Validation(self._lake)
        for number, (table, _) in enumerate(BUILDERS):
            rows = [one.tables[number] for one in held if one.is_new[number]]
            if rows:
                validation.add(table, pa.concat_tables(rows))
        validation.close()


def _read_ahead(reader: LedgerReader, days: list[date]) -> Iterator[tuple[date, Read]]:
    """Read the days in their order, in a thread, some ahead of whoever asks for them."""
    reads: dict[date, Future[Read]] = {}
    with ThreadPoolExecutor(1) as pool:
        for number, day in enumerate(days):
            for soon in days[number : number + AHEAD_DAYS]:
                reads[soon] = reads.get(soon) or pool.submit(reader.read, soon)
            yield day, reads.pop(day).result()
