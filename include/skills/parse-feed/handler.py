"""The entries of a feed, as plain text."""

from collections.abc import Mapping
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

from skillyard.documents.feeds import MAX_TAGS, Entry, one_line, plain_text, read_json_feed
from skillyard.documents.result import Refused
from skillyard.skills import Source

MAX_BYTES, MAX_ENTRIES, MAX_CHARS = 20_000_000, 5_000, 20_000


def handle(source: Source, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the feed's title and entries."""
    if not source.data.strip():
        raise Refused("empty", f"{len(source.data)} bytes")
    if len(source.data) > MAX_BYTES:
        raise Refused("too_large", f"{len(source.data):,} bytes, allowed are {MAX_BYTES:,}")
    feed = read_json_feed(source.data) or _xml_feed(source.data)
    entries = [entry for entry in feed["entries"] if entry["id"] or entry["title"] or entry["summary"]]
    kept = [{**entry, "summary": (entry["summary"] or "")[:MAX_CHARS] or None} for entry in entries[:MAX_ENTRIES]]
    is_cut = len(entries) > MAX_ENTRIES or any(len(entry["summary"] or "") > MAX_CHARS for entry in entries)
    return {**feed, "entries": kept, "n_entries": len(entries), "is_cut": is_cut}


def _xml_feed(data: bytes) -> dict[str, Any]:
    """Return an RSS or Atom feed; ``Refused`` when the bytes are none."""
    import feedparser  # type: ignore[import-untyped]

    try:
        read = feedparser.parse(BytesIO(data), sanitize_html=False, resolve_relative_uris=False, response_headers={})
    except (ValueError, LookupError, TypeError, AttributeError, AssertionError) as error:  # its loose reader, of damage
        raise Refused("corrupt", f"{type(error).__name__}: {error}") from error
    version = read.get("version", "")
    if not version and not read.entries:
        raise Refused("unsupported_type", "the content is no feed")
    is_only_encoding = isinstance(read.get("bozo_exception"), feedparser.CharacterEncodingOverride | feedparser.NonXMLContentType)
    return {
        "kind": "atom" if version.startswith("atom") else "rss",
        "title": _text_of(read.feed, "title"),
        "link": one_line(read.feed.get("link")),
        "language": one_line(read.feed.get("language")),
        "entries": [_xml_entry(entry) for entry in read.entries],
        "is_well_formed": not read.bozo or is_only_encoding,
    }


def _xml_entry(entry: Any) -> Entry:
    content, link = (entry.get("content") or [{}])[0], one_line(entry.get("link"))
    is_named_only = bool(entry.get("guidislink")) and "://" not in (link or "")  # a guid, which feedparser takes for a link
    summary = _text_of(entry, "summary") if "summary_detail" in entry else plain_text(content.get("value"), content.get("type"))
    return {
        "id": one_line(entry.get("id")) or link,
        "title": one_line(_text_of(entry, "title")),
        "link": None if is_named_only else link,
        "author": one_line(entry.get("author")),
        "published_at": _moment(entry.get("published_parsed")),
        "updated_at": _moment(entry.get("updated_parsed")) if "updated" in entry else None,
        "summary": summary,
        "tags": [*dict.fromkeys(filter(None, (one_line(tag.get("term")) for tag in entry.get("tags", ()))))][:MAX_TAGS],
    }


def _text_of(parent: Any, name: str) -> str | None:
    """Return a title or summary as plain text, by the type that the feed states or its reader has found."""
    return plain_text(parent.get(name), (parent.get(f"{name}_detail") or {}).get("type"))


def _moment(parsed: Any) -> str | None:
    """Return a time in UTC, which feedparser gives as its parts."""
    try:
        return datetime(*parsed[:6], tzinfo=UTC).isoformat() if parsed else None
    except (ValueError, TypeError):
        return None
