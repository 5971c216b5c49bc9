"""PNG, JPEG and TIFF: one page without text, which OCR may read later."""

from skillyard.documents.kinds.content import Content, ReadOptions, plain_pages
from skillyard.documents.result import Refused

ENDS = ((b"\x89PNG", b"IEND"), (b"\xff\xd8", b"\xff\xd9"))
"""What has to follow somewhere, by how the file begins."""


def read_image(data: bytes, options: ReadOptions) -> Content:
    """Return one empty page for an image that is whole."""
    for start, end in ENDS:
        if data.startswith(start) and end not in data:
            raise Refused("corrupt", "a truncated image: its end is missing")
    return Content(plain_pages([""], "none"), has_heading=False)
