"""PDF, page by page: by pypdfium2, by pypdf what pdfium cannot load, by OCR what shows text without holding it.

Rescue levels: 0 as it is, 1 without the bytes before ``%PDF-``, 2 by the second reader.
"""

from collections.abc import Iterator
from typing import Any

from skillyard.documents.kinds.content import Content, PageContent, ReadOptions
from skillyard.documents.result import Refused

__all__ = ["MAX_PAGES", "read_pdf"]

MAX_PAGES = 5_000
FORMAT_ERROR, PASSWORD_ERROR, SECURITY_ERROR = 3, 4, 5
"""FPDF_ERR_* of pdfium."""


def read_pdf(data: bytes, options: ReadOptions) -> Content:
    """Return the pages with headers, footers, headings and tables apart.

    ``Refused`` when none can be loaded (corrupt), when no password fits (password_required), or with over ``MAX_PAGES`` pages.
    """
    import pypdfium2

    try:
        document, level, password = _open(data, options.passwords)
    except pypdfium2.PdfiumError as error:
        return _rescued(data, options.passwords, f"a damaged PDF: {error}")
    try:
        return _read(document, data, level, password, has_ocr=options.has_ocr)
    finally:
        document.close()


def _open(data: bytes, passwords: tuple[str, ...]) -> tuple[Any, int, str]:
    """Return the document, its rescue level and the password that opened it."""
    import pypdfium2

    start = max(data.find(b"%PDF-"), 0)
    for password in ("", *passwords):
        try:
            return pypdfium2.PdfDocument(data, password=password or None), 0, password
        except pypdfium2.PdfiumError as error:
            if error.err_code == FORMAT_ERROR and start > 0:
                document, _, password = _open(data[start:], passwords)
                return document, 1, password
            if error.err_code not in (PASSWORD_ERROR, SECURITY_ERROR):
                raise
    raise Refused("password_required", "an encrypted PDF" + (f", none of {len(passwords)} passwords fits" if passwords else ""))


def _read(document: Any, data: bytes, level: int, password: str, *, has_ocr: bool) -> Content:
    from dataclasses import replace

    from skillyard.documents.kinds.pdf.metadata import stated_metadata
    from skillyard.documents.kinds.pdf.pages import finish
    from skillyard.documents.kinds.pdf.rescue import SecondReader
    from skillyard.documents.kinds.pdf.scans import read_scan
    from skillyard.documents.language import detect_language

    n_pages = _checked_count(len(document))
    drafts = list(_drafts(document, n_pages))
    pages = finish([draft for draft in drafts if draft is not None])
    second: SecondReader | None = None
    whole: list[PageContent] = []
    read, hint = iter(pages), detect_language("\n".join(page.text for page in pages[:20]))
    for index, draft in enumerate(drafts):
        if draft is None:
            second = second or _second_reader(data, password)
            whole.append(second.page(index) if second and index < second.n_pages else PageContent("", "pypdfium2", status="unreadable"))
        else:
            page = replace(next(read), rescue_level=level) if level else next(read)
            whole.append(read_scan(document, index, page, hint) if has_ocr else page)
    if all(page.status == "unreadable" for page in whole):
        raise Refused("corrupt", f"none of its {n_pages} pages can be loaded")
    info = {key: document.get_metadata_value(key) for key in ("Title", *_info_keys())}
    return Content(tuple(whole), title=info["Title"], metadata=stated_metadata(info))


def _drafts(document: Any, n_pages: int) -> Iterator[Any]:
    """Yield each page's draft, or None for a page that cannot be loaded; one page is open at a time."""
    import pypdfium2.raw as pdfium

    from skillyard.documents.kinds.pdf.pages import draft_page

    for index in range(n_pages):
        page = pdfium.FPDF_LoadPage(document.raw, index)
        if not page:
            yield None
            continue
        text_page = pdfium.FPDFText_LoadPage(page)
        try:
            yield draft_page(page, text_page) if text_page else None
        finally:
            pdfium.FPDFText_ClosePage(text_page)
            pdfium.FPDF_ClosePage(page)


def _info_keys() -> tuple[str, ...]:
    from skillyard.documents.kinds.pdf.metadata import DATES, FIELDS

    return (*FIELDS, *DATES)


def _second_reader(data: bytes, password: str) -> Any:
    from skillyard.documents.kinds.pdf.rescue import SecondReader

    try:
        return SecondReader(data, password)
    except Refused:
        return None


def _rescued(data: bytes, passwords: tuple[str, ...], found: str) -> Content:
    """Read a document that pdfium cannot open; ``Refused`` with what pdfium found when the second reader gets nothing out of it."""
    for password in ("", *passwords):
        second = _second_reader(data, password)
        if second is not None:
            pages = tuple(second.page(index) for index in range(_checked_count(second.n_pages)))
            if any(page.text for page in pages):
                return Content(pages)
    raise Refused("corrupt", found)


def _checked_count(n_pages: int) -> int:
    if n_pages == 0:
        raise Refused("corrupt", "a PDF without a page")
    if n_pages > MAX_PAGES:
        raise Refused("too_large", f"{n_pages:,} pages, allowed are {MAX_PAGES:,}")
    return n_pages
