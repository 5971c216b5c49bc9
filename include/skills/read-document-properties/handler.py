"""What a file says of itself: title, people, dates, number of pages, whether it is locked."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from skillyard.documents.decoding import clean
from skillyard.documents.properties import read_old_properties, read_properties
from skillyard.documents.result import ARCHIVES, Refused
from skillyard.documents.sniff import OLE2, sniff
from skillyard.documents.titles import stated_title
from skillyard.skills import Source

MAX_CHARS = 1_000
PLACEHOLDER = re.compile(r"\W*(unknown|unspecified|anonymous|untitled|none|null|n/?a)\W*", re.I)
TEXTS = ("author", "modified_by", "subject", "keywords", "description", "company", "producer", "language", "message_id")
SILENT = {*ARCHIVES, "txt", "md", "csv"}


def handle(source: Source, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the properties that the file states; what it does not state is null."""
    found = _read(source, has_place=parameters["location"])
    made, saved = _moment(found.get("created")), _moment(found.get("modified"))
    moments = [moment for moment in (made, saved) if moment]
    return {
        "title": stated_title(_text(found.get("title"))),
        **{name: _text(found.get(name)) for name in TEXTS},
        "producer": _text(found.get("producer")) or _text(found.get("creator")),
        "recipients": _text(", ".join(str(found[name]) for name in ("to", "cc") if found.get(name))),
        "created_at": _utc(made),
        "modified_at": _utc(saved),
        "has_zone": all(moment.tzinfo for moment in moments) if moments else None,
        "n_pages": found.get("n_pages"),
        "width_px": found.get("width"),
        "height_px": found.get("height"),
        "latitude": found.get("latitude"),
        "longitude": found.get("longitude"),
        "has_macros": found.get("has_macros"),
        "is_encrypted": bool(found.get("is_encrypted")),
        "needs_password": bool(found.get("needs_password")),
    }


def _read(source: Source, *, has_place: bool) -> dict[str, Any]:
    if source.data.startswith(OLE2):
        try:
            kind = sniff(source.data, source.name).kind
        except Refused:
            return read_old_properties(source.data)
    else:
        kind = sniff(source.data, source.name).kind
    if kind in SILENT:
        raise Refused("unsupported_type", f"the content is {kind}, which states nothing of itself")
    return read_properties(source.data, kind, has_place=has_place)


def _text(stated: Any) -> str | None:
    """Return a text on one line; None where it says nothing."""
    text = " ".join(clean(str(stated or "")).split())[:MAX_CHARS]
    return None if not text or PLACEHOLDER.fullmatch(text) else text


def _moment(stated: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(stated) if stated else None
    except ValueError:
        return None


def _utc(moment: datetime | None) -> str | None:
    try:
        return (moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)).isoformat() if moment else None
    except OverflowError:
        return None
