"""HTML: its main text by trafilatura, its tables by markitdown where trafilatura loses their rows."""

import re
from io import BytesIO
from typing import Any

from skillyard.documents.decoding import decode
from skillyard.documents.kinds.content import Content, ReadOptions, plain_pages
from skillyard.documents.kinds.office import plain_markdown

CHARSET = re.compile(rb"""<meta[^>]{0,200}charset\s*=\s*["']?([\w-]{3,40})""", re.I)
HEAD_BYTES = 4096
KEPT_SHARE = 0.8
"""A table of whose rows at least so many stand as lines in the main text needs no second reading."""


def read_html(data: bytes, options: ReadOptions) -> Content:
    """Return the page's main text without navigation, its tables as Markdown."""
    from trafilatura import bare_extraction

    html = decode_html(data)
    found: Any = bare_extraction(html, fast=True, include_tables=True, include_comments=False, with_metadata=True)
    text = (found.text or "") if found else ""
    title = found.title if found else None
    if not text.strip():
        return Content(plain_pages([_by_markitdown(html)], "markitdown"), title=title)
    lost = _lost_tables(html, text) if "<table" in html.lower() else []
    if not lost:
        return Content(plain_pages([text], "trafilatura"), title=title)
    return Content(plain_pages(["\n\n".join([text, *map(_by_markitdown, lost)])], "trafilatura, markitdown"), title=title)


def decode_html(data: bytes) -> str:
    """Return the text; a page that names its own encoding is believed when its bytes are not UTF-8."""
    named = CHARSET.search(data[:HEAD_BYTES])
    if named and not data.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        for encoding in ("utf-8", named.group(1).decode("ascii")):
            try:
                return data.decode(encoding)
            except (UnicodeDecodeError, LookupError):
                continue
    return decode(data) or data.decode("utf-8", "replace")


def _by_markitdown(html: str) -> str:
    from markitdown import MarkItDown, StreamInfo

    info = StreamInfo(extension=".html", charset="utf-8")
    return plain_markdown(
        MarkItDown(enable_plugins=False).convert_stream(BytesIO(html.encode("utf-8", "replace")), stream_info=info).markdown
    )


def _lost_tables(html: str, text: str) -> list[str]:
    """Return the innermost data tables, outside navigation, of whose rows the text keeps too few as lines."""
    from lxml import html as lxml_html  # type: ignore[import-untyped]

    lines = {_squeeze(line) for line in text.splitlines()}
    lost = []
    for table in lxml_html.document_fromstring(html.encode("utf-8", "replace"), parser=lxml_html.HTMLParser(encoding="utf-8")).iter(
        "table"
    ):
        rows = [[_squeeze(cell.text_content()) for cell in row.iter("td", "th")] for row in table.iter("tr")]
        rows = [row for row in rows if sum(map(bool, row)) >= 2]
        is_layout = table.get("role") == "presentation" or next(table.iterdescendants("table"), None) is not None
        if len(rows) < 2 or is_layout or any(above.tag in ("nav", "footer", "aside") for above in table.iterancestors()):
            continue
        if sum("".join(row) in lines for row in rows) < len(rows) * KEPT_SHARE:
            lost.append(lxml_html.tostring(table, encoding="unicode", with_tail=False))
    return lost


def _squeeze(text: str) -> str:
    return re.sub(r"[\W_]+", "", text)
