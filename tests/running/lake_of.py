"""Documents on a lake without parsing: rows as ingestion would publish them."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime

import pyarrow as pa

from skillyard.lake.lake import Lake
from skillyard.lake.publish import append
from skillyard.lake.tables import DOCUMENTS, PAGES
from skillyard.settings import Settings


def publish_texts(settings: Settings, texts: Mapping[str, str], kind: str = "txt") -> list[str]:
    """Publish one single-page document per name and return their doc_ids, sorted."""
    now = datetime.now(UTC)
    documents, pages = [], []
    for name, text in texts.items():
        doc_id = hashlib.sha256(text.encode()).hexdigest()
        documents.append(
            {
                "doc_id": doc_id,
                "uri": f"{settings.inbox}/{name}",
                "kind": kind,
                "mime_type": "text/plain",
                "size_bytes": len(text),
                "etag": doc_id[:8],
                "language": "en",
                "n_pages": 1,
                "n_chars": len(text),
                "n_chunks": 0,
                "status": "parsed",
                "run_id": "seed",
                "ingested_at": now,
                "ingested_on": now.date(),
            }
        )
        page = {"doc_id": doc_id, "page_no": 1, "text": text, "n_chars": len(text), "language": "en", "status": "text"}
        pages.append(
            page | {"parser": "seed", "rescue_level": 0, "headings": [], "tables": [], "run_id": "seed", "ingested_on": now.date()}
        )
    part = hashlib.sha256("".join(sorted(texts)).encode()).hexdigest()[:12]
    lake = Lake(settings.lake)
    append(lake, DOCUMENTS, pa.Table.from_pylist(documents, schema=DOCUMENTS.schema), part)
    append(lake, PAGES, pa.Table.from_pylist(pages, schema=PAGES.schema), part)
    return sorted(d["doc_id"] for d in documents)


def mails(n: int) -> dict[str, str]:
    """Return n different short support mails by file name."""
    subjects = ("a refund", "the broken hinge", "my invoice", "the delivery date", "a new password")
    return {
        f"mail-{i:05d}.txt": f"Dear team, this is message {i} about {subjects[i % 5]}. Order {7000 + i} has not arrived. "
        f"Please answer before Friday.\nRegards, customer {i}"
        for i in range(n)
    }
