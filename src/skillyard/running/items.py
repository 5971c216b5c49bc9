"""Which items are a skill's own: documents, pages or chunks on the lake that its ``applies_to`` accepts."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from skillyard.errors import UnknownName
from skillyard.lake.lake import Lake
from skillyard.lake.read import read, scan
from skillyard.skills import Skill, Source
from skillyard.skills.applies import applies
from skillyard.skills.source import TEXT
from skillyard.storage import open_storage

ITEM_FIELDS = [
    pa.field("item_id", pa.string(), nullable=False),
    pa.field("doc_id", pa.string(), nullable=False),
    pa.field("page_no", pa.int32()),
    pa.field("chunk_no", pa.int32()),
    pa.field("uri", pa.string(), nullable=False),
    pa.field("language", pa.string()),
    pa.field("text", pa.large_string(), nullable=False),
    pa.field("inputs", pa.large_string()),
]
ITEM_SCHEMA = pa.schema(ITEM_FIELDS)
FILE_STATUSES = ("parsed", "unpacked", "rejected")
"""Documents whose bytes are there."""


@dataclass(frozen=True, slots=True)
class Item:
    """One unit of work: ``item_id`` is the doc_id, ``doc_id:<page_no>`` for a page or ``doc_id:c<chunk_no>`` for a chunk."""

    item_id: str
    doc_id: str
    page_no: int | None
    """Of a chunk, the page on which it begins."""
    chunk_no: int | None
    uri: str
    language: str | None
    text: str
    inputs: str | None = None
    """What it takes from other skills' results, a JSON object by name; null when it takes none."""

    pictures: tuple[str, ...] = field(default=(), repr=False, kw_only=True)
    """Of a file that is shown to a model: its first pages, once they are drawn."""

    @property
    def source(self) -> Source:
        """What its skill works on."""
        return Source(self.text, json.loads(self.inputs) if self.inputs else {}, pictures=self.pictures)


def find_items(lake: Lake, skill: Skill, inbox: str, source_prefix: str = "") -> Iterator[Item]:
    """Yield the items that a skill applies to, in the order of their texts on the lake."""
    statuses = FILE_STATUSES if skill.input_unit == "file" else ("parsed",)
    documents = _current_documents(lake, open_storage(inbox).uri(source_prefix) if source_prefix else "", statuses)
    for where in skill.applies_to.where:
        matching = _matching_docs(lake, where.skill, where.column, where.equals)
        documents = {doc_id: row for doc_id, row in documents.items() if doc_id in matching}
    if skill.input_unit == "file":
        yield from _files(skill, documents)
        return
    taken = _taken(lake, skill)
    for doc_id, texts in _texts(lake, documents, _table_of(skill)):
        row = documents[doc_id]
        for item in _with_inputs(_cut(skill, row, texts), taken):
            if applies(skill, row["kind"], item.uri, item.language, len(item.text)):
                yield item


def items_of(lake: Lake, doc_ids: Collection[str], skills: Sequence[Skill]) -> Iterator[tuple[str, Item]]:
    """Yield what each skill makes of each document, after the skill's name; whether it still applies to it does not matter."""
    columns = ["doc_id", "uri", "language", "ingested_at"]
    found = read(lake, "documents", columns, pc.field("doc_id").isin(pa.array(list(doc_ids), pa.string()))).sort_by("ingested_at")
    documents = {row["doc_id"]: row for row in found.to_pylist()}
    for table, own in groupby(sorted(skills, key=_table_of), key=_table_of):
        of_table = [(skill, _taken(lake, skill)) for skill in own]
        for doc_id, texts in _texts(lake, documents, table):
            for skill, taken in of_table:
                for item in _with_inputs(_cut(skill, documents[doc_id], texts), taken):
                    yield skill.name, item


def _files(skill: Skill, documents: dict[str, dict[str, Any]]) -> Iterator[Item]:
    """Yield the documents as files; what ingestion could not read is one, too."""
    for doc_id, row in sorted(documents.items()):
        if applies(skill, row["kind"], row["uri"], row["language"], None):
            yield Item(doc_id, doc_id, None, None, row["uri"], row["language"], "")


