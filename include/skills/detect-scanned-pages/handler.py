"""Which pages of a PDF show text that they do not hold: by what they draw, without drawing it."""

from collections.abc import Mapping
from typing import Any

from skillyard.documents.decoding import clean
from skillyard.documents.kinds.pdf.drawn import look_at, open_pdf
from skillyard.documents.kinds.pdf.lines import page_text
from skillyard.documents.kinds.pdf.scans import MIN_OUTLINES
from skillyard.documents.kinds.pdf.usable import MIN_PAGE_CHARS, is_unmapped, plain_lines
from skillyard.skills import Source

MIN_IMAGE_SHARE = 0.15
POINTS_PER_CM = 72 / 2.54
SCANNED = ("image", "outlines", "unmapped_text")


def handle(source: Source, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return what each page is made of."""
    document = open_pdf(source.data)
    try:
        pages = [{"page": index + 1, **_describe(document, index)} for index in range(len(document))]
    finally:
        document.close()
    n_scanned = sum(page["is_scanned"] for page in pages)
    n_filled = sum(page["content"] not in ("blank", "unreadable") for page in pages)
    return {"pages": pages, "n_pages": len(pages), "n_scanned": n_scanned, "is_scan": 0 < n_scanned == n_filled}


def _describe(document: Any, index: int) -> dict[str, Any]:
    import pypdfium2.raw as pdfium

    page = pdfium.FPDF_LoadPage(document.raw, index)
    if not page:
        return _row("unreadable", 0, 0.0, 0.0, has_hidden=False)
    text_page = pdfium.FPDFText_LoadPage(page)
    try:
        raw = page_text(text_page) if text_page else ""
        drawn = look_at(page)
        is_mute = is_unmapped(raw)
        n_chars = 0 if is_mute else len(clean(plain_lines(raw)))
        if n_chars >= MIN_PAGE_CHARS:
            content = "text"
        elif drawn.image_share >= MIN_IMAGE_SHARE:
            content = "image"
        elif is_mute:
            content = "unmapped_text"
        elif drawn.n_paths >= MIN_OUTLINES:
            content = "outlines"
        else:
            content = "text" if n_chars else "blank"
        return _row(content, n_chars, n_chars / (drawn.area / POINTS_PER_CM**2), drawn.image_share, has_hidden=drawn.has_hidden_text)
    finally:
        pdfium.FPDFText_ClosePage(text_page)
        pdfium.FPDF_ClosePage(page)


def _row(content: str, n_chars: int, density: float, image_share: float, *, has_hidden: bool) -> dict[str, Any]:
    return {
        "is_scanned": content in SCANNED,
        "content": content,
        "text_density": round(density, 3),
        "image_share": round(image_share, 2),
        "n_chars": n_chars,
        "has_hidden_text": has_hidden,
    }
