"""What a page draws: images and how much of it they cover, outlines, invisible text. Nothing is rendered for it."""

import ctypes
from collections.abc import Iterator
from math import isfinite
from typing import Any, NamedTuple

from skillyard.documents.kinds.pdf.lines import Box
from skillyard.documents.kinds.pdf.scans import MAX_OBJECTS
from skillyard.documents.result import Refused

MAX_DEPTH = 4
"""Forms in forms."""
CELLS = 100
"""A page is looked at in so many rows and columns."""
Matrix = tuple[float, float, float, float, float, float]
IDENTITY: Matrix = (1.0, 0.0, 0.0, 1.0, 0.0, 0.0)


class Drawn(NamedTuple):
    """What was found on a page. Boxes are in points from its lower left corner as the file has it, whatever its rotation."""

    visible: Box
    images: tuple[Box, ...]
    n_paths: int
    has_hidden_text: bool

    @property
    def area(self) -> float:
        """Return the visible page's area in square points, at least one."""
        left, bottom, right, top = self.visible
        area = (right - left) * (top - bottom)
        return max(area, 1.0) if isfinite(area) else 1.0

    @property
    def image_share(self) -> float:
        """Return the share of the visible page that images cover, what lies above another counted once."""
        left, bottom, right, top = self.visible
        width, height = max(right - left, 1) / CELLS, max(top - bottom, 1) / CELLS
        covered = [0] * CELLS  # a row of cells in the bits of a number
        for x0, y0, x1, y1 in self.images:
            first, end = _cell((x0 - left) / width), _cell((x1 - left) / width)
            bits = (1 << end) - (1 << first) if end > first else 0
            for row in range(_cell((y0 - bottom) / height), _cell((y1 - bottom) / height)):
                covered[row] |= bits
        return sum(row.bit_count() for row in covered) / CELLS**2


def _cell(place: float) -> int:
    """Return the cell's edge that is nearest, on the page."""
    return round(min(max(place, 0.0), CELLS)) if isfinite(place) else 0


def open_pdf(data: bytes) -> Any:
    """Return the document, without what may precede its beginning; ``Refused``: password_required, corrupt or too_large."""
    import pypdfium2

    from skillyard.documents.kinds.pdf import MAX_PAGES

    try:
        document = pypdfium2.PdfDocument(data[max(data.find(b"%PDF-"), 0) :])
    except pypdfium2.PdfiumError as error:
        if error.err_code == pypdfium2.raw.FPDF_ERR_PASSWORD:
            raise Refused("password_required", "an encrypted PDF") from error
        raise Refused("corrupt", f"a damaged PDF: {error}") from error
    if 0 < len(document) <= MAX_PAGES:
        return document
    n_pages = len(document)
    document.close()
    if n_pages == 0:
        raise Refused("corrupt", "a PDF without a page")
    raise Refused("too_large", f"{n_pages:,} pages, allowed are {MAX_PAGES:,}")


def look_at(page: Any) -> Drawn:
    """Return what the loaded page draws, of its first ``MAX_OBJECTS`` things."""
    import pypdfium2.raw as pdfium

    area = pdfium.FS_RECTF()
    pdfium.FPDF_GetPageBoundingBox(page, area)
    images, n_paths, has_hidden = [], 0, False
    for number, (part, matrix) in enumerate(_objects(page, None, IDENTITY, 0)):
        if number == MAX_OBJECTS:
            break
        kind = pdfium.FPDFPageObj_GetType(part)
        if kind == pdfium.FPDF_PAGEOBJ_IMAGE:
            images.append(_box(part, matrix))
        elif kind == pdfium.FPDF_PAGEOBJ_PATH:
            n_paths += 1
        elif kind == pdfium.FPDF_PAGEOBJ_TEXT:
            has_hidden = has_hidden or pdfium.FPDFTextObj_GetTextRenderMode(part) == pdfium.FPDF_TEXTRENDERMODE_INVISIBLE
    return Drawn((area.left, area.bottom, area.right, area.top), tuple(images), n_paths, has_hidden)


def _objects(page: Any, form: Any, matrix: Matrix, depth: int) -> Iterator[tuple[Any, Matrix]]:
    """Yield what the page, or a form on it, draws, with the matrix that leads from there to the page; forms are gone into."""
    import pypdfium2.raw as pdfium

    n_objects = pdfium.FPDFPage_CountObjects(page) if form is None else pdfium.FPDFFormObj_CountObjects(form)
    for index in range(n_objects):
        part = pdfium.FPDFPage_GetObject(page, index) if form is None else pdfium.FPDFFormObj_GetObject(form, index)
        if not part:
            continue
        if pdfium.FPDFPageObj_GetType(part) != pdfium.FPDF_PAGEOBJ_FORM:
            yield part, matrix
        elif depth < MAX_DEPTH:
            yield from _objects(page, part, _combined(_matrix(part), matrix), depth + 1)


def _matrix(part: Any) -> Matrix:
    import pypdfium2.raw as pdfium

    found = pdfium.FS_MATRIX()
    return (found.a, found.b, found.c, found.d, found.e, found.f) if pdfium.FPDFPageObj_GetMatrix(part, found) else IDENTITY


def _combined(first: Matrix, then: Matrix) -> Matrix:
    a, b, c, d, e, f = first
    p, q, r, s, t, u = then
    return (a * p + b * r, a * q + b * s, c * p + d * r, c * q + d * s, e * p + f * r + t, e * q + f * s + u)


def _box(part: Any, matrix: Matrix) -> Box:
    """Return the box on the page of what is drawn."""
    import pypdfium2.raw as pdfium

    left, bottom, right, top = (ctypes.c_float() for _ in range(4))
    pdfium.FPDFPageObj_GetBounds(part, left, bottom, right, top)
    a, b, c, d, e, f = matrix
    corners = [(a * x + c * y + e, b * x + d * y + f) for x in (left.value, right.value) for y in (bottom.value, top.value)]
    xs, ys = zip(*corners, strict=True)
    return (min(xs), min(ys), max(xs), max(ys))
