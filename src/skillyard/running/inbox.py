"""What is new in the inbox: listed, compared with what is known of it, and cut into shards of about equal weight.

The listing and what is known are walked side by side, and what is found lies in local files until it is cut: a million objects take no
more memory than a thousand.
"""

import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa

from skillyard.errors import InboxError
from skillyard.lake.lake import Lake
from skillyard.lake.tables import DOCUMENTS
from skillyard.running.inbox_diff import DELETED, Known
from skillyard.running.inbox_known import KNOWN_SCHEMA
from skillyard.running.inbox_look import Counts, InboxItem, IngestRequest, check_deletions, look
from skillyard.running.inbox_shards import SHARD_SCHEMA, cut
from skillyard.running.inbox_spool import Spool, to_batch, to_tuples
from skillyard.running.runs import slug
from skillyard.settings import Settings
from skillyard.storage import Storage, open_storage

__all__ = ["InboxItem", "InboxPreview", "IngestPlan", "ingest_shards", "load_items", "make_plan", "preview"]

RUNS = "_runs/ingest_documents"

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class IngestPlan:
    """What a run of ingestion will look at."""

    run_key: str
    run_id: str
    planned_at: str
    n_listed: int
    n_new: int
    """Objects to read: new ones, those whose change mark is, and those that are looked at again."""
    n_retried: int
    """Those of them that were rejected before and are tried again."""
    n_deleted: int
    """Documents that are known and gone, members of archives included: each gets a row with the status deleted."""
    shards: dict[str, int]
    """Objects by shard."""
    lease_owner: str
    message: str

    @property
    def n_shards(self) -> int:
        """Shards to parse."""
        return len(self.shards)

    @classmethod
    def load(cls, lake: Lake, run_key: str) -> "IngestPlan":
        """Read it back in a later task."""
        return cls(**lake.read_json(f"{run_key}/plan.json"))


@dataclass(frozen=True, slots=True)
class InboxPreview:
    """What a run would look at, if it were made now."""

    n_listed: int
    n_new: int
    n_changed: int
    n_retried: int
    n_again: int
    """Neither new nor changed, looked at by force."""
    n_deleted: int
    size_bytes: int
    """Of all that would be read."""
    first_keys: list[str]
    message: str


def preview(settings: Settings, request: IngestRequest, progress: Progress | None = None) -> InboxPreview:
    """Return what ``discover`` would find, without writing anything or keeping others out."""
    counts = Counts()
    for _ in look(Lake(settings.lake), settings.inbox, request, counts, progress):
        pass
    found = {name: getattr(counts, name) for name in InboxPreview.__slots__ if name != "message"}
    try:
        check_deletions(settings.inbox, counts, request)
    except InboxError as error:
        return InboxPreview(**found, message=f"It would be refused: {error}")
    return InboxPreview(**found, message=_say(settings.inbox, request, counts))


def run_folder(run_id: str) -> str:
    """Return the folder of a run on the lake."""
    return f"{RUNS}/{slug(run_id)}"


def lease_name(settings: Settings) -> str:
    """Return the lease of ingestion into this lake."""
    return f"ingest_documents on {settings.lake}"


def ingest_shards(settings: Settings, run_key: str) -> list[str]:
    """Return the shards of a planned run."""
    return sorted(IngestPlan.load(Lake(settings.lake), run_key).shards)


def load_items(lake: Lake, shard_key: str) -> list[InboxItem]:
    """Return a shard's items."""
    return [InboxItem(**row) for row in lake.read_frame(shard_key).to_pylist()]


def deleted_frames(lake: Lake, run_key: str) -> list[str]:
    """Return the frames of rows for documents that are gone."""
    return [info.key for info in lake.storage.list(f"{run_key}/deleted/")]


def unsure_key(run_key: str) -> str:
    """Return where the known members of changed archives are: those that do not come up again are gone."""
    return f"{run_key}/unsure.parquet"


