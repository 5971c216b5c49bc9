"""The text layer of a PDF, page by page."""

from collections.abc import Mapping
from typing import Any

from skillyard.documents.decoding import clean
from skillyard.documents.kinds.content import ReadOptions
from skillyard.documents.kinds.pdf import read_pdf
from skillyard.skills import Source


def handle(source: Source, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return pages with their text, header and footer."""
    content = read_pdf(source.data, ReadOptions(has_ocr=False))
    texts = [clean(page.text) for page in content.pages]
    return {
        "pages": [
            {"page": number, "text": text, "is_empty": not text, "header": page.header, "footer": page.footer}
            for number, (page, text) in enumerate(zip(content.pages, texts, strict=True), 1)
        ],
        "n_pages": len(texts),
        "n_chars": sum(map(len, texts)),
        "rescued": max((page.rescue_level for page in content.pages), default=0),
    }
