"""HTML: its main text by trafilatura, its tables by markitdown where trafilatura loses their rows."""

import re
from bisect import bisect_right
from collections.abc import Iterator
from io import BytesIO
from typing import Any

from skillyard.documents.decoding import clean, decode
from skillyard.documents.kinds.content import Content, PageContent, ReadOptions
from skillyard.documents.kinds.markdown import markdown_page
from skillyard.documents.kinds.office import plain_markdown
from skillyard.documents.result import Grid, Heading

CHARSET = re.compile(rb"""<meta[^>]{0,200}charset\s*=\s*["']?([\w-]{3,40})""", re.I)
HEAD_BYTES = 4096
KEPT_SHARE = 0.8
"""A table of whose rows at least so many stand as lines in the main text needs no second reading."""


def read_html(data: bytes, options: ReadOptions) -> Content:
    """Return the page's main text without navigation, its tables as Markdown."""
    from trafilatura import bare_extraction

    html = decode_html(data)
    found: Any = bare_extraction(html, fast=True, include_tables=True, include_comments=False, with_metadata=True)
    text = clean(found.text or "") if found else ""
    title, metadata = (found.title, _stated(found)) if found else (None, {})
    if not text:
        return Content((markdown_page(_by_markitdown(html), "markitdown"),), title=title, metadata=metadata)
    document = _tree(html)
    tables = list(_data_tables(document))
    lines = {_squeeze(line) for line in text.splitlines()}
    lost = [_by_markitdown(source) for grid, source in tables if _is_lost(grid, lines)]
    page = PageContent(
        clean("\n\n".join([text, *lost])),
        "trafilatura, markitdown" if lost else "trafilatura",
        headings=tuple(_headings(document, text)),
        tables=tuple(grid for grid, _ in tables),
    )
    return Content((page,), title=title, metadata=metadata)


def _stated(found: Any) -> dict[str, str]:
    """Return what the page says of itself."""
    named = {"author": found.author, "created": found.date, "description": found.description, "site": found.sitename}
    return {name: str(value) for name, value in named.items() if value}


def _headings(document: Any, text: str) -> Iterator[Heading]:
    """Yield the headings of the page that stand as lines in its main text, in their order, each where its line begins."""
    lines: dict[str, list[int]] = {}
    at, last = 0, -1
    for line in text.split("\n"):
        lines.setdefault(_squeeze(line), []).append(at)
        at += len(line) + 1
    for element in document.iter("h1", "h2", "h3", "h4", "h5", "h6"):
        title = clean(" ".join(element.text_content().split()))
        starts = lines.get(_squeeze(title) or title, [])
        following = bisect_right(starts, last)
        if title and following < len(starts):
            last = starts[following]
            yield Heading(int(element.tag[1]), title, last)


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


def _tree(html: str) -> Any:
    from lxml import html as lxml_html  # type: ignore[import-untyped]

    return lxml_html.document_fromstring(html.encode("utf-8", "replace"), parser=lxml_html.HTMLParser(encoding="utf-8"))


def _data_tables(document: Any) -> Iterator[tuple[Grid, str]]:
    """Yield the innermost tables of data, outside navigation, as rows and as HTML."""
    from lxml.etree import tostring  # type: ignore[import-untyped]

    for table in document.iter("table"):
        rows = [tuple(clean(" ".join(cell.text_content().split())) for cell in row.iter("td", "th")) for row in table.iter("tr")]
        is_layout = table.get("role") == "presentation" or next(table.iterdescendants("table"), None) is not None
        if is_layout or sum(sum(map(bool, row)) >= 2 for row in rows) < 2:
            continue
        if not any(above.tag in ("nav", "footer", "aside") for above in table.iterancestors()):
            yield tuple(row for row in rows if any(row)), tostring(table, encoding="unicode", with_tail=False, method="html")


def _is_lost(grid: Grid, lines: set[str]) -> bool:
    """Return whether too few of a table's rows stand as lines in the text."""
    rows = ["".join(map(_squeeze, row)) for row in grid if sum(map(bool, row)) >= 2]
    return sum(row in lines for row in rows) < len(rows) * KEPT_SHARE


def _squeeze(text: str) -> str:
    return re.sub(r"[\W_]+", "", text)
