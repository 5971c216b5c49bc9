"""The numbers of a table's last runs, kept in one small file ``_quality/profiles/<table>.json``, oldest run first.

A repeated publish of a run finds its own entry: it compares with the same runs as before, and stays one entry.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from skillyard.errors import StorageError, UnknownName
from skillyard.lake.lake import Lake
from skillyard.lake.trends import Finding, Profile

KEPT_RUNS = 30
TRIES = 20


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a table."""

    run_id: str
    at: str
    """When it was first checked."""
    parts: dict[str, Profile]
    """By the rows that were checked together."""
    is_blocked: bool = False
    """Its rows were not published: later runs do not compare with it."""
    is_accepted: bool = False
    """Somebody said that this is the new normal: it may be published, and what came before is no measure any more."""
    measured: dict[str, float] = field(default_factory=dict)
    """What was found beside the runs before it, by check and column."""

    @property
    def profile(self) -> Profile:
        """The whole run in numbers."""
        return sum(self.parts.values(), Profile())


def load_runs(lake: Lake, table: str) -> list[Run]:
    """Return the runs that are kept of a table."""
    return _load(lake, table)[0]


def earlier(runs: Sequence[Run], run_id: str) -> list[Profile]:
    """Return what a run is compared with: published runs before it, from the last accepted one on."""
    names = [run.run_id for run in runs]
    before = list(runs[: names.index(run_id)] if run_id in names else runs)
    accepted = [number for number, run in enumerate(before) if run.is_accepted]
    return [run.profile for run in before[accepted[-1] if accepted else 0 :] if not run.is_blocked or run.is_accepted]


def with_part(runs: Sequence[Run], run_id: str, at: str, part: str, profile: Profile) -> Run:
    """Return a run's entry with one more part, or with the same part once more."""
    known = next((run for run in runs if run.run_id == run_id), Run(run_id, at, {}))
    return replace(known, parts={**known.parts, part: profile})


def record(lake: Lake, table: str, part: str, run: Run, findings: Sequence[Finding]) -> None:
    """Keep a run's part, whether it was blocked, and what was found."""
    measured = {f"{finding.check} {finding.column}".strip(): finding.value for finding in findings}

    def change(runs: list[Run]) -> list[Run]:
        merged = with_part(runs, run.run_id, run.at, part, run.parts[part])
        return _put(runs, replace(merged, is_blocked=run.is_blocked, measured=measured))

    _change(lake, table, change)


def accept(lake: Lake, table: str, run_id: str) -> None:
    """Make a run the new normal: it may be published although it differs, and later runs compare with it and what follows."""

    def change(runs: list[Run]) -> list[Run]:
        found = next((run for run in runs if run.run_id == run_id), None)
        if found is None:
            raise UnknownName(f"run of {table}", run_id, (run.run_id for run in runs))
        return _put(runs, replace(found, is_accepted=True))

    _change(lake, table, change)


def _put(runs: list[Run], run: Run) -> list[Run]:
    names = [one.run_id for one in runs]
    if run.run_id not in names:
        return [*runs, run][-KEPT_RUNS:]
    return [run if one.run_id == run.run_id else one for one in runs]


def _change(lake: Lake, table: str, change: Callable[[list[Run]], list[Run]]) -> None:
    key = _key(table)
    for _ in range(TRIES):
        runs, etag = _load(lake, table)
        data = json.dumps([asdict(run) for run in change(runs)], ensure_ascii=False, sort_keys=True).encode()
        if lake.storage.replace_if_match(key, data, etag):
            return
    raise StorageError(f"{lake.storage.uri(key)} was changed by others {TRIES} times while this run tried to: try again.")


def _load(lake: Lake, table: str) -> tuple[list[Run], str | None]:
    found = lake.storage.head(_key(table))
    return ([_run(one) for one in lake.read_json(_key(table))], found.etag) if found else ([], None)


def _run(value: dict[str, Any]) -> Run:
    return Run(**{**value, "parts": {part: Profile.load(profile) for part, profile in value["parts"].items()}})


def _key(table: str) -> str:
    return f"_quality/profiles/{table.replace('/', '.')}.json"
