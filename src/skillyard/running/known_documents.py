"""What the lake knows of documents that a shard comes across: what was parsed once is not parsed again."""

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from skillyard.lake.lake import Lake
from skillyard.lake.read import scan
from skillyard.running.shard_rows import DESCRIBES, Row

MAILS = ("eml", "msg")
"""Parsed again wherever they turn up: what is attached to them needs a row for the new address too."""


class KnownDocuments:
    """Looks documents up by what a shard has at hand."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._marks: npt.NDArray[np.uint64] | None = None

    def of_sizes(self, sizes_bytes: set[int]) -> dict[str, Row]:
        """Return what follows from the bytes of parsed documents that have one of these sizes: no other can equal one of them."""
        return _Rows(self._scan(pc.field("size_bytes").isin(pa.array(sizes_bytes, pa.int64()))))

    def of_ids(self, doc_ids: set[str]) -> dict[str, Row]:
        """Return what follows from the bytes of these documents, as far as they were parsed before."""
        if self._marks is None:
            batches = scan(self._lake, "documents", ["doc_id"], pc.field("status") == "parsed")
            marks = [np.array([_mark(doc_id) for doc_id in batch["doc_id"].to_pylist()], np.uint64) for batch in batches]
            self._marks = np.unique(np.concatenate([np.empty(0, np.uint64), *marks]))
        asked = sorted(doc_ids)
        is_there = np.isin(np.array([_mark(doc_id) for doc_id in asked], np.uint64), self._marks)
        hits = [doc_id for doc_id, is_hit in zip(asked, is_there, strict=True) if is_hit]
        return self._described(pc.field("doc_id").isin(hits)) if hits else {}

    def standing(self, uri: str) -> frozenset[tuple[str, str]]:
        """Return address and doc_id of what was found last at an object of the inbox and in it, rejects and deleted ones left out."""
        where = (pc.field("uri") == uri) | pc.starts_with(pc.field("uri"), f"{uri}!/")
        newest: dict[str, Row] = {}
        for batch in scan(self._lake, "documents", ["uri", "doc_id", "status", "ingested_at"], where):
            for row in batch.to_pylist():
                if row["uri"] not in newest or newest[row["uri"]]["ingested_at"] <= row["ingested_at"]:
                    newest[row["uri"]] = row
        return frozenset((row["uri"], row["doc_id"]) for row in newest.values() if row["status"] in ("parsed", "unpacked"))

    def _described(self, where: pc.Expression) -> dict[str, Row]:
        return {row.pop("doc_id"): row for batch in self._scan(where) for row in batch.to_pylist()}

    def _scan(self, where: pc.Expression) -> Iterator[pa.RecordBatch]:
        is_whole = (pc.field("status") == "parsed") & ~pc.field("kind").isin(MAILS)
        return scan(self._lake, "documents", ["doc_id", *DESCRIBES], where & is_whole)


class _Rows(dict[str, Row]):
    """Rows by doc_id, kept as Arrow until one is asked for: many more have a size than the bytes of a shard's documents."""

    def __init__(self, batches: Iterable[pa.RecordBatch]) -> None:
        super().__init__()
        self._batches = [batch for batch in batches if batch.num_rows]
        marks = [np.array([_mark(doc_id) for doc_id in batch["doc_id"].to_pylist()], np.uint64) for batch in self._batches]
        self._marks = np.concatenate([np.empty(0, np.uint64), *marks])
        self._order = np.argsort(self._marks)
        self._marks = self._marks[self._order]
        self._starts = np.cumsum([0, *(batch.num_rows for batch in self._batches)])

    def __contains__(self, doc_id: object) -> bool:
        return super().__contains__(doc_id) or (isinstance(doc_id, str) and self._find(doc_id) is not None)

    def __missing__(self, doc_id: str) -> Row:
        row = self._find(doc_id)
        if row is None:
            raise KeyError(doc_id)
        self[doc_id] = row
        return row

    def _find(self, doc_id: str) -> Row | None:
        mark = np.uint64(_mark(doc_id))
        for at in self._order[np.searchsorted(self._marks, mark) : np.searchsorted(self._marks, mark, "right")]:
            number = int(np.searchsorted(self._starts, at, "right")) - 1
            (row,) = self._batches[number].slice(int(at) - int(self._starts[number]), 1).to_pylist()
            if row.pop("doc_id") == doc_id:
                return dict(row)
        return None


def _mark(doc_id: str) -> int:
    return int(doc_id[:16], 16)
