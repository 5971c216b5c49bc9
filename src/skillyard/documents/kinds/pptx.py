"""PPTX, by markitdown: one page a slide, with its tables and notes."""

import re

from skillyard.documents.kinds.content import Content, ReadOptions
from skillyard.documents.kinds.markdown import markdown_pages
from skillyard.documents.kinds.office import by_kreuzberg, by_markitdown, read_office
from skillyard.documents.sniff import MIME_TYPES

SLIDE = re.compile(r"<!-- Slide number: \d+ -->\n?")


def read_pptx(data: bytes, options: ReadOptions) -> Content:
    """Return one text a slide; kreuzberg, where markitdown fails, gives them in one page."""
    return read_office(data, _by_markitdown, lambda d: Content(markdown_pages([by_kreuzberg(d, MIME_TYPES["pptx"])[0]], "kreuzberg")))


def _by_markitdown(data: bytes) -> Content:
    slides = SLIDE.split(by_markitdown(data, ".pptx"))[1:]
    return Content(markdown_pages(slides or [""], "markitdown"))
