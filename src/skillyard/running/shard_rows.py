"""The rows that a shard of the inbox gives, in the run's folder until they are published."""

import json
from dataclasses import fields
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa

from skillyard.documents import Parsed, Rejected
from skillyard.lake.lake import Lake
from skillyard.lake.tables import CHUNKS, DOCUMENTS, PAGES, REJECTS
from skillyard.running.near import MINHASH_SCHEMA
from skillyard.running.places import Place

PAGES_FRAME_CHARS = 16_000_000

Row = dict[str, Any]
DESCRIBES = ("kind", "mime_type", "title", "metadata", "language", "n_pages", "n_chars", "n_chunks", "duplicate_of", "status")
"""The columns of ``documents`` that follow from the bytes alone."""


def outcome_key(shard_key: str) -> str:
    """Return where a shard's outcome is written: ``<run_key>/outcomes/<shard>.json``."""
    return shard_key.replace("/shards/", "/outcomes/").removesuffix(".parquet") + ".json"


def frame_key(shard_key: str, name: str) -> str:
    """Return where the rows for a table are: ``documents``, ``rejects``, ``minhashes``, ``pages-<n>`` or ``chunks-<n>``."""
    return outcome_key(shard_key).removesuffix(".json") + f"/{name}.parquet"


def describe(result: Parsed | Rejected) -> Row:
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
        "status": "unpacked" if result.is_archive else "parsed",
    }


def _fields(value: Any) -> Row:
    return {field.name: getattr(value, field.name) for field in fields(value)}


class ShardRows:
    """Takes rows as they come up; pages and chunks are written whenever there are enough of them."""

    def __init__(self, lake: Lake, shard_key: str, run_id: str) -> None:
        self._lake, self._shard_key, self._run_id = lake, shard_key, run_id
        self._documents: list[Row] = []
        self._rejects: list[Row] = []
        self._pages: list[Row] = []
        self._chunks: list[Row] = []
        self._minhashes: list[Row] = []
        self._held_chars = 0
        self.n_by_status = {"parsed": 0, "rejected": 0, "unpacked": 0}
        self.n_pages = self.n_page_frames = 0

    def add_document(self, place: Place, doc_id: str, described: Row) -> None:
        """Keep that the document lies there."""
        now = datetime.now(UTC)
        self.n_by_status[described["status"]] += 1
        self._documents.append(
            {
                "doc_id": doc_id,
                "uri": place.uri,
                "parent_doc_id": place.parent_doc_id,
                "size_bytes": place.size_bytes,
                "etag": place.etag,
                "modified_at": place.modified_at,
                "run_id": self._run_id,
                "ingested_at": now,
                "ingested_on": now.date(),
                **described,
            }
        )

    def add_reject(self, place: Place, result: Rejected) -> None:
        """Keep why a document has no pages, with one of its addresses."""
        now = datetime.now(UTC)
        self._rejects.append(
            {
                "run_id": self._run_id,
                "stage": "parse",
                "item_id": result.doc_id,
                "doc_id": result.doc_id,
                "uri": place.uri,
                "error_kind": result.error_kind,
                "error_message": result.error_message,
                "n_attempts": 0,
                "cost_usd": Decimal(0),
                "rejected_at": now,
                "rejected_on": now.date(),
            }
        )

    def add_pages(self, result: Parsed) -> None:
        """Keep a document's pages and chunks together: they are never split over two frames."""
        today = datetime.now(UTC).date()
        same = {"doc_id": result.doc_id, "run_id": self._run_id, "ingested_on": today}
        self._pages += [{**_fields(page), **same, "headings": list(map(_fields, page.headings))} for page in result.pages]
        self._chunks += [{**_fields(chunk), **same} for chunk in result.chunks]
        if result.minhash:
            self._minhashes.append({"doc_id": result.doc_id, "minhash": bytes.fromhex(result.minhash)})
        self.n_pages += len(result.pages)
        self._held_chars += sum(page.n_chars + 100 for page in result.pages)
        if self._held_chars >= PAGES_FRAME_CHARS:
            self._flush()

    def finish(self) -> None:
        """Write what is left."""
        self._flush()
        for table, rows in ((DOCUMENTS, self._documents), (REJECTS, self._rejects)):
            self._write(table.name, rows, table.schema)
        self._write("minhashes", self._minhashes, MINHASH_SCHEMA)

    def _flush(self) -> None:
        if self._pages:
            self._write(f"pages-{self.n_page_frames:04d}", self._pages, PAGES.schema)
            self._write(f"chunks-{self.n_page_frames:04d}", self._chunks, CHUNKS.schema)
            self.n_page_frames += 1
            self._pages, self._chunks, self._held_chars = [], [], 0

    def _write(self, name: str, rows: list[Row], schema: pa.Schema) -> None:
        self._lake.write_frame(frame_key(self._shard_key, name), pa.Table.from_pylist(rows, schema=schema))
