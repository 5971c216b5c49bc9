"""A source as a PDF with a text layer: one or two columns, tables, Western or Japanese type.

Streams stay uncompressed: the same bytes come out whatever zlib Python was built with.
"""

import io
from pathlib import Path
from typing import Any

import reportlab
from reportlab.lib import colors
from reportlab.lib.enums import TA_RIGHT
from reportlab.lib.pagesizes import A4, LETTER
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import (
    BaseDocTemplate,
    Flowable,
    Frame,
    FrameBreak,
    NextPageTemplate,
    PageBreak,
    PageTemplate,
    Paragraph,
    Spacer,
    Table,
)

from rendering.source import Block, Source

BOLD = {"Helvetica": "Helvetica-Bold", "Times-Roman": "Times-Bold", "Vera": "Vera-Bold", "Courier": "Courier-Bold"}
PAPER = {"a4": A4, "letter": LETTER, "screen": (170 * mm, 110 * mm), "slip": (90 * mm, 150 * mm)}
MARGIN = 20 * mm


def render_pdf(source: Source) -> bytes:
    """Return the document as a PDF; the head may name font, size, paper, layout, footer, title and author."""
    settings = source.settings
    out = io.BytesIO()
    paper = PAPER[settings.get("paper", "a4")]
    document = BaseDocTemplate(
        out,
        pagesize=paper,
        invariant=1,
        pageCompression=0,
        title=settings.get("title", ""),
        author=settings.get("author", ""),
        producer="Sample Office 4",
    )
    margin = MARGIN if paper in (A4, LETTER) else 8 * mm
    story = _story(source)
    document.addPageTemplates(_templates(document, settings, margin))
    document.build(story)
    return out.getvalue()


def _templates(document: BaseDocTemplate, settings: dict[str, Any], margin: float) -> list[PageTemplate]:
    width, height = document.pagesize
    inner, top = width - 2 * margin, height - margin

    def foot(canvas: Canvas, _: BaseDocTemplate) -> None:
        if settings.get("footer"):
            canvas.setFont(_font(settings), 7)
            canvas.setFillGray(0.35)
            canvas.drawString(margin, 11 * mm, settings["footer"])
            canvas.drawRightString(width - margin, 11 * mm, str(canvas.getPageNumber()))

    if settings.get("layout") != "two-columns":
        return [PageTemplate("plain", [Frame(margin, margin, inner, height - 2 * margin, 0, 0, 0, 0)], onPage=foot)]
    gap, title_height = 8 * mm, settings.get("title_height", 24) * mm
    column = (inner - gap) / 2

    def columns(height_: float) -> list[Frame]:
        return [Frame(margin + n * (column + gap), margin, column, height_, 0, 0, 0, 0) for n in (0, 1)]

    head = Frame(margin, top - title_height, inner, title_height, 0, 0, 0, 0)
    first = [head, *columns(height - 2 * margin - title_height)]
    return [PageTemplate("first", first, onPage=foot), PageTemplate("later", columns(height - 2 * margin), onPage=foot)]


def _story(source: Source) -> list[Flowable]:
    styles = _styles(source.settings)
    story: list[Flowable] = []
    is_two_columns = source.settings.get("layout") == "two-columns"
    if is_two_columns:
        story.append(NextPageTemplate("later"))
    for number, block in enumerate(source.blocks):
        story += _flowables(block, styles, source.settings)
        if is_two_columns and number == source.settings.get("title_blocks", 1) - 1:
            story.append(FrameBreak())
    return story


def _flowables(block: Block, styles: dict[str, ParagraphStyle], settings: dict[str, Any]) -> list[Flowable]:
    if block.kind == "break":
        return [FrameBreak() if settings.get("layout") == "two-columns" else PageBreak()]
    if block.kind == "table":
        return [_table(block, styles, settings), Spacer(0, 8)]
    if block.kind == "bullets":
        return [Paragraph(_marked(line), styles["bullets"], bulletText="\u2022") for line in block.lines] + [Spacer(0, 5)]
    return [Paragraph(_marked(line), styles[block.kind]) for line in block.lines]


