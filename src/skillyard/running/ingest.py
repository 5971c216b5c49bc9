"""Documents in: find what is new in the inbox, parse it shard by shard, publish ``documents``, ``pages`` and ``rejects``.

Shards are published in batches. A batch is claimed, with what of it the tables hold already, before its rows are written: whoever
repeats the publish, after a crash or after more shards were done, writes the claimed batches again as they were.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from skillyard.errors import CountMismatch
from skillyard.gateway.state import open_state
from skillyard.lake.lake import Lake
from skillyard.lake.publish import append
from skillyard.lake.read import read
from skillyard.lake.tables import CHUNKS, DOCUMENTS, PAGES, REJECTS, Table
from skillyard.lake.validate import validate
from skillyard.running.inbox import IngestPlan, discover, ingest_shards, lease_name, note_seen
from skillyard.running.lease import release_lease
from skillyard.running.parsing import PAGES_FRAME_CHARS, ParseReport, frame_key, outcome_key, parse_shard
from skillyard.running.runs import slug
from skillyard.settings import Settings

__all__ = ["IngestPlan", "IngestReport", "ParseReport", "discover", "ingest_shards", "parse_shard", "publish_documents"]


@dataclass(frozen=True, slots=True)
class IngestReport:
    """How a run ended: planned = parsed + rejected + unchanged + gone + pending."""

    run_id: str
    n_listed: int
    n_planned: int
    n_documents: int
    """Rows of this run in ``documents``: parsed and rejected."""
    n_new: int
    """Those of them that were parsed, which skills can work on."""
    n_pages: int
    """Rows of this run in ``pages``."""
    rejects: dict[str, int]
    """Documents by error_kind."""
    n_unchanged: int
    n_gone: int
    """Removed from the inbox between being listed and being read."""
    n_pending: int
    pending: dict[str, int]
    """Documents by reason: failed_shard, or what the store said."""
    message: str


@dataclass(frozen=True, slots=True)
class Batch:
    """Shards published together, and the rows of theirs that are in the tables without them."""

    part: str
    shards: tuple[str, ...]
    known_pages: frozenset[str]
    """doc_ids whose pages an earlier run or batch published."""
    known_rejects: frozenset[str]
    """doc_ids that an earlier batch of this run rejected."""


def publish_documents(settings: Settings, run_key: str) -> IngestReport:
    """Commit every finished shard, check the counts and return them. Repeating it changes nothing that stands.

    What a failed shard did not finish is counted as pending, and the caller fails the run; ``CountMismatch`` when anything vanished.
    """
    lake = Lake(settings.lake)
    plan = IngestPlan.load(lake, run_key)
    done = [key for key in sorted(plan.shards) if lake.has(outcome_key(key))]
    n_rows: Counter[str] = Counter()
    for batch in _batches(lake, plan, done):
        n_rows += _publish_batch(lake, batch)
    outcomes = [lake.read_json(outcome_key(key)) for key in done]
    seen = [row for outcome in outcomes for row in outcome["unchanged"]]
    note_seen(lake, [{**row, "seen_at": datetime.fromisoformat(row["seen_at"])} for row in seen])
    report = _account(plan, outcomes, sum(plan.shards[key] for key in done), n_rows, _error_kinds(lake, done))
    lake.write_json(f"{run_key}/report.json", asdict(report))
    release_lease(open_state(settings.state), lease_name(settings), plan.lease_owner)
    return report


def _batches(lake: Lake, plan: IngestPlan, done: list[str]) -> Iterator[Batch]:
    """Yield the batches claimed before, then, when those are published, the shards done since as a new one."""
    folder = f"{plan.run_key}/batches/"
    claims = [lake.read_json(info.key) for info in lake.storage.list(folder)]
    for number, claim in enumerate(claims):
        yield _to_batch(plan, number, claim)
    claimed = {key for claim in claims for key in claim["shards"]}
    fresh = [key for key in done if key not in claimed]
    if fresh:
        claim = {"shards": fresh, **_known_rows(lake, plan.run_id, fresh)}
        lake.write_json(f"{folder}{len(claims):04d}.json", claim)
        yield _to_batch(plan, len(claims), claim)


def _to_batch(plan: IngestPlan, number: int, claim: dict[str, Any]) -> Batch:
    part = f"ingest-{slug(plan.run_id)}-{number:03d}"
    return Batch(part, tuple(claim["shards"]), frozenset(claim["known_pages"]), frozenset(claim["known_rejects"]))


def _known_rows(lake: Lake, run_id: str, shards: list[str]) -> dict[str, list[str]]:
    """Return the doc_ids of the shards whose pages, or whose rejects in this run, are in the tables already."""
    doc_ids = pc.unique(_rows(lake, DOCUMENTS, shards)["doc_id"])
    is_ours = pc.field("doc_id").isin(doc_ids)
    parsed = read(lake, "documents", ["doc_id"], is_ours & (pc.field("status") == "parsed"))
    rejected = read(lake, "rejects", ["doc_id"], is_ours & (pc.field("run_id") == run_id) & (pc.field("stage") == "parse"))
    return {"known_pages": sorted(set(parsed["doc_id"].to_pylist())), "known_rejects": sorted(set(rejected["doc_id"].to_pylist()))}


def _publish_batch(lake: Lake, batch: Batch) -> Counter[str]:
    """Validate all of a batch, then append it, ``documents`` last: a document that is there has its pages. Return rows by table."""
    documents = _rows(lake, DOCUMENTS, batch.shards)
    rejects = _first_of_each(_rows(lake, REJECTS, batch.shards), batch.known_rejects)
    for table, rows in ((DOCUMENTS, documents), (REJECTS, rejects)):
        if rows.num_rows:
            validate(lake, table, rows)
    for table in (PAGES, CHUNKS):
        for _, rows in _text_parts(lake, batch, table):
            validate(lake, table, rows)
    n_rows: Counter[str] = Counter()
    for table in (PAGES, CHUNKS):
        for part, rows in _text_parts(lake, batch, table):
            n_rows[table.name] += sum(committed.n_rows for committed in append(lake, table, rows, part))
    for table, rows in ((REJECTS, rejects), (DOCUMENTS, documents)):
        n_rows[table.name] += sum(committed.n_rows for committed in append(lake, table, rows, batch.part))
    return n_rows


def _rows(lake: Lake, table: Table, shards: list[str] | tuple[str, ...]) -> pa.Table:
    return pa.concat_tables([table.schema.empty_table(), *(lake.read_frame(frame_key(key, table.name)) for key in shards)])


def _first_of_each(rows: pa.Table, known: frozenset[str]) -> pa.Table:
    """Return the rows of documents that are not known yet, one for each: equal bytes may lie in two shards."""
    seen, keep = set(known), []
    for doc_id in rows["doc_id"].to_pylist():
        keep.append(doc_id not in seen)
        seen.add(doc_id)
    return rows.filter(pa.array(keep, pa.bool_()))


def _text_parts(lake: Lake, batch: Batch, table: Table) -> Iterator[tuple[str, pa.Table]]:
    """Yield a batch's pages or chunks in parts of bounded size, none of them split within a document, each document once."""
    seen = set(batch.known_pages)
    held: list[pa.Table] = []
    number = n_chars = 0
    for shard in batch.shards:
        for frame in range(lake.read_json(outcome_key(shard))["n_page_frames"]):
            rows = lake.read_frame(frame_key(shard, f"{table.name}-{frame:04d}"))
            rows = rows.filter(pc.invert(pc.is_in(rows["doc_id"], pa.array(sorted(seen), pa.string()))))
            seen.update(rows["doc_id"].to_pylist())
            held.append(rows)
            n_chars += pc.sum(pc.utf8_length(rows["text"])).as_py() or 0
            if n_chars >= PAGES_FRAME_CHARS:
                yield f"{batch.part}-{number:04d}", pa.concat_tables(held)
                held, number, n_chars = [], number + 1, 0
    if any(rows.num_rows for rows in held):
        yield f"{batch.part}-{number:04d}", pa.concat_tables(held)


