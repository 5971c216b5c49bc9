"""What a deck says: titles, text, tables and notes, slide by slide."""

from collections.abc import Iterable, Iterator, Mapping
from io import BytesIO
from typing import Any

from skillyard.documents.archive import check_archive
from skillyard.documents.decoding import clean
from skillyard.documents.drawings import chart_lines, diagram_lines
from skillyard.documents.encryption import decrypt_office
from skillyard.documents.result import Refused
from skillyard.documents.sniff import sniff
from skillyard.skills import Source

MAX_SLIDES, MAX_CHARS = 2_000, 2_000_000
FURNITURE = ("SLIDE_NUMBER", "DATE", "FOOTER")
DIAGRAM_IDS = "{http://schemas.openxmlformats.org/drawingml/2006/diagram}relIds"
DIAGRAM_DATA = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}dm"
Tables = list[list[list[str]]]


def handle(source: Source, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the slides with their text and notes, and all tables."""
    presentation = _open(decrypt_office(source.data, ()))
    slides: list[dict[str, Any]] = []
    tables: Tables = []
    n_chars, is_cut = 0, False
    try:
        n_slides = len(presentation.slides)
        for number, slide in enumerate(presentation.slides, 1):
            n_tables = len(tables)
            found = _slide(number, slide, tables)
            size = sum(len(found[name] or "") for name in ("title", "text", "notes"))
            is_cut = number > MAX_SLIDES or n_chars + size > MAX_CHARS
            if is_cut:
                del tables[n_tables:]
                break
            n_chars += size
            slides.append({**found, "table_numbers": list(range(n_tables, len(tables)))})
    except MemoryError:
        raise
    except Exception as error:  # the library raises all sorts for parts that are missing
        raise Refused("corrupt", f"{type(error).__name__}: {error}") from error
    return {"slides": slides, "tables": tables, "n_slides": n_slides, "n_chars": n_chars, "is_cut": is_cut}


def _open(data: bytes) -> Any:
    """Return the presentation; ``Refused`` when the bytes are none, or are damaged."""
    from pptx.package import Package

    if sniff(data, "").kind != "pptx":
        raise Refused("unsupported_type", "the content is no PowerPoint presentation of 2007 or later")
    check_archive(data)
    try:
        return Package.open(BytesIO(data)).main_document_part.presentation  # also of slide shows, which Presentation() refuses
    except MemoryError:
        raise
    except Exception as error:  # the library raises all sorts for damage
        raise Refused("corrupt", f"{type(error).__name__}: {error}") from error


def _slide(number: int, slide: Any, tables: Tables) -> dict[str, Any]:
    title = slide.shapes.title
    texts = [text for shape in _flat(slide.shapes) if shape != title for text in _texts(shape, slide, tables)]
    notes = slide.notes_slide.notes_text_frame if slide.has_notes_slide else None
    return {
        "number": number,
        "title": (_line(title.text_frame.text) or None) if title is not None else None,
        "text": clean("\n".join(filter(None, texts))),
        "notes": (_block(notes) or None) if notes is not None else None,
        "is_hidden": slide._element.get("show") in ("0", "false"),
    }


def _flat(shapes: Iterable[Any]) -> Iterator[Any]:
    """Yield the shapes, those in groups at the place of the group."""
    from pptx.shapes.group import GroupShape

    for shape in shapes:
        if isinstance(shape, GroupShape):
            yield from _flat(shape.shapes)
        elif not (shape.is_placeholder and shape.placeholder_format.type is not None and shape.placeholder_format.type.name in FURNITURE):
            yield shape


def _texts(shape: Any, slide: Any, tables: Tables) -> Iterator[str]:
    """Yield the texts of one shape; a table is put to the others as well."""
    if shape.has_text_frame:
        yield _block(shape.text_frame)
    elif shape.has_table:
        rows = [["" if cell.is_spanned else _block(cell.text_frame) for cell in row.cells] for row in shape.table.rows]
        if any(map(any, rows)):
            tables.append(rows)
            yield from (" | ".join(_line(cell) for cell in row) for row in rows)
    elif shape.has_chart:
        yield from chart_lines(shape.chart.part.blob)
    else:
        for ids in shape._element.iter(DIAGRAM_IDS):
            yield from diagram_lines(slide.part.related_part(ids.get(DIAGRAM_DATA)).blob)


def _block(frame: Any) -> str:
    """Return a text frame's paragraphs as lines; a line break within one is a line end, too."""
    return clean(frame.text.replace("\v", "\n"))


def _line(text: str) -> str:
    return " ".join(clean(text.replace("\v", " ")).split())