def _table(block: Block, styles: dict[str, ParagraphStyle], settings: dict[str, Any]) -> Table:
    """A column of figures is set right; ``columns`` in the head has the widths in millimetres."""
    head, *body = block.rows
    widths = settings.get("columns", {}).get(len(head))
    sides = ["figure" if all(_is_figure(cell) for cell in column if cell) else "cell" for column in zip(*body, strict=True)]
    rows = [[f"**{name}**" for name in head], *body]
    cells = [[Paragraph(_marked(text), styles[side]) for text, side in zip(row, sides, strict=True)] for row in rows]
    lines = [("VALIGN", (0, 0), (-1, -1), "TOP"), ("BOTTOMPADDING", (0, 0), (-1, -1), 2), ("TOPPADDING", (0, 0), (-1, -1), 2)]
    if settings.get("rules", "lines") == "grid":
        lines += [("GRID", (0, 0), (-1, -1), 0.4, colors.grey), ("BACKGROUND", (0, 0), (-1, 0), colors.whitesmoke)]
    else:
        lines += [("LINEBELOW", (0, 0), (-1, 0), 0.8, colors.black), ("LINEBELOW", (0, -1), (-1, -1), 0.4, colors.black)]
    return Table(cells, colWidths=[w * mm for w in widths] if widths else None, style=lines, hAlign="LEFT", repeatRows=1)


def _is_figure(cell: str) -> bool:
    """Whether a cell holds an amount or a count and not words."""
    return any(c.isdigit() for c in cell) and sum(c.isalpha() for c in cell) <= 1 and not any(c in cell for c in "/:")


def _styles(settings: dict[str, Any]) -> dict[str, ParagraphStyle]:
    font, size = _font(settings), settings.get("size", 10)
    bold = BOLD.get(font, font)
    wrap = "CJK" if font.startswith("Heisei") else None
    base = ParagraphStyle("paragraph", fontName=font, fontSize=size, leading=size * 1.38, spaceAfter=size * 0.65, wordWrap=wrap)
    cell = ParagraphStyle("cell", base, fontSize=size * 0.92, leading=size * 1.18, spaceAfter=0)
    return {
        "paragraph": base,
        "title": ParagraphStyle("title", base, fontName=bold, fontSize=size * 1.8, leading=size * 2.2, spaceAfter=size),
        "heading": ParagraphStyle(
            "heading", base, fontName=bold, fontSize=size * 1.15, leading=size * 1.6, spaceBefore=size * 0.5, keepWithNext=1
        ),
        "right": ParagraphStyle("right", base, alignment=TA_RIGHT),
        "bullets": ParagraphStyle("bullets", base, leftIndent=size * 1.2, bulletIndent=2, spaceAfter=2),
        "cell": cell,
        "figure": ParagraphStyle("figure", cell, alignment=TA_RIGHT),
    }


def _font(settings: dict[str, Any]) -> str:
    """Register the font that the head names; Vera is embedded, Heisei is one of the fonts every PDF reader replaces."""
    font = str(settings.get("font", "Helvetica"))
    if font.startswith("Heisei"):
        pdfmetrics.registerFont(UnicodeCIDFont(font))
    if font == "Vera":
        folder = Path(reportlab.__file__).parent / "fonts"
        pdfmetrics.registerFont(TTFont("Vera", folder / "Vera.ttf"))
        pdfmetrics.registerFont(TTFont("Vera-Bold", folder / "VeraBd.ttf"))
        pdfmetrics.registerFontFamily("Vera", normal="Vera", bold="Vera-Bold")
    return font


def _marked(text: str) -> str:
    """Return reportlab's markup for a text: escaped, with its bold spans and line breaks."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\n", "<br/>")
    parts = escaped.split("**")
    return "".join(f"<b>{part}</b>" if n % 2 else part for n, part in enumerate(parts))