def tombstones(storage: Storage, known: Iterable[Known], run_id: str, at: datetime) -> pa.Table:
    """Return a row with the status deleted for each."""
    same = {"n_pages": 0, "n_chars": 0, "n_chunks": 0, "status": "deleted", "run_id": run_id, "ingested_at": at, "ingested_on": at.date()}
    kept = ("doc_id", "parent_doc_id", "kind", "mime_type", "size_bytes", "etag")
    rows = [{"uri": k.member_uri or storage.uri(k.key), **{name: getattr(k, name) for name in kept}, **same} for k in known]
    return pa.Table.from_pylist(rows, schema=DOCUMENTS.schema)


@contextmanager
def _spools() -> Iterator[tuple[Spool, Spool, Spool]]:
    with tempfile.TemporaryDirectory(prefix="skillyard-") as folder:
        names = (("items", SHARD_SCHEMA), ("deleted", KNOWN_SCHEMA), ("unsure", KNOWN_SCHEMA))
        items, deleted, unsure = (Spool(Path(folder) / name, schema) for name, schema in names)
        yield items, deleted, unsure


def make_plan(
    settings: Settings, run_id: str, request: IngestRequest, n_shards: int, owner: str, progress: Progress | None = None
) -> IngestPlan:
    """Look at the inbox, write shards of what is to be read and rows of what was deleted, then the plan.

    ``InboxError`` when the inbox cannot be listed, or when more than half of what is known is gone: then nothing was written.
    """
    lake, run_key = Lake(settings.lake), run_folder(run_id)
    counts, now = Counts(), datetime.now(UTC)
    with _spools() as (items, deleted, unsure):
        with items, deleted, unsure:
            for found in look(lake, settings.inbox, request, counts, progress):
                if found.item is not None:
                    items.add(found.item)
                elif found.known is not None:
                    (deleted if found.kind == DELETED else unsure).add(found.known)
        check_deletions(settings.inbox, counts, request)
        shards = _write_shards(lake, run_key, items, counts, n_shards)
        for number, batch in enumerate(deleted):
            rows = tombstones(open_storage(settings.inbox), map(Known._make, to_tuples(batch)), run_id, now)
            lake.write_frame(f"{run_key}/deleted/{number:04d}.parquet", rows)
        if unsure.n_rows:
            lake.write_frame(unsure_key(run_key), pa.Table.from_batches(unsure, KNOWN_SCHEMA))
        if deleted.n_rows and not shards:
            shards = {_write_shard(lake, run_key, 0, []): 0}  # an empty one: what follows a plan without shards is skipped
        message = _say(settings.inbox, request, counts)
        plan = IngestPlan(
            run_key,
            run_id,
            now.isoformat(),
            counts.n_listed,
            items.n_rows,
            counts.n_retried,
            deleted.n_rows,
            shards,
            owner,
            message,
        )
    lake.write_json(f"{run_key}/plan.json", asdict(plan))
    return plan


def _write_shards(lake: Lake, run_key: str, items: Spool, counts: Counts, n_shards: int) -> dict[str, int]:
    stream = (InboxItem._make(row) for batch in items for row in to_tuples(batch))
    cuts = cut(stream, items.n_rows, counts.size_bytes, n_shards)
    return {_write_shard(lake, run_key, number, shard): len(shard) for number, shard in enumerate(cuts)}


def _write_shard(lake: Lake, run_key: str, number: int, items: list[InboxItem]) -> str:
    rows = pa.Table.from_batches([to_batch(items, SHARD_SCHEMA)] if items else [], SHARD_SCHEMA)
    return lake.write_frame(f"{run_key}/shards/{number:04d}.parquet", rows)


def _say(inbox: str, request: IngestRequest, counts: Counts) -> str:
    below = f" below {request.prefix!r}" if request.prefix else ""
    more = [(counts.n_retried, "tried again"), (counts.n_again, "looked at again"), (counts.n_deleted, "deleted since the last run")]
    said = "".join(f", {n} {what}" for n, what in more if n)
    if counts.n_unnamed:
        said += f", {counts.n_unnamed} left out because their names are not UTF-8"
    if counts.n_listed == 0:
        return f"The inbox {inbox} is empty{below}{said or ': nothing to ingest'}."
    n_new = counts.n_new + counts.n_changed
    if n_new == 0:
        return f"{counts.n_listed} documents in {inbox}{below}, none of them new or changed{said}."
    return f"{counts.n_listed} documents in {inbox}{below}, {n_new} of them new or changed{said}."
