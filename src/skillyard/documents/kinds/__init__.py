"""How each kind of document is read: one reader a kind, in one dict.

A reader takes bytes and options and returns ``Content``; what it needs beyond the standard library it imports when it is called.
"""

from collections.abc import Callable

from skillyard.documents.kinds.content import Content, ReadOptions
from skillyard.documents.kinds.docx import read_docx
from skillyard.documents.kinds.eml import read_eml
from skillyard.documents.kinds.html import read_html
from skillyard.documents.kinds.image import read_image
from skillyard.documents.kinds.msg import read_msg
from skillyard.documents.kinds.pdf import read_pdf
from skillyard.documents.kinds.pptx import read_pptx
from skillyard.documents.kinds.tar import read_tar
from skillyard.documents.kinds.text import read_csv, read_md, read_text
from skillyard.documents.kinds.xlsx import read_xlsx
from skillyard.documents.kinds.zip import read_zip

__all__ = ["READERS", "Content", "ReadOptions", "Reader", "register_reader"]

Reader = Callable[[bytes, ReadOptions], Content]

READERS: dict[str, Reader] = {
    "pdf": read_pdf,
    "docx": read_docx,
    "xlsx": read_xlsx,
    "pptx": read_pptx,
    "html": read_html,
    "eml": read_eml,
    "msg": read_msg,
    "csv": read_csv,
    "md": read_md,
    "txt": read_text,
    "image": read_image,
    "zip": read_zip,
    "tar": read_tar,
}


def register_reader(kind: str, reader: Reader) -> None:
    """Read documents of this kind so from now on, in this process."""
    READERS[kind] = reader
