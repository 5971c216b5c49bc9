"""JSON Feed, and the texts in feeds of any kind as plain ones."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from skillyard.documents.decoding import clean, decode
from skillyard.documents.result import Refused

JSON_FEED = "https://jsonfeed.org/version/1"
BLOCKS = ("p", "div", "br", "li", "tr", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "pre")
MAX_TAGS = 100
Entry = dict[str, Any]


def read_json_feed(data: bytes) -> dict[str, Any] | None:
    """Return a JSON Feed; None when the bytes are none. Source: https://www.jsonfeed.org/version/1.1/"""
    if not data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        return None
    try:
        found = json.loads((decode(data) or "").lstrip("\ufeff"))
    except (ValueError, RecursionError) as error:
        raise Refused("corrupt", f"no JSON that can be read: {error}") from error
    if not isinstance(found, dict) or not str(found.get("version")).startswith(JSON_FEED) or not isinstance(found.get("items"), list):
        raise Refused("unsupported_type", "the content is JSON, but no JSON Feed")
    named = {
        "title": one_line(found.get("title")),
        "link": one_line(found.get("home_page_url")),
        "language": one_line(found.get("language")),
    }
    items = [_json_entry(item) for item in found["items"] if isinstance(item, dict)]
    return {"kind": "json", **named, "entries": items, "is_well_formed": True}


def _json_entry(item: Entry) -> Entry:
    authors = item.get("authors") if isinstance(item.get("authors"), list) else [item.get("author")]
    names = [one_line(author.get("name")) for author in authors or () if isinstance(author, dict)]
    tags = item.get("tags") if isinstance(item.get("tags"), list) else []
    return {
        "id": one_line(item.get("id")) or one_line(item.get("url")),
        "title": one_line(item.get("title")),
        "link": one_line(item.get("url")) or one_line(item.get("external_url")),
        "author": ", ".join(filter(None, names)) or None,
        "published_at": _iso(item.get("date_published")),
        "updated_at": _iso(item.get("date_modified")),
        "summary": plain_text(item.get("summary") or item.get("content_text"), None) or plain_text(item.get("content_html"), "text/html"),
        "tags": [*dict.fromkeys(filter(None, map(one_line, tags or ())))][:MAX_TAGS],
    }


def plain_text(value: Any, mime_type: str | None) -> str | None:
    """Return a text without its tags, where its type says that it has some."""
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


def one_line(value: Any) -> str | None:
    return " ".join(clean(str(value)).split()) or None if isinstance(value, str | int) else None


def _iso(value: Any) -> str | None:
    try:
        found = datetime.fromisoformat(value)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC).isoformat()
    except (ValueError, TypeError, OverflowError):
        return None
