"""The entries of a feed, as plain text."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

from skillyard.documents.decoding import clean, decode
from skillyard.documents.result import Refused
from skillyard.skills import Source

MAX_BYTES, MAX_ENTRIES, MAX_CHARS, MAX_TAGS = 20_000_000, 5_000, 20_000, 100
JSON_FEED = "https://jsonfeed.org/version/1"
BLOCKS = ("p", "div", "br", "li", "tr", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "pre")
Entry = dict[str, Any]


def handle(source: Source, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the feed's title and entries."""
    if not source.data.strip():
        raise Refused("empty", f"{len(source.data)} bytes")
    if len(source.data) > MAX_BYTES:
        raise Refused("too_large", f"{len(source.data):,} bytes, allowed are {MAX_BYTES:,}")
    feed = _json_feed(source.data) or _xml_feed(source.data)
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
        "link": _line(read.feed.get("link")),
        "language": _line(read.feed.get("language")),
        "entries": [_xml_entry(entry) for entry in read.entries],
        "is_well_formed": not read.bozo or is_only_encoding,
    }


def _xml_entry(entry: Any) -> Entry:
    content, link = (entry.get("content") or [{}])[0], _line(entry.get("link"))
    is_named_only = bool(entry.get("guidislink")) and "://" not in (link or "")  # a guid, which feedparser takes for a link
    summary = _text_of(entry, "summary") if "summary_detail" in entry else _plain(content.get("value"), content.get("type"))
    return {
        "id": _line(entry.get("id")) or link,
        "title": _line(_text_of(entry, "title")),
        "link": None if is_named_only else link,
        "author": _line(entry.get("author")),
        "published_at": _moment(entry.get("published_parsed")),
        "updated_at": _moment(entry.get("updated_parsed")) if "updated" in entry else None,
        "summary": summary,
        "tags": [*dict.fromkeys(filter(None, (_line(tag.get("term")) for tag in entry.get("tags", ()))))][:MAX_TAGS],
    }


def _json_feed(data: bytes) -> dict[str, Any] | None:
    """Return a JSON Feed; None when the bytes are none. Source: https://www.jsonfeed.org/version/1.1/"""
    if not data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        return None
    try:
        found = json.loads((decode(data) or "").lstrip("\ufeff"))
    except (ValueError, RecursionError) as error:
        raise Refused("corrupt", f"no JSON that can be read: {error}") from error
    if not isinstance(found, dict) or not str(found.get("version")).startswith(JSON_FEED) or not isinstance(found.get("items"), list):
        raise Refused("unsupported_type", "the content is JSON, but no JSON Feed")
    named = {"title": _line(found.get("title")), "link": _line(found.get("home_page_url")), "language": _line(found.get("language"))}
    items = [_json_entry(item) for item in found["items"] if isinstance(item, dict)]
    return {"kind": "json", **named, "entries": items, "is_well_formed": True}


def _json_entry(item: Entry) -> Entry:
    authors = item.get("authors") if isinstance(item.get("authors"), list) else [item.get("author")]
    names = [_line(author.get("name")) for author in authors or () if isinstance(author, dict)]
    tags = item.get("tags") if isinstance(item.get("tags"), list) else []
    return {
        "id": _line(item.get("id")) or _line(item.get("url")),
        "title": _line(item.get("title")),
        "link": _line(item.get("url")) or _line(item.get("external_url")),
        "author": ", ".join(filter(None, names)) or None,
        "published_at": _iso(item.get("date_published")),
        "updated_at": _iso(item.get("date_modified")),
        "summary": _plain(item.get("summary") or item.get("content_text"), None) or _plain(item.get("content_html"), "text/html"),
        "tags": [*dict.fromkeys(filter(None, map(_line, tags or ())))][:MAX_TAGS],
    }


def _text_of(parent: Any, name: str) -> str | None:
    """Return a title or summary as plain text, by the type that the feed states or its reader has found."""
    return _plain(parent.get(name), (parent.get(f"{name}_detail") or {}).get("type"))


def _plain(value: Any, mime_type: str | None) -> str | None:
    text = clean(value) if isinstance(value, str) else ""
    return ("\n".join(_lines_of_html(text)) if text and "html" in (mime_type or "") else text) or None


def _lines_of_html(text: str) -> Iterator[str]:
    from lxml import html  # type: ignore[import-untyped]

    tree = html.fromstring(f"<div>{text}</div>")
    for element in [*tree.iter("script", "style")]:
        element.drop_tree()
    for block in tree.iter(*BLOCKS):
        block.tail = f"\n{block.tail or ''}"
        block.text = f"\n{block.text or ''}" if block.tag != "br" else block.text
    yield from filter(None, (" ".join(line.split()) for line in tree.text_content().splitlines()))


def _line(value: Any) -> str | None:
    return " ".join(clean(str(value)).split()) or None if isinstance(value, str | int) else None


def _moment(parsed: Any) -> str | None:
    """Return a time in UTC, which feedparser gives as its parts."""
    try:
        return datetime(*parsed[:6], tzinfo=UTC).isoformat() if parsed else None
    except (ValueError, TypeError):
        return None


def _iso(value: Any) -> str | None:
    try:
        found = datetime.fromisoformat(value)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC).isoformat()
    except (ValueError, TypeError, OverflowError):
        return None
