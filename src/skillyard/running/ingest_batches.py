"""Finished shards, published in batches of bounded size.

A batch is claimed, with what of it the tables hold already, before its rows are written: whoever repeats the publish, after a crash or
after more shards were done, or at the same time, writes the claimed batches again as they were.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from skillyard.lake.lake import Lake
from skillyard.lake.memory import give_back_memory
from skillyard.lake.publish import append
from skillyard.lake.read import scan
from skillyard.lake.tables import CHUNKS, DOCUMENTS, PAGES, REJECTS, Table
from skillyard.lake.validate import Validation, validate
from skillyard.running.inbox import IngestPlan, deleted_frames, tombstones, unsure_key
from skillyard.running.inbox_diff import Known
from skillyard.running.inbox_spool import to_tuples
from skillyard.running.near import MINHASH_SCHEMA, find_duplicates
from skillyard.running.parsing import PAGES_FRAME_CHARS, frame_key, outcome_key
from skillyard.running.runs import slug
from skillyard.storage import Storage

BATCH_ITEMS = 5_000
"""Objects of the shards that are published together; a single shard may have more."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Shards published together, and the rows of theirs that are in the tables without them."""

    part: str
    shards: tuple[str, ...]
    known_pages: frozenset[str]
    """doc_ids whose pages an earlier run or batch published."""
    known_rejects: frozenset[str]
    """doc_ids that an earlier batch of this run rejected."""
    duplicates: Mapping[str, str]
    """By doc_id, the earlier document that it nearly equals."""


@dataclass(frozen=True, slots=True)
class Published:
    """What batches made: rows by table, documents by status, rejected ones by kind, those tried again by what became of them."""

    n_rows: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    retried: Counter[str] = field(default_factory=Counter)
    n_duplicates: int = 0
    warnings: tuple[str, ...] = ()
    """Checks of the rows that failed and only warn."""

    def __add__(self, other: "Published") -> "Published":
        return Published(
            self.n_rows + other.n_rows,
            self.statuses + other.statuses,
            self.kinds + other.kinds,
            self.retried + other.retried,
            self.n_duplicates + other.n_duplicates,
            (*self.warnings, *other.warnings),
        )


def publish_batches(lake: Lake, storage: Storage, plan: IngestPlan, done: list[str]) -> Published:
    """Publish the batches claimed before, then the shards done since as new ones, then the documents that are gone."""
    published = Published()
    for batch in _batches(lake, plan, done):
        published += _publish_batch(lake, storage, plan, batch)
        give_back_memory()
    for number, key in enumerate(deleted_frames(lake, plan.run_key)):
        gone = lake.read_frame(key)
        validate(lake, DOCUMENTS, gone)
        published += _publish_documents(lake, gone, f"{_stem(plan)}-deleted-{number:04d}")
    return published


def _batches(lake: Lake, plan: IngestPlan, done: list[str]) -> Iterator[Batch]:
    """Yield each batch when those before it are published."""
    claimed: set[str] = set()
    number = 0
    while True:
        key = f"{plan.run_key}/batches/{number:04d}.json"
        if not lake.has(key):
            shards = _next_shards(plan, [shard for shard in done if shard not in claimed])
            if not shards:
                return
            claim = {"shards": shards, **_known_rows(lake, plan.run_id, shards)}
            lake.storage.put_if_absent(key, json.dumps(claim, sort_keys=True, indent=1).encode())
        claim = lake.read_json(key)
        part = f"{_stem(plan)}-{number:03d}"
        known_pages, known_rejects = frozenset(claim["known_pages"]), frozenset(claim["known_rejects"])
        yield Batch(part, tuple(claim["shards"]), known_pages, known_rejects, _duplicates(lake, plan, number, part, claim, known_pages))
        claimed |= set(claim["shards"])
        number += 1


def _stem(plan: IngestPlan) -> str:
    return f"ingest-{slug(plan.run_id)}"


def _next_shards(plan: IngestPlan, shards: list[str]) -> list[str]:
    """Return the first shards, as many as are published together."""
    taken: list[str] = []
    for shard in shards:
        if taken and sum(plan.shards[key] for key in (*taken, shard)) > BATCH_ITEMS:
            break
        taken.append(shard)
    return taken


def _known_rows(lake: Lake, run_id: str, shards: list[str]) -> dict[str, list[str]]:
    """Return the doc_ids of the shards whose pages, or whose rejects in this run, are in the tables already."""
    doc_ids = pc.unique(_rows(lake, DOCUMENTS, shards)["doc_id"])
    is_ours = pc.field("doc_id").isin(doc_ids)
    parsed = _ids(lake, "documents", is_ours & (pc.field("status") == "parsed"))
    rejected = _ids(lake, "rejects", is_ours & (pc.field("run_id") == run_id) & (pc.field("stage") == "parse"))
    return {"known_pages": parsed, "known_rejects": rejected}


def _ids(lake: Lake, table: str, where: pc.Expression) -> list[str]:
    found: set[str] = set()
    for batch in scan(lake, table, ["doc_id"], where):
        found.update(batch["doc_id"].to_pylist())
    return sorted(found)


