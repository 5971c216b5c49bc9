"""Documents in an archive whose texts are almost the same, by their MinHashes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from skillyard.documents import Rejected, parse_document
from skillyard.documents.kinds import ReadOptions
from skillyard.documents.minhash import N_HASHES, WORD
from skillyard.documents.visiting import read_members
from skillyard.skills import Source

OPTIONS = ReadOptions(has_ocr=False)


@dataclass(frozen=True, slots=True)
class Text:
    """A document as it is compared."""

    path: str
    n_chars: int
    words: str
    """All of a short text; empty where there is a MinHash."""
    hashes: npt.NDArray[np.uint32] | None


def handle(source: Source, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return every document with its group, and the members without text."""
    found, skipped = read_members(source.data, source.name, _read)
    documents = _grouped(found, parameters["threshold"])
    n_groups = sum(document["is_canonical"] for document in documents)
    return {"documents": documents, "skipped": skipped, "n_documents": len(documents), "n_groups": n_groups}


def _read(path: str, data: bytes) -> Text | str:
    """Return a member's text as it is compared, or why it has none."""
    parsed = parse_document(data, path, OPTIONS)
    if isinstance(parsed, Rejected):
        return "archive" if parsed.kind in ("zip", "tar") else parsed.error_kind
    text = "\n".join(page.text for page in parsed.pages)
    if not text:
        return "no_text"
    if parsed.minhash is None:
        return Text(path, len(text), " ".join(WORD.findall(text.casefold())) or text, None)
    return Text(path, len(text), "", np.frombuffer(bytes.fromhex(parsed.minhash), "<u4"))


class Heads:
    """The canonical texts so far; all of their MinHashes are compared at once, one by one it would take minutes for thousands."""

    def __init__(self, n_texts: int) -> None:
        self._hashes = np.zeros((n_texts, N_HASHES), np.uint32)
        self._hashed: list[str] = []
        self._short: dict[str, str] = {}

    def add(self, text: Text) -> None:
        """Take a text as canonical."""
        if text.hashes is None:
            self._short[text.words] = text.path
        else:
            self._hashes[len(self._hashed)] = text.hashes
            self._hashed.append(text.path)

    def nearest(self, text: Text) -> tuple[float, str]:
        """Return the share of phrases in common with the text that has most, and its path; of short texts 1 for the same words, else 0."""
        if text.hashes is None:
            return (1.0, self._short[text.words]) if text.words in self._short else (0.0, "")
        if not self._hashed:
            return 0.0, ""
        shares = (self._hashes[: len(self._hashed)] == text.hashes).mean(axis=1)
        return float(shares.max()), self._hashed[int(shares.argmax())]


def _grouped(found: list[Text], threshold: float) -> list[dict[str, Any]]:
    """Return the texts group by group: each goes to the canonical text that it is most like, the longest texts first."""
    groups: dict[str, list[tuple[float, Text]]] = {}
    heads = Heads(len(found))
    for text in sorted(found, key=lambda one: (-one.n_chars, one.path)):
        likeness, head = heads.nearest(text)
        if likeness < threshold:
            heads.add(text)
            likeness, head = 1.0, text.path
        groups.setdefault(head, []).append((likeness, text))
    return [
        {
            "path": text.path,
            "cluster_id": head,
            "similarity": round(likeness, 3),
            "is_canonical": text.path == head,
            "n_chars": text.n_chars,
        }
        for head in sorted(groups)
        for likeness, text in groups[head]
    ]
