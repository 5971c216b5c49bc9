"""DOCX, by kreuzberg. Where its pages break depends on the printer, so it is one page."""

from skillyard.documents.kinds.content import Content, ReadOptions
from skillyard.documents.kinds.markdown import markdown_pages
from skillyard.documents.kinds.office import by_kreuzberg, by_markitdown, read_office
from skillyard.documents.sniff import MIME_TYPES


def read_docx(data: bytes, options: ReadOptions) -> Content:
    """Return the document as Markdown in one page."""
    return read_office(data, _by_kreuzberg, lambda d: Content(markdown_pages([by_markitdown(d, ".docx")], "markitdown")))


def _by_kreuzberg(data: bytes) -> Content:
    text, _ = by_kreuzberg(data, MIME_TYPES["docx"])
    return Content(markdown_pages([text], "kreuzberg"))
