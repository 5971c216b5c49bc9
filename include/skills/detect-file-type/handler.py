"""What a file is by its bytes: by ingestion's own rules, by the streams of old Office files, by puremagic for the rest."""

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import yaml

from skillyard.documents.decoding import HEAD_BYTES, decode
from skillyard.documents.result import Refused
from skillyard.documents.sniff import OLE2, TEXT_SUFFIXES, FileType, is_encrypted_office, sniff
from skillyard.skills import Source

UNKNOWN = "application/octet-stream"
MAX_JSON_BYTES = 4_000_000
"""Of a longer text the beginning alone is looked at, which is no JSON."""
MIN_MATCH_BYTES = 3
"""One or two bytes agree by chance: in one file of a hundred made of noise."""
with (Path(__file__).parent / "assets" / "types.yaml").open(encoding="utf-8") as table:
    TYPES: dict[str, dict[str, Any]] = yaml.safe_load(table)
MARKS = [(re.compile(mark.encode("ascii"), re.S), mime) for mark, mime in TYPES["marks"].items()]
TEXTS = [(re.compile(start), mime) for start, mime in TYPES["texts"].items()]
KNOWN = frozenset(extension for known in TYPES["extensions"].values() for extension in known)
LOCKABLE = frozenset(extension for mime, known in TYPES["extensions"].items() if "openxmlformats" in mime for extension in known)
TEXT_KINDS, PLAIN = ("html", "eml", "csv", "md", "txt"), ("txt", "text")
"""Kinds that are text, and what may be claimed of any text."""
SURE, BY_MARK, BY_NAME, BY_TEXT = 1.0, 0.9, 0.7, 0.5


class Found(NamedTuple):
    """What a file is, and how that is known."""

    mime_type: str
    found_by: str
    confidence: float
    kind: str | None = None
    extensions: tuple[str, ...] = ()
    """Those that puremagic knows for it."""

    @property
    def is_text(self) -> bool:
        """Return whether it can be read as text."""
        return self.kind in TEXT_KINDS


def handle(source: Source, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the type of the file's bytes, and whether its name claims another."""
    name_extension = PurePosixPath(source.name).suffix.lower().removeprefix(".") or None
    found = _identify(source.data, source.name)
    is_encrypted = is_encrypted_office(source.data)
    fitting = {*found.extensions, *(PLAIN if found.is_text else ()), *(LOCKABLE if is_encrypted else ())}
    usual = tuple(TYPES["extensions"].get(found.mime_type, ())) or found.extensions
    return {
        "mime_type": found.mime_type,
        "extension": usual[0] if usual else None,
        "kind": found.kind,
        "confidence": found.confidence,
        "found_by": found.found_by,
        "is_encrypted": is_encrypted,
        "name_extension": name_extension,
        "is_name_misleading": name_extension in KNOWN - {*usual, *fitting},
    }


def _identify(data: bytes, name: str) -> Found:
    try:
        return _read_kind(sniff(data, name), data, name)
    except Refused as error:
        if error.error_kind == "empty":
            raise
        stated = error.found.removeprefix("the content is ")
    if data.startswith(OLE2):
        return _ole(data)
    if stated in TYPES["extensions"] and data.startswith((b"PK", b"{\\rtf")):
        return Found(stated, "content", SURE)
    mark = next((mime for mark, mime in MARKS if mark.match(data)), None)
    return Found(mark, "mark", BY_MARK) if mark else _by_puremagic(data)


def _read_kind(found: FileType, data: bytes, name: str) -> Found:
    """Return what ingestion reads; of what it takes for plain text, what it really is."""
    if found.kind not in ("txt", "md", "csv"):
        return Found(found.mime_type, "content", SURE, found.kind)
    text = (decode(data if len(data) <= MAX_JSON_BYTES else data[:HEAD_BYTES]) or "").lstrip("\ufeff \t\r\n")
    special = "application/json" if _is_json(text) else next((mime for start, mime in TEXTS if start.match(text)), None)
    if special:
        return Found(special, "content", SURE, found.kind)
    if PurePosixPath(name).suffix.lower() in TEXT_SUFFIXES:
        return Found(found.mime_type, "name", BY_NAME, found.kind)
    return Found(found.mime_type, "plain_text", BY_TEXT, found.kind)


def _is_json(text: str) -> bool:
    if not text.startswith(("{", "[")):
        return False
    with suppress(ValueError, RecursionError):
        return isinstance(json.loads(text), dict | list)
    return False


def _ole(data: bytes) -> Found:
    from olefile import OleFileIO

    with suppress(Exception), OleFileIO(BytesIO(data)) as file:  # a damaged one tells no more than its mark
        mime = next((mime for stream, mime in TYPES["streams"].items() if file.exists(stream)), None)
        if mime:
            return Found(mime, "content", SURE)
    return Found("application/x-ole-storage", "mark", BY_MARK)


def _by_puremagic(data: bytes) -> Found:
    from puremagic import PureError, magic_string

    try:
        matches = [m for m in magic_string(data) if m.mime_type and len(m.byte_match) >= MIN_MATCH_BYTES]
    except (PureError, ValueError):
        matches = []
    if not matches:
        return Found(UNKNOWN, "nothing", 0.0)
    best = min(matches, key=lambda m: (-m.confidence, -len(m.byte_match), m.mime_type, m.extension))
    others = sorted({m.extension.lstrip(".").lower() for m in matches} - {""})
    first = best.extension.lstrip(".").lower()
    return Found(best.mime_type, "puremagic", best.confidence, None, tuple(dict.fromkeys([*([first] if first else []), *others])))
