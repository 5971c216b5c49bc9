"""The encoding of a text file: by its mark, its form, what it states of itself, or what its bytes are likely to be."""

import codecs
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from skillyard.documents.charsets import iana_name, stated_encoding
from skillyard.documents.decoding import BOMS, HEAD_BYTES, LEGACY, clean, encoding_of
from skillyard.documents.result import Refused
from skillyard.skills import Source

PIECE_BYTES = 1 << 20
NOT_ASCII = re.compile(rb"[\x80-\xff]")
LOST = "\ufffd"
BY_MARK, BY_FORM, BY_STATEMENT, BY_ZEROS = 1.0, 0.99, 0.9, 0.9
LEAST, MOST, OF_DAMAGED = 0.3, 0.9, 0.5


class Guess(NamedTuple):
    """An encoding by Python's name."""

    encoding: str
    confidence: float
    also: tuple[str, ...] = ()


def handle(source: Source, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the encoding, what the file states, and the text."""
    data, max_chars = source.data, max(parameters["max_chars"], 0)
    if not data.strip(b"\0 \t\r\n"):
        raise Refused("empty", f"{len(data)} bytes")
    stated = stated_encoding(data)
    guess = _guess(data, stated)
    counts, text = _read(data, guess.encoding, max_chars)
    if not counts["chars"]:
        raise Refused("empty", "a mark and no text")
    ends = [name for name in ("lf", "crlf", "cr") if counts[name]]
    n_written = data.count(LOST.encode()) if guess.encoding.startswith("utf-8") else 0
    n_lost = max(counts["lost"] - n_written, 0)
    return {
        "encoding": iana_name(guess.encoding),
        "confidence": round(min(guess.confidence, OF_DAMAGED if n_lost else 1.0), 2),
        "has_mark": any(data.startswith(mark) for mark, _ in BOMS),
        "also": sorted({iana_name(name) for name in guess.also} - {iana_name(guess.encoding)})[:20],
        "stated": iana_name(stated) if stated else None,
        "is_stated_true": _reads_alike(data, stated, guess.encoding) if stated else None,
        "line_ends": "mixed" if len(ends) > 1 else (ends or ["none"])[0],
        "n_chars": counts["chars"],
        "n_undecodable": n_lost,
        "text": clean(text),
        "is_cut": counts["chars"] > max_chars,
    }


def _guess(data: bytes, stated: str | None) -> Guess:
    """Return the encoding by the surest of what speaks for one."""
    for mark, encoding in BOMS:
        if data.startswith(mark) and encoding_of(data):
            return Guess(encoding, BY_MARK)
    first = NOT_ASCII.search(data)
    start = max(first.start() - HEAD_BYTES // 2, 0) if first and b"\0" not in data[:HEAD_BYTES] else 0
    window = data[start : start + HEAD_BYTES]
    found = encoding_of(window)
    if found is None:
        raise Refused("unsupported_type", "the content is no text")
    if found == "utf-8" and first and first.start() >= len(data) - 3 and not _decodes(data, found):
        found = LEGACY[0]  # what would be half a character at the very end is a whole one of another encoding
    if found == "utf-8" and first is None:
        return Guess("ascii", BY_MARK)
    if found.startswith("utf-16"):
        return Guess(found, BY_ZEROS)
    if found in ("utf-8", "iso2022_jp"):
        return Guess(found, BY_FORM)
    for encoding in _meant(stated):
        if _decodes(data, encoding):
            return Guess(encoding, BY_STATEMENT)
    return _by_likelihood(window, found)


def _meant(stated: str | None) -> list[str]:
    """Return what may be meant: Latin-1 is a name for Windows-1252, as browsers read it. Source: https://encoding.spec.whatwg.org/#names-and-labels"""
    return [] if stated is None else ["cp1252", stated] if stated in ("iso8859-1", "ascii") else [stated]


def _by_likelihood(window: bytes, found: str) -> Guess:
    """Return the most usual encoding that gives the likeliest text, and how sure that is: little looks wrong, much like a language."""
    from charset_normalizer import from_bytes

    telling = b"\n".join(line for line in window.splitlines() if NOT_ASCII.search(line))
    best = from_bytes(telling, cp_isolation=list(LEGACY)).best()
    sure = LEAST
    if best is not None and _decodes(window, best.encoding):
        found = best.encoding
        sure += (MOST - LEAST) * (0.4 + 0.6 * min(best.coherence, 1)) * max(1 - 2 * best.chaos, 0)
    also = tuple(name for name in LEGACY if _reads_alike(window, name, found))
    return Guess((also or (found,))[0], sure, also)


def _read(data: bytes, encoding: str, max_chars: int) -> tuple[Counter[str], str]:
    """Return how many characters, lost places and line ends of each kind the text has, and its beginning."""
    counts, kept = Counter[str](), ""
    for text in _pieces(data, encoding):
        n_pairs = text.count("\r\n")
        counts.update(chars=len(text), lost=text.count(LOST), crlf=n_pairs, cr=text.count("\r") - n_pairs, lf=text.count("\n") - n_pairs)
        kept += text[: max_chars - len(kept)]
    return counts, kept


def _pieces(data: bytes, encoding: str) -> Iterator[str]:
    """Yield the text piece by piece, none of which ends between the two halves of a line end."""
    decoder, held = codecs.getincrementaldecoder(encoding)("replace"), ""
    for at in range(0, len(data), PIECE_BYTES):
        is_last = at + PIECE_BYTES >= len(data)
        text = held + decoder.decode(data[at : at + PIECE_BYTES], is_last)
        held = "\r" if text.endswith("\r") and not is_last else ""
        yield text.removesuffix(held)


def _decodes(data: bytes, encoding: str) -> bool:
    return all(LOST not in text for text in _pieces(data, encoding))


def _reads_alike(data: bytes, stated: str, found: str) -> bool:
    """Return whether the stated encoding gives the text that the found one gives; a mark settles the order of bytes."""
    if iana_name(found).startswith(iana_name(stated)) and stated.startswith("utf-"):
        return True
    return all(a == b for a, b in zip(_pieces(data, stated), _pieces(data, found), strict=True))
