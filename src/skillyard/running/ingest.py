"""Ingestion: look at the inbox, parse what is new, publish ``documents``, ``pages``, ``chunks`` and ``rejects``, and account for all."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from skillyard.errors import CountMismatch, ObjectMissing
from skillyard.gateway.state import open_state
from skillyard.lake.iceberg import follow
from skillyard.lake.lake import Lake
from skillyard.lake.memory import give_back_memory
from skillyard.running import parsing
from skillyard.running.inbox import RUNS, IngestPlan, Progress, ingest_shards, lease_name, make_plan, preview, run_folder
from skillyard.running.inbox_known import Seen, keep_snapshot
from skillyard.running.inbox_look import IngestRequest
from skillyard.running.ingest_batches import Published, publish_batches
from skillyard.running.lease import release_lease, renew_lease, take_lease
from skillyard.running.parsing import ParseProgress, ParseReport, outcome_key
from skillyard.running.runs import cli_owner
from skillyard.settings import Settings
from skillyard.storage import open_storage

__all__ = [
    "IngestPlan",
    "IngestReport",
    "IngestRequest",
    "ParseReport",
    "discover",
    "ingest_shards",
    "parse_shard",
    "preview",
    "publish_documents",
]

OPEN = f"{RUNS}/open.json"
"""Names the run that is being published. What a killed one left half published is finished before anything else is planned."""


@dataclass(frozen=True, slots=True)
class IngestReport:
    """How a run ended: planned + members = parsed + rejected + unpacked + unchanged + gone + pending."""

    run_id: str
    n_listed: int
    n_planned: int
    """Objects that were to be read."""
    n_documents: int
    """Rows of this run in ``documents`` that are not deletions."""
    n_new: int
    """Those of them that were parsed, which skills can work on."""
    n_unpacked: int
    """Archives; what lies in them are documents themselves."""
    n_members: int
    """Documents found in archives and messages."""
    n_pages: int
    """Rows of this run in ``pages``."""
    n_chunks: int
    n_duplicates: int
    """Documents with nearly the text of an earlier one."""
    n_deleted: int
    """Rows with the status deleted: gone from the inbox, members of archives included."""
    rejects: dict[str, int]
    """Documents by error_kind."""
    retried: dict[str, int]
    """Documents that were rejected before and tried again, by what became of them: parsed, or an error_kind."""
    n_unchanged: int
    n_gone: int
    """Removed from the inbox between being listed and being read."""
    n_pending: int
    pending: dict[str, int]
    """Documents by reason: failed_shard, or what the store said."""
    message: str
    warnings: list[str] = field(default_factory=list)
    """Checks of the published rows that failed and only warn."""


def discover(
    settings: Settings,
    run_id: str,
    request: IngestRequest | None = None,
    *,
    n_shards: int = 8,
    owner: str | None = None,
    progress: Progress | None = None,
) -> IngestPlan:
    """Plan a run: write shards of what is to be read and return the plan; a run that has a plan keeps it.

    About ``n_shards`` shards: fewer for a few documents, more where one would get too large for a task. ``RunLocked`` while somebody
    else than ``owner`` (by default this process) ingests into the same lake; a plan with nothing to do gives the lease back at once.
    """
    lake, owner = Lake(settings.lake), owner or cli_owner()
    lake.check_writable()
    state, lease = open_state(settings.state), lease_name(settings)
    take_lease(state, lease, owner)
    try:
        _finish_open_run(settings, lake, run_folder(run_id))
        if lake.has(f"{run_folder(run_id)}/plan.json"):
            plan = IngestPlan.load(lake, run_folder(run_id))
        else:
            plan = make_plan(settings, run_id, request or IngestRequest(), n_shards, owner, progress)
    except BaseException:
        release_lease(state, lease, owner)
        raise
    if not plan.shards:
        release_lease(state, lease, owner)
    return plan


def parse_shard(
    settings: Settings, shard_key: str, progress: Callable[[ParseProgress], None] | None = None, n_workers: int = 2
) -> ParseReport:
    """Read and parse a shard's objects and write the outcome, keeping the run's lease; ``progress`` is called every few seconds."""
    state, name = open_state(settings.state), lease_name(settings)
    owner = IngestPlan.load(Lake(settings.lake), shard_key.partition("/shards/")[0]).lease_owner

    def tell(so_far: ParseProgress) -> None:
        renew_lease(state, name, owner)
        if progress is not None:
            progress(so_far)

    report = parsing.parse_shard(settings, shard_key, tell, n_workers)
    give_back_memory()
    return report


def publish_documents(settings: Settings, run_key: str) -> IngestReport:
    """Commit every finished shard, check the counts and return them. Repeating it changes nothing that stands.

    What a failed shard did not finish is counted as pending, and the caller fails the run; ``CountMismatch`` when anything vanished.
    """
    lake = Lake(settings.lake)
    plan = IngestPlan.load(lake, run_key)
    renew_lease(open_state(settings.state), lease_name(settings), plan.lease_owner)
    lake.write_json(OPEN, run_key)
    done = [key for key in sorted(plan.shards) if lake.has(outcome_key(key))]
    published = publish_batches(lake, open_storage(settings.inbox), plan, done)
    keep_snapshot(lake, settings.inbox, _seen(lake, done))
    report = _account(lake, plan, done, published)
    lake.write_json(f"{run_key}/report.json", asdict(report))
    lake.storage.delete(OPEN)
    release_lease(open_state(settings.state), lease_name(settings), plan.lease_owner)
    follow(settings, lake, plan.run_id, ["documents", "pages", "chunks", "rejects", "quality_checks"])
    return report


def _finish_open_run(settings: Settings, lake: Lake, run_key: str) -> None:
    """Finish what another run, killed while it published, left half done: its pages may be there and its documents not."""
    with suppress(ObjectMissing):
        left = lake.read_json(OPEN)
        if left != run_key and lake.has(f"{left}/plan.json"):
            publish_documents(settings, left)


def _seen(lake: Lake, done: list[str]) -> Iterator[Seen]:
    """Yield what was read and found unchanged."""
    for key in done:
        for row in lake.read_json(outcome_key(key))["unchanged"]:
            at_us = round(datetime.fromisoformat(row["seen_at"]).timestamp() * 1_000_000)
            yield Seen(row["uri"], row["etag"], row["doc_id"], at_us)


def _account(lake: Lake, plan: IngestPlan, done: list[str], published: Published) -> IngestReport:
    """Compare what became of the objects with the plan, and what is in the tables with what became of them."""
    reports, pending = Counter[str](), Counter[str]()
    for key in done:
        outcome: dict[str, Any] = lake.read_json(outcome_key(key))
        reports.update(outcome["report"])
        pending.update(row["reason"] for row in outcome["pending"])
    n_in_done, n_refused = sum(plan.shards[key] for key in done), sum(pending.values())
    if plan.n_new > n_in_done:
        pending["failed_shard"] = plan.n_new - n_in_done
    ends = ("n_parsed", "n_rejected", "n_unpacked")
    n_settled = sum(reports[name] for name in (*ends, "n_unchanged", "n_gone")) + n_refused - reports["n_members"]
    n_deleted = published.statuses["deleted"]
    n_documents = published.n_rows["documents"] - n_deleted
    counts = {
        "planned objects are in shards": (plan.n_new, sum(plan.shards.values())),
        "objects of finished shards are settled": (n_in_done, n_settled),
        "documents parsed, unpacked or rejected have rows": (sum(reports[name] for name in ends), n_documents),
        "deletions have rows": (plan.n_deleted, min(plan.n_deleted, n_deleted)),
    }
    if any(wanted != found for wanted, found in counts.values()):
        said = "; ".join(f"{found} of {wanted} {what}" for what, (wanted, found) in counts.items())
        raise CountMismatch(f"ingestion {plan.run_key}: {said}. Nothing may vanish: look at the shards and outcomes there.")
    return IngestReport(
        run_id=plan.run_id,
        n_listed=plan.n_listed,
        n_planned=plan.n_new,
        n_documents=n_documents,
        n_new=published.statuses["parsed"],
        n_unpacked=published.statuses["unpacked"],
        n_members=reports["n_members"],
        n_pages=published.n_rows["pages"],
        n_chunks=published.n_rows["chunks"],
        n_duplicates=published.n_duplicates,
        n_deleted=published.statuses["deleted"],
        rejects=dict(sorted(published.kinds.items())),
        retried=dict(sorted(published.retried.items())),
        n_unchanged=reports["n_unchanged"],
        n_gone=reports["n_gone"],
        n_pending=sum(pending.values()),
        pending=dict(pending),
        message=plan.message,
        warnings=list(dict.fromkeys(published.warnings)),
    )