def _current_documents(lake: Lake, uri_prefix: str, statuses: Collection[str]) -> dict[str, dict[str, Any]]:
    """Return the newest version per uri, by doc_id: equal bytes at two places are one document, at its first uri."""
    columns = ["doc_id", "uri", "kind", "language", "status", "ingested_at"]
    newest: dict[str, dict[str, Any]] = {}
    for row in read(lake, "documents", columns).sort_by("ingested_at").to_pylist():
        newest[row["uri"]] = row
    found: dict[str, dict[str, Any]] = {}
    for uri in sorted(newest, reverse=True):
        if newest[uri]["status"] in statuses and uri.startswith(uri_prefix):
            found[newest[uri]["doc_id"]] = newest[uri]
    return found


def _matching_docs(lake: Lake, skill: str, column: str, equals: Any) -> set[str]:
    """Return the documents whose current result of another skill holds a value; none before that skill has run."""
    try:
        rows = read(lake, f"results/{skill}", ["doc_id"], pc.field(column) == equals)
    except UnknownName:
        return set()
    return set(rows["doc_id"].to_pylist())


Taken = Mapping[str, Mapping[str, str]]
"""By name of an input: its value for each item, and for each document where the other skill works on whole ones."""


def _taken(lake: Lake, skill: Skill) -> Taken:
    """Return what the skill takes from others' results; nothing of one that has not run yet."""
    return {name: _values(lake, taken.skill, taken.column) for name, taken in skill.takes.items()}


def _values(lake: Lake, skill: str, column: str) -> dict[str, str]:
    try:
        rows = read(lake, f"results/{skill}", ["item_id", column])
    except UnknownName:
        return {}
    values = zip(rows["item_id"].to_pylist(), rows[column].to_pylist(), strict=True)
    return {item_id: _as_text(value) for item_id, value in values if value is not None}


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _with_inputs(items: Sequence[Item], taken: Taken) -> Iterator[Item]:
    """Yield the items that everything is there for which they take."""
    for item in items:
        found = {name: values.get(item.item_id, values.get(item.doc_id)) for name, values in taken.items()}
        if all(value is not None for value in found.values()):
            text = found.pop(TEXT, None)
            yield replace(item, text=text or item.text, inputs=json.dumps(found, ensure_ascii=False) if found else None)


def _table_of(skill: Skill) -> str:
    return "chunks" if skill.input_unit == "chunk" else "pages"


def _texts(lake: Lake, documents: dict[str, dict[str, Any]], table: str) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Yield each wanted document's pages with text, or its chunks, together and in order; a document's lie in one file."""
    columns, where = ["doc_id", "page_no", "text", "language"], None
    if table == "pages":
        where = pc.field("status") == "text"
    else:
        columns.append("chunk_no")
    held: str | None = None
    rows: list[dict[str, Any]] = []
    seen: set[str] = set()
    for batch in scan(lake, table, columns, where):
        for row in batch.to_pylist():
            if row["doc_id"] not in documents or (row["doc_id"] in seen and row["doc_id"] != held):
                continue
            if row["doc_id"] != held:
                if held is not None:
                    yield held, rows
                held, rows = row["doc_id"], []
                seen.add(row["doc_id"])
            rows.append(row)
    if held is not None:
        yield held, rows


def _cut(skill: Skill, row: dict[str, Any], texts: list[dict[str, Any]]) -> list[Item]:
    doc_id, uri = row["doc_id"], row["uri"]
    if skill.input_unit == "chunk":
        return [Item(f"{doc_id}:c{t['chunk_no']}", doc_id, t["page_no"], t["chunk_no"], uri, t["language"], t["text"]) for t in texts]
    if skill.input_unit == "page":
        return [Item(f"{doc_id}:{t['page_no']}", doc_id, t["page_no"], None, uri, t["language"], t["text"]) for t in texts]
    text = "\n\n".join(t["text"] for t in sorted(texts, key=lambda t: t["page_no"]))
    return [Item(doc_id, doc_id, None, None, uri, row["language"], text)]
