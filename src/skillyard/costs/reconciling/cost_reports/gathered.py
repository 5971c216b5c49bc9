"""The pages and files of one report, put together: each day's costs once, each day's token counts once, no page missing."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from skillyard.costs.reconciling.cost_reports.files import Page
from skillyard.costs.reconciling.cost_reports.report import Charge, CostReport, TokenCount, whole_day
from skillyard.errors import ConfigError

Bucket = Mapping[str, Any]


@dataclass(slots=True)
class Gathered:
    """What the pages and files have so far."""

    costs: dict[date, str] = field(default_factory=dict)
    """By day with costs, also of none: where they stand."""
    usage: dict[date, str] = field(default_factory=dict)
    """By day with token counts: where they stand."""
    empty: dict[date, str] = field(default_factory=dict)
    """Days of pages that say nothing: of costs or of tokens, nobody can tell, and it makes no difference."""
    charges: list[Charge] = field(default_factory=list)
    counts: list[TokenCount] = field(default_factory=list)
    quantities: list[TokenCount] = field(default_factory=list)
    """Token counts that stand beside charges: they count where there are no others."""
    notes: list[str] = field(default_factory=list)

    def add_days(self, days: Iterable[date], where: str, kind: str) -> None:
        """Note the days of a page or file; ConfigError for one that another has too: its charges would count twice."""
        seen: dict[date, str] = getattr(self, kind)
        for day in days:
            if (other := seen.setdefault(day, where)) != where:
                raise ConfigError(f"{where}: {kind} of {day} stand in {other} too: give each page or file once.")

    def report(self, provider: str, source: str) -> CostReport:
        """Return the whole."""
        days = self.costs.keys() | (self.empty.keys() if not self.costs or not self.usage else set())
        if not days:
            what = "there are token counts but no costs" if self.usage else "there is nothing in it"
            raise ConfigError(f"{source}: {what}: give the pages or the export of costs.")
        counts = self.counts if self.usage else self.quantities
        kept = tuple(count for count in counts if count.day in days)
        return CostReport(provider, source, tuple(sorted(days)), tuple(self.charges), kept, tuple(dict.fromkeys(self.notes)))


def read_buckets(
    pages: Sequence[Page],
    today: date,
    found: Gathered,
    interval: Callable[[Bucket, str], tuple[datetime, datetime]],
    is_usage: Callable[[Bucket], bool],
    read: Callable[[Bucket, date, str], None],
) -> None:
    """Read pages of buckets, one a UTC day, as OpenAI and Anthropic both answer them; ConfigError where further pages are missing."""
    last: dict[str, tuple[str, bool]] = {}
    for where, page in pages:
        kind, days = "empty", []
        for place, bucket in _buckets(where, page):
            begins, ends = interval(bucket, place)
            day = whole_day(begins, ends, today, place)
            days.append(day)
            results = bucket.get("results", bucket.get("result"))
            if not isinstance(results, list) or not all(isinstance(result, dict) for result in results):
                raise ConfigError(f"{place}: it has no list of objects named results.")
            for n, result in enumerate(results):
                kind = "usage" if is_usage(result) else "costs"
                read(result, day, f"{place}.results[{n}]")
        found.add_days(days, where, kind)
        last[kind] = (where, bool(page.get("has_more")))
    for where, has_more in last.values():
        if has_more:
            raise ConfigError(f"{where}: has_more says that there are further pages: add them, or the bill is not whole.")


def _buckets(where: str, page: Bucket) -> list[tuple[str, Bucket]]:
    data = page.get("data")
    if not isinstance(data, list) or not all(isinstance(bucket, dict) for bucket in data):
        raise ConfigError(f"{where}: it has no list of buckets named data: it is no page of costs or usage.")
    return [(f"{where}: data[{n}]", bucket) for n, bucket in enumerate(data)]
