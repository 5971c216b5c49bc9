"""Parse one shard of the inbox: every object read once, its rows written under the run's folder until they are published.

That ``outcomes/<shard>.json`` exists says the shard is done; it is written last, and a repeated shard returns at once.
"""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import sha256
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from skillyard.documents import Parsed, ParsePool, Rejected
from skillyard.documents.parse import MAX_DOCUMENT_BYTES
from skillyard.documents.result import doc_id_of, reject
from skillyard.errors import ObjectMissing, StorageRefused
from skillyard.lake.lake import Lake
from skillyard.lake.read import scan
from skillyard.lake.tables import CHUNKS, DOCUMENTS, PAGES, REJECTS
from skillyard.running.inbox import InboxItem, IngestPlan, load_items
from skillyard.running.near import MINHASH_SCHEMA
from skillyard.settings import Settings
from skillyard.storage import open_storage

DEADLINE_S = 60.0
MEMORY_MB = 1024
PAGES_FRAME_CHARS = 16_000_000
PROGRESS_EVERY_S = 5.0

Progress = Callable[[str], None]
Row = dict[str, Any]
DESCRIBES = ("kind", "mime_type", "title", "metadata", "language", "n_pages", "n_chars", "n_chunks", "duplicate_of", "status")
"""The columns of ``documents`` that follow from the bytes alone."""


@dataclass(frozen=True, slots=True)
class ParseReport:
    """What became of a shard's objects: items = parsed + rejected + unchanged + gone + pending."""

    n_items: int
    n_parsed: int
    n_rejected: int
    n_unchanged: int
    """Read, and found to hold the bytes they held before."""
    n_gone: int
    """Removed from the inbox since it was listed."""
    n_pending: int
    """The store refuses to give them."""
    n_pages: int


def parse_shard(settings: Settings, shard_key: str, progress: Progress | None = None, n_workers: int = 2) -> ParseReport:
    """Read and parse a shard's objects in ``n_workers`` processes and write the outcome. No document can stop it."""
    lake = Lake(settings.lake)
    if not lake.has(outcome_key(shard_key)):
        work = _ShardWork(settings, lake, shard_key, progress)
        with ParsePool(n_workers, DEADLINE_S, MEMORY_MB) as pool:
            for doc_id, result in pool.parse(work.unknown_documents()):
                work.keep(doc_id, result)
        work.finish()
    return ParseReport(**lake.read_json(outcome_key(shard_key))["report"])


def outcome_key(shard_key: str) -> str:
    """Return where a shard's outcome is written: ``<run_key>/outcomes/<shard>.json``."""
    return shard_key.replace("/shards/", "/outcomes/").removesuffix(".parquet") + ".json"


def frame_key(shard_key: str, name: str) -> str:
    """Return where the rows for a table are: ``documents``, ``rejects``, ``minhashes``, ``pages-<n>`` or ``chunks-<n>``."""
    return outcome_key(shard_key).removesuffix(".json") + f"/{name}.parquet"


