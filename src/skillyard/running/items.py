"""Which items are a skill's own: documents or pages on the lake that its ``applies_to`` accepts."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from skillyard.errors import UnknownName
from skillyard.lake.lake import Lake
from skillyard.lake.read import read, scan
from skillyard.skills import Skill
from skillyard.skills.applies import applies
from skillyard.storage import open_storage

ITEM_FIELDS = [
    pa.field("item_id", pa.string(), nullable=False),
    pa.field("doc_id", pa.string(), nullable=False),
    pa.field("page_no", pa.int32()),
    pa.field("uri", pa.string(), nullable=False),
    pa.field("language", pa.string()),
    pa.field("text", pa.large_string(), nullable=False),
]
ITEM_SCHEMA = pa.schema(ITEM_FIELDS)


@dataclass(frozen=True, slots=True)
class Item:
    """One unit of work: ``item_id`` is the doc_id, or ``doc_id:page_no`` for a page."""

    item_id: str
    doc_id: str
    page_no: int | None
    uri: str
    language: str | None
    text: str


def find_items(lake: Lake, skill: Skill, inbox: str, source_prefix: str = "") -> Iterator[Item]:
    """Yield the items that a skill applies to, in the order of the pages on the lake."""
    documents = _current_documents(lake, open_storage(inbox).uri(source_prefix) if source_prefix else "")
    for where in skill.applies_to.where:
        matching = _matching_docs(lake, where.skill, where.column, where.equals)
        documents = {doc_id: row for doc_id, row in documents.items() if doc_id in matching}
    for doc_id, pages in _texts(lake, documents):
        row = documents[doc_id]
        for item in _cut(skill, row, pages):
            if applies(skill, row["kind"], item.uri, item.language, len(item.text)):
                yield item


def items_of(lake: Lake, doc_ids: Collection[str], skills: Sequence[Skill]) -> Iterator[tuple[str, Item]]:
    """Yield what each skill makes of each document, after the skill's name; whether it still applies to it does not matter."""
    columns = ["doc_id", "uri", "language", "ingested_at"]
    found = read(lake, "documents", columns, pc.field("doc_id").isin(pa.array(list(doc_ids), pa.string()))).sort_by("ingested_at")
    documents = {row["doc_id"]: row for row in found.to_pylist()}
    for doc_id, pages in _texts(lake, documents):
        for skill in skills:
            for item in _cut(skill, documents[doc_id], pages):
                yield skill.name, item


def _current_documents(lake: Lake, uri_prefix: str) -> dict[str, dict[str, Any]]:
    """Return the newest parsed version per uri, by doc_id: equal bytes at two places are one document, at its first uri."""
    columns = ["doc_id", "uri", "kind", "language", "status", "ingested_at"]
    newest: dict[str, dict[str, Any]] = {}
    for row in read(lake, "documents", columns).sort_by("ingested_at").to_pylist():
        newest[row["uri"]] = row
    found: dict[str, dict[str, Any]] = {}
    for uri in sorted(newest, reverse=True):
        if newest[uri]["status"] == "parsed" and uri.startswith(uri_prefix):
            found[newest[uri]["doc_id"]] = newest[uri]
    return found


def _matching_docs(lake: Lake, skill: str, column: str, equals: Any) -> set[str]:
    """Return the documents whose current result of another skill holds a value; none before that skill has run."""
    try:
        rows = read(lake, f"results/{skill}", ["doc_id"], pc.field(column) == equals)
    except UnknownName:
        return set()
    return set(rows["doc_id"].to_pylist())


def _texts(lake: Lake, documents: dict[str, dict[str, Any]]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Yield each wanted document's pages with text, together; a document's pages lie in one file, in order."""
    columns = ["doc_id", "page_no", "text", "language", "status"]
    held: str | None = None
    pages: list[dict[str, Any]] = []
    seen: set[str] = set()
    for batch in scan(lake, "pages", columns, pc.field("status") == "text"):
        for row in batch.to_pylist():
            if row["doc_id"] not in documents or (row["doc_id"] in seen and row["doc_id"] != held):
                continue
            if row["doc_id"] != held:
                if held is not None:
                    yield held, pages
                held, pages = row["doc_id"], []
                seen.add(row["doc_id"])
            pages.append(row)
    if held is not None:
        yield held, pages


def _cut(skill: Skill, row: dict[str, Any], pages: list[dict[str, Any]]) -> list[Item]:
    if skill.input_unit == "page":
        return [Item(f"{row['doc_id']}:{p['page_no']}", row["doc_id"], p["page_no"], row["uri"], p["language"], p["text"]) for p in pages]
    text = "\n\n".join(p["text"] for p in sorted(pages, key=lambda p: p["page_no"]))
    return [Item(row["doc_id"], row["doc_id"], None, row["uri"], row["language"], text)]
