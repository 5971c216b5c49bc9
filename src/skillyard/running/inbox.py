"""What is new in the inbox: listed, compared with the table ``documents``, and cut into shards of about equal bytes."""

import heapq
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from skillyard.errors import InboxError, ObjectMissing, StorageRefused
from skillyard.gateway.state import open_state
from skillyard.lake.lake import Lake
from skillyard.lake.read import scan
from skillyard.lake.tables import TIMESTAMP
from skillyard.running.lease import release_lease, take_lease
from skillyard.running.limits import MAX_SHARDS
from skillyard.running.runs import cli_owner, slug
from skillyard.settings import Settings
from skillyard.storage import ObjectInfo, Storage, open_storage

RUNS = "_runs/ingest_documents"
SEEN = f"{RUNS}/seen.parquet"
"""Objects whose change mark is new and whose bytes are not: kept so that they are read once, not in every run."""
MIN_SHARD_ITEMS = 32
MAX_SHARD_ITEMS = 5_000
MAX_SHARD_BYTES = 4 * 1024**3
ITEM_WEIGHT_BYTES = 20_000
"""What a document costs beside its bytes, in bytes."""

SHARD_SCHEMA = pa.schema(
    [
        ("key", pa.string()),
        ("size_bytes", pa.int64()),
        ("etag", pa.string()),
        ("modified_at", TIMESTAMP),
        ("known_doc_id", pa.string()),
    ]
)
SEEN_SCHEMA = pa.schema([("uri", pa.string()), ("etag", pa.string()), ("doc_id", pa.string()), ("seen_at", TIMESTAMP)])


@dataclass(frozen=True, slots=True)
class InboxItem:
    """One object to look at; ``known_doc_id`` is what it held when it was last ingested."""

    key: str
    size_bytes: int
    etag: str
    modified_at: datetime
    known_doc_id: str | None


@dataclass(frozen=True, slots=True)
class Known:
    """The newest that the lake knows of one address."""

    at: datetime
    etag: str
    doc_id: str
    is_rejected: bool


@dataclass(frozen=True, slots=True)
class IngestPlan:
    """What a run of ingestion will look at."""

    run_key: str
    run_id: str
    n_listed: int
    n_new: int
    """Objects that are new, or whose change mark is: they are read, and parsed unless their bytes are known."""
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


def discover(
    settings: Settings,
    run_id: str,
    *,
    prefix: str = "",
    limit: int | None = None,
    force: bool = False,
    n_shards: int = 8,
    owner: str | None = None,
) -> IngestPlan:
    """Write shards of what is new or changed below ``prefix`` and return the plan; a run that has a plan keeps it.

    ``force`` looks at every object whatever its change mark says, and parses again what was rejected. About ``n_shards`` shards:
    fewer for a few documents, more where one would get too large for a task. ``RunLocked`` while somebody else than ``owner`` (by
    default this process) ingests into the same lake; a plan with nothing new gives the lease back at once.
    """
    lake, run_key, owner = Lake(settings.lake), f"{RUNS}/{slug(run_id)}", owner or cli_owner()
    lake.check_writable()
    state, lease = open_state(settings.state), lease_name(settings)
    take_lease(state, lease, owner)
    try:
        plan = (
            IngestPlan.load(lake, run_key)
            if lake.has(f"{run_key}/plan.json")
            else _plan(settings, lake, run_key, run_id, prefix, limit, force, n_shards, owner)
        )
    except BaseException:
        release_lease(state, lease, owner)
        raise
    if not plan.n_new:
        release_lease(state, lease, owner)
    return plan


def lease_name(settings: Settings) -> str:
    """Return the lease of ingestion into this lake."""
    return f"ingest_documents on {settings.lake}"


def _plan(
    settings: Settings, lake: Lake, run_key: str, run_id: str, prefix: str, limit: int | None, force: bool, n_shards: int, owner: str
) -> IngestPlan:
    storage = open_storage(settings.inbox)
    known = _known_objects(lake, storage.uri(prefix) if prefix else storage.root)
    n_listed = 0
    new: list[InboxItem] = []
    for info in _list_inbox(storage, prefix):
        n_listed += 1
        if limit is None or len(new) < limit:
            item = _to_item(info, known.get(storage.uri(info.key)), force)
            if item is not None:
                new.append(item)
    shards = {}
    for number, items in enumerate(balance(new, n_shards)):
        rows = [asdict(item) for item in items]
        key = lake.write_frame(f"{run_key}/shards/{number:04d}.parquet", pa.Table.from_pylist(rows, schema=SHARD_SCHEMA))
        shards[key] = len(items)
    plan = IngestPlan(run_key, run_id, n_listed, len(new), shards, owner, _say(settings.inbox, prefix, n_listed, len(new)))
    lake.write_json(f"{run_key}/plan.json", asdict(plan))
    return plan


