"""Cut a text into pieces with semchunk, counting tokens by the project's own estimate."""

from collections.abc import Mapping
from typing import Any

from skillyard.skills import Source
from skillyard.tokens import estimate_tokens


def handle(source: Source, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the pieces with their offsets."""
    from semchunk import chunkerify

    most = parameters["max_tokens"]
    overlap = min(parameters["overlap"], most // 2)
    cut = chunkerify(estimate_tokens, most, memoize=False)
    _, spans = cut(source.text, offsets=True, overlap=overlap or None)
    return {"chunks": [_piece(index, source.text, start, end) for index, (start, end) in enumerate(spans, start=1)]}


def _piece(index: int, text: str, start: int, end: int) -> dict[str, Any]:
    """Return one piece without the white space around it, which semchunk leaves where it did not cut."""
    piece = text[start:end]
    start += len(piece) - len(piece.lstrip())
    piece = piece.strip()
    return {"index": index, "start": start, "end": start + len(piece), "n_tokens": estimate_tokens(piece), "text": piece}
