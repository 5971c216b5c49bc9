"""TXT, MD and CSV: one page, decoded."""

import csv

from skillyard.documents.decoding import clean, decode
from skillyard.documents.kinds.content import Content, PageContent, ReadOptions, plain_pages
from skillyard.documents.kinds.markdown import markdown_pages
from skillyard.documents.result import Grid, Refused

PARSER = "charset-normalizer"
MAX_TABLE_CHARS = 2_000_000
"""Of a longer one the text alone is kept: its rows would take several times as much."""
SAMPLE_CHARS = 4_096
DELIMITERS = ",;\t|"


def read_text(data: bytes, options: ReadOptions) -> Content:
    """Return the text."""
    return Content(plain_pages([_text_of(data)], PARSER))


def read_md(data: bytes, options: ReadOptions) -> Content:
    """Return the text as it is, with its headings and tables."""
    return Content(markdown_pages([_text_of(data)], PARSER))


def read_csv(data: bytes, options: ReadOptions) -> Content:
    """Return the rows as they are, and as a table where they are not too many; the first of them is no title."""
    text = clean(_text_of(data))
    rows = _rows(text) if len(text) <= MAX_TABLE_CHARS else ()
    return Content((PageContent(text, PARSER, tables=(rows,) if len(rows) > 1 else ()),), has_heading=False)


def _text_of(data: bytes) -> str:
    text = decode(data)
    if text is None:
        raise Refused("unsupported_type", "the content is text at first, other bytes later")
    return text


def _rows(text: str) -> Grid:
    """Return the cells, divided by whatever the first lines agree on; nothing where they do not agree."""
    try:
        dialect = csv.Sniffer().sniff(text[:SAMPLE_CHARS], DELIMITERS)
        return tuple(tuple(row) for row in csv.reader(text.splitlines(), dialect) if row)
    except csv.Error:
        return ()
