"""Pages that show text without holding it are drawn as a picture and read by OCR."""

from collections import Counter
from dataclasses import replace
from itertools import islice
from typing import Any

import pypdfium2
import pypdfium2.raw as pdfium

from skillyard.documents.kinds.content import PageContent
from skillyard.documents.kinds.pdf.usable import MIN_PAGE_CHARS

DOTS_PER_INCH = 300
MAX_PIXELS = 12_000_000
MAX_OBJECTS = 1_000
MIN_OUTLINES = 20
"""So many paths may be letters that are drawn as outlines; fewer are rules and frames."""


def read_scan(document: Any, index: int, page: PageContent, hint: str | None) -> PageContent:
    """Return the page as OCR reads it when it has too little text for what it shows; else as it is.

    A short text is kept where nothing but text is drawn, and where OCR finds less.
    """
    if len(page.text) + len(page.header or "") + len(page.footer or "") >= MIN_PAGE_CHARS:
        return page
    try:
        opened = document[index]
    except pypdfium2.PdfiumError:
        return page
    try:
        drawn = _drawn(opened)
        if not _may_show_text(page, drawn):
            return page
        read = _by_ocr(opened, hint)
    finally:
        opened.close()
    if len(read.text) > len(page.text) or (read.status and drawn[pdfium.FPDF_PAGEOBJ_IMAGE]):
        return replace(read, rescue_level=page.rescue_level, header=page.header, footer=page.footer)
    return page


def _drawn(page: Any) -> Counter[int]:
    """Count the objects that the page draws by kind (FPDF_PAGEOBJ_*), those of its forms included."""
    return Counter(pdfium.FPDFPageObj_GetType(part.raw) for part in islice(page.get_objects(max_depth=4), MAX_OBJECTS))


def _may_show_text(page: PageContent, drawn: Counter[int]) -> bool:
    """Return whether there may be more to read than the page's text: in a picture, in outlines, or in letters that map to nothing."""
    if drawn[pdfium.FPDF_PAGEOBJ_IMAGE] or drawn[pdfium.FPDF_PAGEOBJ_PATH] >= MIN_OUTLINES:
        return True
    is_mute = not page.text and not page.header and not page.footer
    return is_mute and drawn.total() > 0


def _by_ocr(page: Any, hint: str | None) -> PageContent:
    from skillyard.documents.ocr import read_picture

    width, height = page.get_size()
    scale = min(DOTS_PER_INCH / 72, (MAX_PIXELS / max(width * height, 1)) ** 0.5)
    if min(width, height) * scale < 1:
        return PageContent("", "pypdfium2")
    bitmap = page.render(scale=scale, grayscale=True)
    try:
        return read_picture(bitmap.to_pil().copy(), hint)
    finally:
        bitmap.close()
