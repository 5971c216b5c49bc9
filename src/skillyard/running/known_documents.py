"""What the lake knows of documents that a shard comes across: what was parsed once is not parsed again."""

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
        return self._described(pc.field("size_bytes").isin(pa.array(sizes_bytes, pa.int64())))

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
        is_whole = (pc.field("status") == "parsed") & ~pc.field("kind").isin(MAILS)
        batches = scan(self._lake, "documents", ["doc_id", *DESCRIBES], where & is_whole)
        return {row.pop("doc_id"): row for batch in batches for row in batch.to_pylist()}


def _mark(doc_id: str) -> int:
    return int(doc_id[:16], 16)
