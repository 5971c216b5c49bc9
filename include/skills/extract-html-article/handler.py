"""The main text of a web page and what the page says of itself."""

import re
from collections.abc import Mapping
from typing import Any

from skillyard.documents.decoding import clean
from skillyard.documents.kinds.content import ReadOptions
from skillyard.documents.kinds.html import decode_html, read_html
from skillyard.documents.language import detect_language
from skillyard.documents.result import Refused
from skillyard.documents.sniff import sniff
from skillyard.skills import Source

MAX_CHARS = 1_000_000
DATES = {"original_date": True, "extensive_search": False, "max_date": "2100-01-01"}
"""Only what is marked as a date of publication; without a latest date, the library takes today's."""
DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def handle(source: Source, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the text with title, author, date and language."""
    if sniff(source.data, source.name).kind != "html":
        raise Refused("unsupported_type", "the content is no web page")
    (page,) = read_html(source.data, ReadOptions(has_ocr=False)).pages
    text = clean(page.text)
    given = text[:MAX_CHARS]
    return {
        **_stated(decode_html(source.data)),
        "language": detect_language(given),
        "text": given,
        "is_main_text": page.parser.startswith("trafilatura"),
        "n_chars": len(given),
        "is_cut": len(text) > len(given),
    }


def _stated(html: str) -> dict[str, str | None]:
    """Return what the page says of itself."""
    from trafilatura.metadata import extract_metadata

    found = extract_metadata(html, date_config=dict(DATES), extensive=False)
    named = {"title": found.title, "author": found.author, "site": found.sitename, "description": found.description, "url": found.url}
    day = str(found.date or "")
    return {**{name: clean(str(value or "")) or None for name, value in named.items()}, "published_at": day if DAY.fullmatch(day) else None}
