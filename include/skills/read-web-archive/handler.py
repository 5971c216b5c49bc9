"""The responses in a web archive, and the text of its pages."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from hashlib import sha256
from typing import Any

from skillyard.documents.decoding import clean, decode
from skillyard.documents.kinds.content import ReadOptions
from skillyard.documents.kinds.html import read_html
from skillyard.documents.result import Refused
from skillyard.documents.unpacking import MAX_UNPACKED_BYTES, PIECE_BYTES, Unpacked
from skillyard.skills import Source

MAX_RECORDS, MAX_TEXTS, MAX_TEXT_CHARS = 5_000, 200, 20_000
MAX_PAGE_BYTES = 2_000_000
MARKS = (b"WARC/", b"filedesc://")
LISTED = ("response", "resource", "conversion", "revisit")
PAGES, PLAIN = ("text/html", "application/xhtml+xml"), ("text/plain",)


def handle(source: Source, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entries, and whether they are all."""
    if not source.data:
        raise Refused("empty", "0 bytes")
    if not (start := Unpacked(source.data).read()).startswith(MARKS):
        raise Refused("unsupported_type" if start else "corrupt", "the content does not begin like a web archive")
    stream = Unpacked(source.data)
    state = {"n_records": 0, "is_complete": True}
    records: list[dict[str, Any]] = []
    n_texts, n_read, is_cut = 0, 0, False
    for record in _records(stream, state):
        is_cut = len(records) == MAX_RECORDS or n_read > MAX_UNPACKED_BYTES
        if is_cut:
            break
        entry = _entry(record, has_text=n_texts < MAX_TEXTS)
        n_texts += entry["text"] is not None
        n_read += entry["n_bytes"]
        records.append(entry)
    if not state["n_records"]:
        raise Refused("corrupt", "not one record of a web archive can be read")
    is_cut = is_cut or stream.n_bytes > MAX_UNPACKED_BYTES
    return {"records": records, **state, "is_complete": state["is_complete"] and not stream.is_broken, "is_cut": is_cut}


def _records(stream: Unpacked, state: dict[str, Any]) -> Iterator[Any]:
    """Yield the records that are listed; ``state`` tells how many there were, and whether they end as they should."""
    from warcio.archiveiterator import ArchiveIterator

    try:
        for record in ArchiveIterator(stream, arc2warc=True):
            if not record.rec_type:
                state["is_complete"] = False
                return
            state["n_records"] += 1
            if record.rec_type in LISTED:
                yield record
            while record.raw_stream.read(PIECE_BYTES):
                pass
            if getattr(record.raw_stream, "limit", 0) > 0:
                state["is_complete"] = False
    except MemoryError:
        raise
    except Exception:  # warcio raises all sorts for what breaks off
        state["is_complete"] = False


def _entry(record: Any, has_text: bool) -> dict[str, Any]:
    head, headers = bytearray(), record.rec_headers
    digest, n_bytes, stream = sha256(), 0, record.content_stream()
    while n_bytes <= MAX_UNPACKED_BYTES and (piece := stream.read(PIECE_BYTES)):
        digest.update(piece)
        n_bytes += len(piece)
        head += piece[: max(MAX_PAGE_BYTES - len(head), 0)]
    stated = record.http_headers.get_header("Content-Type") if record.http_headers else headers.get_header("Content-Type")
    mime_type, _, rest = (stated or "").partition(";")
    mime_type = mime_type.strip().lower()
    is_text = mime_type in (*PAGES, *PLAIN) and record.rec_type != "revisit" and bool(head)
    text = _text(bytes(head), mime_type, rest) if is_text and has_text else None
    status = record.http_headers.get_statuscode() if record.http_headers else ""
    return {
        "kind": record.rec_type,
        "url": headers.get_header("WARC-Target-URI"),
        "captured_at": headers.get_header("WARC-Date"),
        "status": int(status) if status and status.isdecimal() and len(status) == 3 else None,
        "mime_type": mime_type or None,
        "n_bytes": n_bytes,
        "sha256": digest.hexdigest() if record.rec_type != "revisit" else None,
        "text": text[:MAX_TEXT_CHARS] if text is not None else None,
        "is_text_cut": is_text and (text is None or len(text) > MAX_TEXT_CHARS or n_bytes > MAX_PAGE_BYTES),
    }


def _text(data: bytes, mime_type: str, parameters: str) -> str:
    """Return a page's main text, or a plain text; the server's word for the encoding is taken where the bytes agree."""
    _, _, charset = parameters.lower().partition("charset=")
    with suppress(UnicodeDecodeError, LookupError):  # otherwise the bytes or the page know better
        data = data.decode(charset.strip(" \"';") or "utf-8").encode()
    if mime_type in PLAIN:
        return clean(decode(data) or "")
    return clean("\n".join(page.text for page in read_html(data, ReadOptions(has_ocr=False)).pages))