def ingest_shards(settings: Settings, run_key: str) -> list[str]:
    """Return the shards of a planned run."""
    return sorted(IngestPlan.load(Lake(settings.lake), run_key).shards)


def load_items(lake: Lake, shard_key: str) -> list[InboxItem]:
    """Return a shard's items."""
    return [InboxItem(**row) for row in lake.read_frame(shard_key).to_pylist()]


def balance(items: Iterable[InboxItem], n_shards: int) -> list[list[InboxItem]]:
    """Return the items in shards of about equal weight, each in the order of its keys: the largest go first, each to the lightest."""
    items = sorted(items, key=lambda item: (-item.size_bytes, item.key))
    size_bytes = sum(item.size_bytes for item in items)
    n = min(n_shards, -(-len(items) // MIN_SHARD_ITEMS))
    n = min(MAX_SHARDS, max(n, -(-len(items) // MAX_SHARD_ITEMS), -(-size_bytes // MAX_SHARD_BYTES)))
    shards: list[list[InboxItem]] = [[] for _ in range(n)]
    lightest = [(0, number) for number in range(n)]
    for item in items:
        weight, number = lightest[0]
        shards[number].append(item)
        heapq.heapreplace(lightest, (weight + item.size_bytes + ITEM_WEIGHT_BYTES, number))
    return [sorted(shard, key=lambda item: item.key) for shard in shards if shard]


def note_seen(lake: Lake, rows: list[dict[str, Any]]) -> None:
    """Keep objects that were read and found unchanged, beside those of earlier runs."""
    if not rows:
        return
    new = pa.Table.from_pylist(rows, schema=SEEN_SCHEMA)
    if lake.has(SEEN):
        old = lake.read_frame(SEEN)
        new = pa.concat_tables([old.filter(pc.invert(pc.is_in(old["uri"], new["uri"].combine_chunks()))), new])
    lake.write_frame(SEEN, new)


def _list_inbox(storage: Storage, prefix: str) -> Iterable[ObjectInfo]:
    from skillyard.storage.local import LocalStorage

    advice = "Set SKILLYARD_INBOX to a folder or s3:// prefix that exists and that this user may read."
    if isinstance(storage, LocalStorage) and not storage.folder.is_dir():
        what = "is a file, not a folder" if storage.folder.exists() else "does not exist"
        raise InboxError(f"the inbox {storage.root} {what}. {advice}")
    try:
        yield from storage.list(prefix)
    except (StorageRefused, ObjectMissing) as error:
        raise InboxError(f"the inbox {storage.root} cannot be listed: {error} {advice}") from error


def _to_item(info: ObjectInfo, known: Known | None, force: bool) -> InboxItem | None:
    """Return the item, or None for an object that is as it was."""
    if known is not None and known.etag == info.etag and not force:
        return None
    is_settled = known is not None and not (force and known.is_rejected)
    return InboxItem(info.key, info.size_bytes, info.etag, info.modified_at, known.doc_id if known and is_settled else None)


def _known_objects(lake: Lake, uri_prefix: str) -> dict[str, Known]:
    """Return the newest that is known of every address below the prefix."""
    known: dict[str, Known] = {}
    columns = ["uri", "etag", "doc_id", "status", "ingested_at"]
    for batch in scan(lake, "documents", columns, pc.starts_with(pc.field("uri"), uri_prefix)):
        for row in batch.to_pylist():
            uri, found = row["uri"], Known(row["ingested_at"], row["etag"], row["doc_id"], row["status"] == "rejected")
            if uri not in known or known[uri].at < found.at:
                known[uri] = found
    for row in lake.read_frame(SEEN).to_pylist() if lake.has(SEEN) else ():
        before = known.get(row["uri"])
        if before is not None and before.doc_id == row["doc_id"] and before.at < row["seen_at"]:
            known[row["uri"]] = Known(row["seen_at"], row["etag"], before.doc_id, before.is_rejected)
    return known


def _say(inbox: str, prefix: str, n_listed: int, n_new: int) -> str:
    below = f" below {prefix!r}" if prefix else ""
    if n_listed == 0:
        return f"The inbox {inbox} is empty{below}: nothing to ingest."
    if n_new == 0:
        return f"{n_listed} documents in {inbox}{below}, none of them new or changed."
    return f"{n_listed} documents in {inbox}{below}, {n_new} of them new or changed."
