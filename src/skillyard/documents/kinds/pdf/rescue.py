"""The second reader, for documents and pages that pdfium cannot load: pypdf, slow but patient."""

import logging
from io import BytesIO
from typing import Any

from skillyard.documents.kinds.content import PageContent
from skillyard.documents.kinds.pdf.usable import is_unmapped, plain_lines
from skillyard.documents.result import Refused

PARSER = "pypdf"
LEVEL = 2


class SecondReader:
    """A document as pypdf reads it; nothing that its bytes hold raises anything but ``Refused``."""

    def __init__(self, data: bytes, password: str = "") -> None:
        from pypdf import PdfReader

        logging.getLogger("pypdf").setLevel(logging.CRITICAL)
        try:
            self._reader = PdfReader(BytesIO(data), strict=False, password=password or None)
            self.n_pages = len(self._reader.pages)
        except (MemoryError, ImportError):
            raise
        except Exception as error:  # whatever a damaged file makes of it
            raise Refused("corrupt", f"a damaged PDF: {type(error).__name__}: {error}") from error

    def page(self, index: int) -> PageContent:
        """Return one page; ``unreadable`` when pypdf cannot load it either."""
        try:
            text = self._text(index)
        except (MemoryError, ImportError):
            raise
        except Exception:  # whatever a damaged page makes of it
            return PageContent("", PARSER, status="unreadable", rescue_level=LEVEL)
        return PageContent("" if is_unmapped(text) else plain_lines(text), PARSER, rescue_level=LEVEL)

    def _text(self, index: int) -> str:
        page: Any = self._reader.pages[index]
        return str(page.extract_text())
