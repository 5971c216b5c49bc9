"""PDF, page by page, by pypdfium2."""

import re
from typing import Any

from skillyard.documents.kinds.content import Content, PageContent, ReadOptions
from skillyard.documents.result import Refused

MIN_PAGE_CHARS = 20
MAX_UNMAPPED_SHARE = 0.05
UNMAPPED = re.compile(r"[\ufffd\ue000-\uf8ff\x00\x01\x03-\x08\x0b\x0e-\x1f]")
"""What a font without a character map yields instead of letters."""
LINE_END_HYPHEN = re.compile(r"[\x02\ufffe](?:\r?\n)?(?=([a-z\u00df-\u00ff])?)")
FORMAT_ERROR, PASSWORD_ERROR, SECURITY_ERROR = 3, 4, 5
"""FPDF_ERR_* of pdfium."""


def read_pdf(data: bytes, options: ReadOptions) -> Content:
    """Return one text a page; a page with hardly any, or hardly any that can be mapped to characters, counts as scanned."""
    document = _open(data)
    try:
        if len(document) == 0:
            raise Refused("corrupt", "a PDF without a page")
        pages = tuple(_read_page(document, index) for index in range(len(document)))
        if all(page.status == "unreadable" for page in pages):
            raise Refused("corrupt", f"none of its {len(pages)} pages can be loaded")
        return Content(pages, title=document.get_metadata_value("Title"))
    finally:
        document.close()


def _open(data: bytes) -> Any:
    import pypdfium2

    try:
        return pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        start = data.find(b"%PDF-")
        if error.err_code == FORMAT_ERROR and start > 0:
            return _open(data[start:])
        if error.err_code in (PASSWORD_ERROR, SECURITY_ERROR):
            raise Refused("password_required", "an encrypted PDF") from error
        raise Refused("corrupt", f"a damaged PDF: {error}") from error


def _read_page(document: Any, index: int) -> PageContent:
    import pypdfium2

    try:
        page = document[index]
        try:
            text_page = page.get_textpage()
            try:
                return PageContent(usable_text(text_page.get_text_bounded()), "pypdfium2")
            finally:
                text_page.close()
        finally:
            page.close()
    except pypdfium2.PdfiumError:
        return PageContent("", "pypdfium2", status="unreadable")


def usable_text(text: str) -> str:
    """Return the page's text with words joined over line ends, or nothing when it reads like a scan."""
    if len(text.strip()) < MIN_PAGE_CHARS or len(UNMAPPED.findall(text)) > len(text) * MAX_UNMAPPED_SHARE:
        return ""
    text = LINE_END_HYPHEN.sub(lambda found: "" if found.group(1) else "-", text)
    return re.sub(r"[\x00-\x08\x0b\x0e-\x1f]", " ", text)