def _duplicates(
    lake: Lake, plan: IngestPlan, number: int, part: str, claim: Mapping[str, list[str]], known_pages: frozenset[str]
) -> dict[str, str]:
    """Return the near duplicates among a claimed batch's new documents: found once, the same for whoever repeats the publish."""
    key = f"{plan.run_key}/duplicates/{number:04d}.json"
    if not lake.has(key):
        minhashes = [lake.read_frame(frame_key(shard, "minhashes")) for shard in claim["shards"]]
        new = _first_of_each(pa.concat_tables([MINHASH_SCHEMA.empty_table(), *minhashes]), known_pages)
        lake.write_json(key, find_duplicates(lake, part, new))
    found: dict[str, str] = lake.read_json(key)
    return found


def _publish_batch(lake: Lake, storage: Storage, plan: IngestPlan, batch: Batch) -> Published:
    """Validate all of a batch, then append it, ``documents`` last: a document that is there has its pages."""
    documents = _mark_duplicates(_rows(lake, DOCUMENTS, batch.shards), batch.duplicates)
    all_rejects = _rows(lake, REJECTS, batch.shards)
    rejects = _first_of_each(all_rejects, batch.known_rejects)
    told = pa.concat_tables([documents, _members_gone(lake, storage, plan, documents)])
    checks = Validation(lake, plan.run_id)
    checks.add(DOCUMENTS, told)
    checks.add(REJECTS, rejects)
    for table in (PAGES, CHUNKS):
        for _, rows in _text_parts(lake, batch, table):
            checks.add(table, rows)
    warnings = tuple(str(outcome) for outcome in checks.close())
    n_rows: Counter[str] = Counter()
    for table in (PAGES, CHUNKS):
        for part, rows in _text_parts(lake, batch, table):
            n_rows[table.name] += _append(lake, table, rows, part)
    n_rows[REJECTS.name] += _append(lake, REJECTS, rejects, batch.part)
    made = _publish_documents(lake, told, batch.part)
    kinds = dict(zip(all_rejects["doc_id"].to_pylist(), all_rejects["error_kind"].to_pylist(), strict=True))
    states = dict(zip(documents["uri"].to_pylist(), _states(documents, kinds), strict=True))
    retried = Counter(states[uri] for uri in _retried(lake, storage, batch) if uri in states)
    words = set(kinds.values())
    counted = Counter(state for state in states.values() if state in words)
    return made + Published(n_rows, Counter(), counted, retried, documents.num_rows - documents["duplicate_of"].null_count, warnings)


def _publish_documents(lake: Lake, rows: pa.Table, part: str) -> Published:
    statuses = Counter(rows["status"].to_pylist())
    return Published(Counter({DOCUMENTS.name: _append(lake, DOCUMENTS, rows, part)}), statuses)


def _append(lake: Lake, table: Table, rows: pa.Table, part: str) -> int:
    return sum(committed.n_rows for committed in append(lake, table, rows, part))


def _rows(lake: Lake, table: Table, shards: list[str] | tuple[str, ...]) -> pa.Table:
    return pa.concat_tables([table.schema.empty_table(), *(lake.read_frame(frame_key(key, table.name)) for key in shards)])


def _states(documents: pa.Table, kinds: Mapping[str, str]) -> Iterator[str]:
    """Yield each document's status, or its kind of reject."""
    for doc_id, status in zip(documents["doc_id"].to_pylist(), documents["status"].to_pylist(), strict=True):
        yield kinds[doc_id] if status == "rejected" else status


def _retried(lake: Lake, storage: Storage, batch: Batch) -> Iterator[str]:
    """Yield the addresses of what was tried again."""
    for shard in batch.shards:
        items = lake.read_frame(shard)
        yield from map(storage.uri, items.filter(items["is_retry"])["key"].to_pylist())


def _mark_duplicates(documents: pa.Table, duplicates: Mapping[str, str]) -> pa.Table:
    if not duplicates:
        return documents
    at = documents.schema.get_field_index("duplicate_of")
    before = zip(documents["doc_id"].to_pylist(), documents["duplicate_of"].to_pylist(), strict=True)
    marked = pa.array([duplicates.get(doc_id, known) for doc_id, known in before], pa.string())
    return documents.set_column(at, documents.schema.field(at), marked)


def _members_gone(lake: Lake, storage: Storage, plan: IngestPlan, documents: pa.Table) -> pa.Table:
    """Return rows for known members of this batch's changed archives that did not come up again."""
    if not lake.has(unsure_key(plan.run_key)):
        return DOCUMENTS.schema.empty_table()
    uris = set(documents["uri"].to_pylist())
    members = [Known._make(row) for batch in lake.read_frame(unsure_key(plan.run_key)).to_batches() for row in to_tuples(batch)]
    gone = [one for one in members if one.member_uri not in uris and any(above in uris for above in _archives_of(one.member_uri or ""))]
    return tombstones(storage, gone, plan.run_id, datetime.fromisoformat(plan.planned_at))


def _archives_of(uri: str) -> Iterator[str]:
    """Yield the addresses of the archives that a member lies in."""
    end = uri.find("!/")
    while end >= 0:
        yield uri[:end]
        end = uri.find("!/", end + 1)


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
            rows = rows.filter(pa.array([doc_id not in seen for doc_id in rows["doc_id"].to_pylist()], pa.bool_()))
            seen.update(rows["doc_id"].to_pylist())
            held.append(rows)
            n_chars += pc.sum(pc.utf8_length(rows["text"])).as_py() or 0
            if n_chars >= PAGES_FRAME_CHARS:
                yield f"{batch.part}-{number:04d}", pa.concat_tables(held)
                held, number, n_chars = [], number + 1, 0
    if any(rows.num_rows for rows in held):
        yield f"{batch.part}-{number:04d}", pa.concat_tables(held)
