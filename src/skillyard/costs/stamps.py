"""What a day's tables were made of, so that a night recomputes the days that would come out otherwise, and reads nothing of the others.

A day's stamp is a digest of names and marks of change, of listings alone: the ledger's files of the day and the day after (an operation
may go on after midnight), the rejects' of the day and some more, the audits' of the month before, the prices that hold that day, and the
versions of tables and methods. It stands in the footer of the day's ``cost_daily``, which is written last: a day is done when all of
its tables are.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from hashlib import sha256

from skillyard.costs.expert_ratio import AUDIT_WINDOW
from skillyard.costs.ledger.reader import ONE_DAY, REJECT_DAYS
from skillyard.costs.ledger.zones import days_between
from skillyard.costs.prices.book import PriceBook
from skillyard.lake.contents import Contents, find_contents
from skillyard.lake.cost_tables import COST_DAILY
from skillyard.lake.lake import Lake
from skillyard.lake.manifest import day_of
from skillyard.lake.publish import partition_marks
from skillyard.lake.tables import AUDITS, LLM_CALLS, REJECTS

SOURCES, N_CALLS = "skillyard_sources", "skillyard_n_calls"


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a day was made of."""

    sources: str = ""
    n_calls: int = 0
    """Distinct calls, so that it is seen when some of them vanish."""

    def marks(self) -> dict[str, str]:
        """Return it as metadata of a file."""
        return {SOURCES: self.sources, N_CALLS: str(self.n_calls)}


class Listing:
    """What the ledger, the rejects and the audits consist of now."""

    def __init__(self, lake: Lake, book: PriceBook, versions: Iterable[str]) -> None:
        self._book, self._versions = book, tuple(versions)
        self.ledger, self.rejects = find_contents(lake, LLM_CALLS), find_contents(lake, REJECTS)
        self._files = {"ledger": _by_day(self.ledger), "rejects": _by_day(self.rejects), "audits": _by_day(find_contents(lake, AUDITS))}

    @property
    def days(self) -> set[date]:
        """The days that the ledger has files of."""
        return set(self._files["ledger"])

    def sources(self, day: date) -> str:
        """Return the digest of what a day is made of."""
        last_reject = day + timedelta(days=REJECT_DAYS)
        spans = {"ledger": (day, day + ONE_DAY), "rejects": (day, last_reject), "audits": (day - AUDIT_WINDOW, day)}
        files = {name: [f for d in days_between(*span) for f in self._files[name].get(d, ())] for name, span in spans.items()}
        prices = sorted((p.price_id, str(p.price), *map(str, p.key)) for p in self._book if p.holds_on(day))
        return sha256(json.dumps([self._versions, files, prices], sort_keys=True).encode()).hexdigest()


def stored_stamps(lake: Lake) -> dict[date, Stamp]:
    """Return the stamp of every day that has a bill, by its footer."""
    found = partition_marks(lake, COST_DAILY)
    return {day: Stamp(marks.get(SOURCES, ""), int(marks.get(N_CALLS, "0"))) for day, marks in found.items()}


def _by_day(found: Contents) -> dict[date, list[tuple[str, str]]]:
    files: dict[date, list[tuple[str, str]]] = {}
    for key in found.keys:
        info = (found.listed or {}).get(key)
        files.setdefault(date.fromisoformat(day_of(key)), []).append((key, info.etag if info else ""))
    return files