class _ShardWork:
    """The rows of a shard as they come up. Equal bytes are parsed once, whatever the number of their addresses."""

    def __init__(self, settings: Settings, lake: Lake, shard_key: str, progress: Progress | None) -> None:
        self._lake, self._shard_key = lake, shard_key
        self._run_id = IngestPlan.load(lake, shard_key.partition("/shards/")[0]).run_id
        self._inbox = open_storage(settings.inbox)
        self._items = load_items(lake, shard_key)
        self._described = _parsed_before(lake, {item.size_bytes for item in self._items})
        self._waiting: dict[str, list[InboxItem]] = {}
        self._documents: list[Row] = []
        self._rejects: list[Row] = []
        self._pages: list[Row] = []
        self._chunks: list[Row] = []
        self._minhashes: list[Row] = []
        self._n_page_frames = self._n_pages = self._held_chars = 0
        self._unchanged: list[Row] = []
        self._gone: list[str] = []
        self._pending: list[Row] = []
        self._say, self._started = progress, time.monotonic()
        self._told = self._started

    def unknown_documents(self) -> Iterator[tuple[str, str, bytes]]:
        """Yield doc_id, name and bytes of what has to be parsed; settle everything else on the way."""
        for item in self._items:
            data = self._load(item)
            if data is None:
                self._tell()
                continue
            doc_id = doc_id_of(data)
            if doc_id == item.known_doc_id:
                now = datetime.now(UTC)
                self._unchanged.append({"uri": self._inbox.uri(item.key), "etag": item.etag, "doc_id": doc_id, "seen_at": now})
            elif doc_id in self._described:
                self._add_document(item, doc_id)
            elif doc_id in self._waiting:
                self._waiting[doc_id].append(item)
            else:
                self._waiting[doc_id] = [item]
                yield doc_id, item.key, data
            self._tell()

    def keep(self, doc_id: str, result: Parsed | Rejected) -> None:
        """Take a result: its pages or its reject once, a document row for each of its addresses."""
        items = self._waiting.pop(doc_id)
        if isinstance(result, Parsed):
            self._add_pages(result)
        else:
            self._add_reject(items[0], result)
        self._described[doc_id] = _describe(result)
        for item in items:
            self._add_document(item, doc_id)
        self._tell()

    def finish(self) -> None:
        """Write what is left, then the outcome that marks the shard as done."""
        self._flush_pages()
        frames = ((DOCUMENTS, self._documents), (REJECTS, self._rejects))
        for table, rows in frames:
            self._lake.write_frame(frame_key(self._shard_key, table.name), pa.Table.from_pylist(rows, schema=table.schema))
        minhashes = pa.Table.from_pylist(self._minhashes, schema=MINHASH_SCHEMA)
        self._lake.write_frame(frame_key(self._shard_key, "minhashes"), minhashes)
        n_parsed = sum(row["status"] == "parsed" for row in self._documents)
        n_rejected = len(self._documents) - n_parsed
        counts = (n_parsed, n_rejected, len(self._unchanged), len(self._gone), len(self._pending))
        outcome = {
            "report": asdict(ParseReport(len(self._items), *counts, n_pages=self._n_pages)),
            "n_page_frames": self._n_page_frames,
            "unchanged": [{**row, "seen_at": row["seen_at"].isoformat()} for row in self._unchanged],
            "gone": self._gone,
            "pending": self._pending,
        }
        self._lake.write_json(outcome_key(self._shard_key), outcome)

    def _load(self, item: InboxItem) -> bytes | None:
        """Return the bytes, or None for an object that is settled without them."""
        try:
            if item.size_bytes <= MAX_DOCUMENT_BYTES:
                return self._inbox.get(item.key)
            self._refuse_unread(item)
        except ObjectMissing:
            self._gone.append(item.key)
        except StorageRefused as error:
            self._pending.append({"key": item.key, "reason": str(error)})
        return None

    def _refuse_unread(self, item: InboxItem) -> None:
        """Reject what is too large to be held in memory; its id comes from its address and change mark instead of its bytes."""
        doc_id = sha256(f"{self._inbox.uri(item.key)}\0{item.etag}".encode()).hexdigest()
        found = f"{item.size_bytes:,} bytes, allowed are {MAX_DOCUMENT_BYTES:,}"
        self._waiting[doc_id] = [item]
        self.keep(doc_id, reject(doc_id, "unknown", "application/octet-stream", "too_large", found))

    def _add_document(self, item: InboxItem, doc_id: str) -> None:
        now = datetime.now(UTC)
        self._documents.append(
            {
                "doc_id": doc_id,
                "uri": self._inbox.uri(item.key),
                "size_bytes": item.size_bytes,
                "etag": item.etag,
                "modified_at": item.modified_at,
                "run_id": self._run_id,
                "ingested_at": now,
                "ingested_on": now.date(),
                **self._described[doc_id],
            }
        )

    def _add_reject(self, item: InboxItem, result: Rejected) -> None:
        now = datetime.now(UTC)
        self._rejects.append(
            {
                "run_id": self._run_id,
                "stage": "parse",
                "item_id": result.doc_id,
                "doc_id": result.doc_id,
                "uri": self._inbox.uri(item.key),
                "error_kind": result.error_kind,
                "error_message": result.error_message,
                "n_attempts": 0,
                "cost_usd": Decimal(0),
                "rejected_at": now,
                "rejected_on": now.date(),
            }
        )

    def _add_pages(self, result: Parsed) -> None:
        """Keep a document's pages together: they are never split over two frames."""
        today = datetime.now(UTC).date()
        same = {"doc_id": result.doc_id, "run_id": self._run_id, "ingested_on": today}
        self._pages += [{**asdict(page), **same} for page in result.pages]
        self._chunks += [{**asdict(chunk), **same} for chunk in result.chunks]
        if result.minhash:
            self._minhashes.append({"doc_id": result.doc_id, "minhash": bytes.fromhex(result.minhash)})
        self._held_chars += sum(page.n_chars + 100 for page in result.pages)
        if self._held_chars >= PAGES_FRAME_CHARS:
            self._flush_pages()

    def _flush_pages(self) -> None:
        if self._pages:
            key = frame_key(self._shard_key, f"pages-{self._n_page_frames:04d}")
            self._lake.write_frame(key, pa.Table.from_pylist(self._pages, schema=PAGES.schema))
            chunks = frame_key(self._shard_key, f"chunks-{self._n_page_frames:04d}")
            self._lake.write_frame(chunks, pa.Table.from_pylist(self._chunks, schema=CHUNKS.schema))
            self._n_page_frames, self._n_pages = self._n_page_frames + 1, self._n_pages + len(self._pages)
            self._pages, self._chunks, self._held_chars = [], [], 0

    def _tell(self) -> None:
        n_done = len(self._documents) + len(self._unchanged) + len(self._gone) + len(self._pending)
        now = time.monotonic()
        if self._say is None or (now - self._told < PROGRESS_EVERY_S and n_done < len(self._items)):
            return
        self._told = now
        rate = n_done / max(now - self._started, 1e-6)
        left_s = (len(self._items) - n_done) / max(rate, 1e-6)
        self._say(f"parse: {n_done}/{len(self._items)} documents, {rate:.1f}/s, {left_s:.0f} s left")


def _describe(result: Parsed | Rejected) -> Row:
    """Return the columns of ``documents`` that a result gives."""
    described: Row = dict.fromkeys(DESCRIBES) | {"kind": result.kind, "mime_type": result.mime_type}
    if isinstance(result, Rejected):
        return described | {"n_pages": 0, "n_chars": 0, "n_chunks": 0, "status": "rejected"}
    return described | {
        "title": result.title,
        "metadata": json.dumps(dict(result.metadata), ensure_ascii=False) if result.metadata else None,
        "language": result.language,
        "n_pages": len(result.pages),
        "n_chars": sum(page.n_chars for page in result.pages),
        "n_chunks": len(result.chunks),
        "status": "parsed",
    }


def _parsed_before(lake: Lake, sizes: set[int]) -> dict[str, Row]:
    """Return what is known of parsed documents that have one of these sizes: no other can equal one of this shard."""
    where = (pc.field("status") == "parsed") & pc.field("size_bytes").isin(pa.array(sizes, pa.int64()))
    batches = scan(lake, "documents", ["doc_id", *DESCRIBES], where)
    return {row.pop("doc_id"): row for batch in batches for row in batch.to_pylist()}
