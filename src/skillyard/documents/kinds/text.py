"""TXT, MD and CSV: one page, decoded."""

from skillyard.documents.decoding import decode
from skillyard.documents.kinds.content import Content, ReadOptions, plain_pages
from skillyard.documents.result import Refused


def read_text(data: bytes, options: ReadOptions) -> Content:
    """Return the text."""
    text = decode(data)
    if text is None:
        raise Refused("unsupported_type", "the content is text at first, other bytes later")
    return Content(plain_pages([text], "charset-normalizer"))


def read_csv(data: bytes, options: ReadOptions) -> Content:
    """Return the rows as they are; the first of them is no title."""
    return Content(read_text(data, options).pages, has_heading=False)
