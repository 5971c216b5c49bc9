"""A Word document's XML as paragraphs, tables and text.

With content controls, text boxes and tracked changes, which python-docx passes over.
"""

from collections.abc import Iterator
from io import BytesIO
from typing import Any

from skillyard.documents.archive import check_archive
from skillyard.documents.decoding import clean
from skillyard.documents.encryption import decrypt_office
from skillyard.documents.result import Refused
from skillyard.documents.sniff import sniff

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
"""The same text a second time, for older programs."""
PARAGRAPH, TABLE, BOX = f"{W}p", f"{W}tbl", f"{W}txbxContent"
GONE = (f"{W}del", f"{W}moveFrom", FALLBACK)
WRAPPERS = (f"{W}sdt", f"{W}sdtContent", f"{W}customXml", f"{W}smartTag", f"{W}ins", f"{W}moveTo")
SIGNS = {f"{W}tab": "\t", f"{W}br": "\n", f"{W}cr": "\n", f"{W}noBreakHyphen": "-"}
MAIN = "application/vnd.{}.main+xml"
VARIANTS = (
    MAIN.format("openxmlformats-officedocument.wordprocessingml.template"),
    MAIN.format("ms-word.document.macroEnabled"),
    MAIN.format("ms-word.template.macroEnabledTemplate"),
)
"""Templates, and documents with macros, which are never run."""


def open_word(data: bytes) -> Any:
    """Return python-docx's document; ``Refused`` when the bytes are none, are encrypted or damaged."""
    from docx.opc.part import PartFactory
    from docx.package import Package
    from docx.parts.document import DocumentPart

    if sniff(plain := decrypt_office(data, ()), "").kind != "docx":
        raise Refused("unsupported_type", "the content is no Word document of 2007 or later")
    check_archive(plain)
    for variant in VARIANTS:
        PartFactory.part_type_for.setdefault(variant, DocumentPart)
    try:
        document: Any = Package.open(BytesIO(plain)).main_document_part.document
        if document.element.body is None:
            raise ValueError("the document has no body")
        return document
    except MemoryError:
        raise
    except Exception as error:  # the library raises all sorts for damage
        raise Refused("corrupt", f"{type(error).__name__}: {error}") from error


def blocks_of(parent: Any) -> Iterator[Any]:
    """Yield paragraphs and tables in order, those in text boxes after the paragraph that holds them."""
    for child in parent:
        if child.tag in WRAPPERS:
            yield from blocks_of(child)
        elif child.tag in (PARAGRAPH, TABLE):
            yield child
        if child.tag == PARAGRAPH:
            for box in child.iter(BOX):
                if not any(above.tag in (*GONE, BOX) for above in _between(box, child)):
                    yield from blocks_of(box)


def text_of(element: Any) -> str:
    """Return the text below an element as it would stand with every tracked change accepted, without text boxes."""
    return clean("".join(pieces_of(element)))


def rows_of(table: Any) -> list[list[str]]:
    """Return a table's rows of cells; those that a cell spans beside the first are empty. Deleted rows are left out."""
    rows = []
    for row in _below(table, f"{W}tr"):
        if row.find(f"{W}trPr/{W}del") is None:
            rows.append([text for cell in _below(row, f"{W}tc") for text in (_text_of_cell(cell), *[""] * (_span(cell) - 1))])
    return rows


def commented(body: Any, max_pieces: int) -> dict[str, list[str]]:
    """Return by a comment's id the first pieces of the text in its range."""
    about: dict[str, list[str]] = {}
    is_open: dict[str, None] = {}
    for element in body.iter(PARAGRAPH, f"{W}r", f"{W}commentRangeStart", f"{W}commentRangeEnd"):
        if element.tag == f"{W}commentRangeStart":
            is_open[element.get(f"{W}id", "")] = None
        elif element.tag == f"{W}commentRangeEnd":
            is_open.pop(element.get(f"{W}id", ""), None)
        elif is_open and not any(above.tag in GONE for above in element.iterancestors()):
            text = "\n" if element.tag == PARAGRAPH else "".join(pieces_of(element))
            for number in [*is_open]:
                about.setdefault(number, []).append(text)
                if len(about[number]) == max_pieces:
                    del is_open[number]
    return about


def _between(element: Any, top: Any) -> Iterator[Any]:
    for above in element.iterancestors():
        if above is top:
            return
        yield above


def pieces_of(element: Any) -> Iterator[str]:
    """Yield the text below an element in order; paragraphs below it end with a line."""
    for child in element:
        if child.tag in (f"{W}t", f"{W}delText"):
            yield child.text or ""
        elif child.tag in SIGNS and element.tag == f"{W}r":
            yield SIGNS[child.tag]
        elif child.tag not in (*GONE, BOX):
            yield from pieces_of(child)
            if child.tag == PARAGRAPH:
                yield "\n"


def _below(parent: Any, tag: str) -> Iterator[Any]:
    for child in parent:
        if child.tag == tag:
            yield child
        elif child.tag in WRAPPERS:
            yield from _below(child, tag)


def _text_of_cell(cell: Any) -> str:
    merged = cell.find(f"{W}tcPr/{W}vMerge")
    return "" if merged is not None and merged.get(f"{W}val") != "restart" else text_of(cell)


def _span(cell: Any) -> int:
    found = cell.find(f"{W}tcPr/{W}gridSpan")
    value = found.get(f"{W}val", "1") if found is not None else "1"
    return min(max(int(value), 1), 63) if value.isdecimal() else 1