def _error_kinds(lake: Lake, shards: list[str]) -> Counter[str]:
    """Return this run's rejected documents by kind: every address counts, equal bytes or not."""
    kinds: dict[str, str] = {}
    for row in _rows(lake, REJECTS, shards).select(["doc_id", "error_kind"]).to_pylist():
        kinds[row["doc_id"]] = row["error_kind"]
    documents = _rows(lake, DOCUMENTS, shards).select(["doc_id", "status"]).to_pylist()
    return Counter(kinds[row["doc_id"]] for row in documents if row["status"] == "rejected")


def _account(plan: IngestPlan, outcomes: list[dict[str, Any]], n_in_done: int, n_rows: Counter[str], kinds: Counter[str]) -> IngestReport:
    """Compare what became of the objects with the plan, and what is in the tables with what became of them."""
    reports = [ParseReport(**outcome["report"]) for outcome in outcomes]
    n_parsed, n_rejected = sum(r.n_parsed for r in reports), sum(r.n_rejected for r in reports)
    n_unchanged, n_gone = sum(r.n_unchanged for r in reports), sum(r.n_gone for r in reports)
    pending = Counter(row["reason"] for outcome in outcomes for row in outcome["pending"])
    n_refused = sum(pending.values())
    if plan.n_new > n_in_done:
        pending["failed_shard"] = plan.n_new - n_in_done
    n_settled = n_parsed + n_rejected + n_unchanged + n_gone + n_refused
    if n_settled != n_in_done or sum(plan.shards.values()) != plan.n_new or n_rows["documents"] != n_parsed + n_rejected:
        raise CountMismatch(
            f"ingestion {plan.run_key}: {plan.n_new} planned, {sum(plan.shards.values())} in shards, {n_in_done} in finished ones; "
            f"{n_parsed} parsed + {n_rejected} rejected + {n_unchanged} unchanged + {n_gone} gone + {n_refused} refused by the store; "
            f"{n_rows['documents']} rows in documents. Nothing may vanish: look at the shards and outcomes there."
        )
    return IngestReport(
        run_id=plan.run_id,
        n_listed=plan.n_listed,
        n_planned=plan.n_new,
        n_documents=n_parsed + n_rejected,
        n_new=n_parsed,
        n_pages=n_rows["pages"],
        rejects=dict(sorted(kinds.items())),
        n_unchanged=n_unchanged,
        n_gone=n_gone,
        n_pending=sum(pending.values()),
        pending=dict(pending),
        message=plan.message,
    )
