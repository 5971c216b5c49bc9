"""A source as a DOCX, with fixed dates inside the file and in its archive."""

import datetime as dt
import io
import zipfile

import docx
from docx.document import Document
from docx.enum.text import WD_ALIGN_PARAGRAPH
from docx.shared import Pt
from docx.text.paragraph import Paragraph

from rendering.source import Block, Source

SAVED_AT = dt.datetime(2026, 3, 2, 9, 0, 0)


def render_docx(source: Source) -> bytes:
    """Return the document as a DOCX; the head may name font, size, title and author."""
    document = docx.Document()
    style = document.styles["Normal"]
    style.font.name, style.font.size = source.settings.get("font", "Calibri"), Pt(source.settings.get("size", 11))
    properties = document.core_properties
    properties.title, properties.author = source.settings.get("title", ""), source.settings.get("author", "")
    properties.created = properties.modified = SAVED_AT
    properties.comments = ""
    for block in source.blocks:
        _add(document, block)
    out = io.BytesIO()
    document.save(out)
    return repacked(out.getvalue())


def repacked(data: bytes) -> bytes:
    """Return the same archive with every member dated alike."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        for info in old.infolist():
            member = zipfile.ZipInfo(info.filename, SAVED_AT.timetuple()[:6])
            member.compress_type = zipfile.ZIP_DEFLATED
            new.writestr(member, old.read(info))
    return out.getvalue()


def _add(document: Document, block: Block) -> None:
    if block.kind in ("title", "heading"):
        document.add_heading(block.lines[0], 1 if block.kind == "title" else 2)
    elif block.kind == "break":
        document.add_page_break()
    elif block.kind == "bullets":
        for line in block.lines:
            _write(document.add_paragraph(style="List Bullet"), line)
    elif block.kind == "table":
        table = document.add_table(len(block.rows), len(block.rows[0]), style="Light Grid Accent 1")
        for row, cells in zip(table.rows, block.rows, strict=True):
            for cell, text in zip(row.cells, cells, strict=True):
                _write(cell.paragraphs[0], text)
    else:
        paragraph = document.add_paragraph()
        if block.kind == "right":
            paragraph.alignment = WD_ALIGN_PARAGRAPH.RIGHT
        _write(paragraph, block.lines[0])


def _write(paragraph: Paragraph, text: str) -> None:
    for n, part in enumerate(text.split("**")):
        if part:
            paragraph.add_run(part).bold = bool(n % 2)
