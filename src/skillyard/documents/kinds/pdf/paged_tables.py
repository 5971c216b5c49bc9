"""Tables of a whole document: page by page, and joined where one goes on over a page break."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from io import BytesIO
from typing import Any, NamedTuple

from skillyard.documents.kinds.pdf.drawn import look_at
from skillyard.documents.kinds.pdf.grids import Row, Table, find_tables, is_in, ruled_tables, visual_rows
from skillyard.documents.kinds.pdf.lines import BAND, View, page_text

MIN_RULES = 4
"""A page of fewer drawn lines has no table divided by them."""
SAME_PLACE_PT = 12.0


class PageTables(NamedTuple):
    """A page's tables, and whether nothing but headers and footers stands above the first and below the last."""

    page: int
    tables: tuple[Table, ...]
    is_first_on_top: bool = False
    is_last_at_end: bool = False


class Joined(NamedTuple):
    """A table with the page of each of its rows; ``header`` is the first of these, where it is one."""

    rows: tuple[tuple[int, tuple[str, ...]], ...]
    header: tuple[str, ...] | None
    is_ruled: bool


def tables_by_page(document: Any, data: bytes, n_pages: int) -> Iterator[PageTables]:
    """Yield the tables of the first pages; pdfplumber is asked about pages alone on which rules are drawn."""
    import pypdfium2.raw as pdfium

    plumber = Plumber(data)
    for index in range(n_pages):
        page = pdfium.FPDF_LoadPage(document.raw, index)
        if not page:
            continue
        text_page = pdfium.FPDFText_LoadPage(page)
        try:
            view = View(page, text_page, page_text(text_page))
            rows = visual_rows(view)
            is_plain = bool(rows) and not view.turn and not view.is_mirrored
            ruled = plumber.tables(index) if is_plain and look_at(page).n_paths >= MIN_RULES else []
            yield _on_page(index + 1, rows, find_tables(rows, ruled), view)
        finally:
            pdfium.FPDFText_ClosePage(text_page)
            pdfium.FPDF_ClosePage(page)
    plumber.close()


def join_tables(pages: Iterable[PageTables]) -> list[Joined]:
    """Return every table; one that ends a page and goes on at the top of the next, in the same columns, is one."""
    found: list[Joined] = []
    above: PageTables | None = None
    for page in pages:
        for number, table in enumerate(page.tables):
            rows = tuple((page.page, row) for row in table.rows)
            is_next = number == 0 and page.is_first_on_top and above is not None and above.is_last_at_end and above.page == page.page - 1
            if is_next and above and _goes_on(above.tables[-1], table):
                is_repeated = table.rows[0] == found[-1].rows[0][1]
                found[-1] = found[-1]._replace(rows=found[-1].rows + (rows[1:] if is_repeated else rows))
            else:
                found.append(Joined(rows, table.header, table.is_ruled))
        above = page if page.tables else None
    return found


def _goes_on(table: Table, other: Table) -> bool:
    is_alike = len(table.rows[0]) == len(other.rows[0]) and table.is_ruled == other.is_ruled
    return is_alike and abs(table.box[0] - other.box[0]) < SAME_PLACE_PT and abs(table.box[2] - other.box[2]) < SAME_PLACE_PT


def _on_page(number: int, rows: Sequence[Row], tables: Sequence[Table], view: View) -> PageTables:
    """Put the tables beside what stands above and below them: in the bands at the page's edges it does not count."""
    if not tables:
        return PageTables(number, ())
    band = BAND * (view.top - view.bottom)
    outside = [piece.box for row in rows for piece in row if not any(is_in(piece.box, table.box) for table in tables)]
    outside = [box for box in outside if view.bottom + band < box[3] and box[1] < view.top - band]
    is_first = all(box[3] <= tables[0].box[3] for box in outside)
    return PageTables(number, tuple(tables), is_first, all(box[1] >= tables[-1].box[1] for box in outside))


class Plumber:
    """pdfplumber's view of the document, opened when it is first asked; what it cannot read has no rules."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._document: Any = None

    def tables(self, index: int) -> list[Table]:
        """Return the tables that rules divide on a page."""
        import pdfplumber

        logging.getLogger("pdfminer").setLevel(logging.CRITICAL)
        try:
            self._document = self._document or pdfplumber.open(BytesIO(self._data))
            page = self._document.pages[index]
            found = list(ruled_tables(page))
            page.close()
        except MemoryError:
            raise
        except Exception:  # whatever a damaged page makes of it
            return []
        return found

    def close(self) -> None:
        """Let go of the document."""
        if self._document:
            with suppress(Exception):  # it looks at the damaged pages once more
                self._document.close()
