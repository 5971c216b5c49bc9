"""Working files of finished runs go after two weeks: they are copies of texts and answers that the tables have.

Finished is a run whose report accounts for everything with nothing pending. Its ``plan.json`` stays: audits ask what parameters a result
was made with. What an unfinished run left stays, however old; what runs share, such as the inbox's snapshots, is no run.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from skillyard.errors import ObjectMissing
from skillyard.lake.lake import Lake
from skillyard.running.inbox import RUNS as INGEST_RUNS
from skillyard.running.ingest import OPEN
from skillyard.storage import ObjectInfo

GRACE = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class CleanedUp:
    """What was deleted."""

    n_runs: int
    n_objects: int
    size_bytes: int


def clean_up_runs(lake: Lake, now: datetime | None = None) -> CleanedUp:
    """Delete the working files of runs that finished more than two weeks ago; interrupted, the next call goes on."""
    before = (now or datetime.now(UTC)) - GRACE
    deleted: list[ObjectInfo] = []
    n_runs = 0
    for run in _finished(lake, before):
        n_runs += 1
        report = f"{run}/report.json"
        found = [info for info in lake.storage.list(f"{run}/") if info.key not in (report, f"{run}/plan.json")]
        for info in found:
            lake.storage.delete(info.key)
        lake.storage.delete(report)  # last: without it nobody would know that the rest may go
        deleted += found
    return CleanedUp(n_runs, len(deleted), sum(info.size_bytes for info in deleted))


def _finished(lake: Lake, before: datetime) -> Iterator[str]:
    open_run = lake.read_json(OPEN) if lake.has(OPEN) else None
    for folder in _run_folders(lake):
        for name in list(lake.storage.folders(f"{folder}/")):
            run = f"{folder}/{name}"
            reported = lake.storage.head(f"{run}/report.json")
            if reported is None or reported.modified_at >= before or run == open_run:
                continue
            try:
                report = lake.read_json(f"{run}/report.json")
            except ObjectMissing:
                continue
            if report["n_pending"] == 0:
                yield run


def _run_folders(lake: Lake) -> Iterator[str]:
    yield INGEST_RUNS
    yield from (f"_runs/{name}" for name in lake.storage.folders("_runs/") if name.startswith("skill."))
