"""Pages that show text without holding it are drawn as a picture and read by OCR."""

from dataclasses import replace
from typing import Any

import pypdfium2
import pypdfium2.raw as pdfium

from skillyard.documents.kinds.content import PageContent
from skillyard.documents.kinds.pdf.usable import MIN_PAGE_CHARS

DOTS_PER_INCH = 300
MAX_PIXELS = 12_000_000


def read_scan(document: Any, index: int, page: PageContent, hint: str | None) -> PageContent:
    """Return the page as OCR reads it when it has too little text for what it shows; else as it is.

    A short text is kept where nothing but text is drawn, and where OCR finds less.
    """
    if len(page.text) >= MIN_PAGE_CHARS:
        return page
    try:
        opened = document[index]
    except pypdfium2.PdfiumError:
        return page
    try:
        drawn = _drawn(opened)
        is_mute = not page.text and not page.header and not page.footer
        if not drawn - {pdfium.FPDF_PAGEOBJ_TEXT} and not (is_mute and drawn):
            return page
        read = _by_ocr(opened, hint)
    finally:
        opened.close()
    if len(read.text) > len(page.text) or (read.status and pdfium.FPDF_PAGEOBJ_IMAGE in drawn):
        return replace(read, rescue_level=page.rescue_level, header=page.header, footer=page.footer)
    return page


def _drawn(page: Any) -> set[int]:
    """Return the kinds of objects (FPDF_PAGEOBJ_*) that the page draws, those of its forms included."""
    return {pdfium.FPDFPageObj_GetType(part.raw) for part in page.get_objects(max_depth=4)}


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
