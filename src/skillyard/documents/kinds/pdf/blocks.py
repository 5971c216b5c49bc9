"""A PDF's pages as blocks with a role and a place: titles, headings, paragraphs, lists, tables, figures, headers and footers.

By geometry alone: type larger than the text, room between lines, marks of lists, the tables of ``grids``, images. Blocks stand in the order
in which the page's text does.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import inf
from typing import Any, NamedTuple

from skillyard.documents.decoding import clean
from skillyard.documents.kinds.pdf.drawn import look_at
from skillyard.documents.kinds.pdf.furniture import find_furniture
from skillyard.documents.kinds.pdf.grids import Table, around, find_tables, is_in, visual_rows
from skillyard.documents.kinds.pdf.headings import body_size, find_headings
from skillyard.documents.kinds.pdf.lines import MAX_BOXES, Box, Line, Spot, View, all_lines, look_over, page_text
from skillyard.documents.kinds.pdf.paged_tables import MIN_RULES, Plumber
from skillyard.documents.kinds.pdf.usable import is_unmapped, plain_lines

MIN_FIGURE_SHARE = 0.01
PARAGRAPH_PITCH, LIST_SPACE = 1.3, 1.5
"""Lines further apart than so many times what is usual belong to two paragraphs; items of a list may stand further apart by that much."""
OTHER_SIZE = 1.6
INDENT_PT, TOUCH_PT = 2.0, 2.0
MAX_FIGURES = 300
LIST_MARK = re.compile(r"(?:[•◦▪▫‣⁃∙●○■□–—*·-]|\(?(?:\d{1,3}|[a-zA-Z]|[ivx]{1,4})[.)])\s+\S")


class Block(NamedTuple):
    """A block of a page. The box is left, top, right, bottom in points from the upper left corner of the page as it is looked at."""

    page: int
    role: str
    level: int | None
    box: Box
    text: str


class _Look(NamedTuple):
    """A page as far as it can be read without the others."""

    page: int
    text: str
    lines: tuple[Line, ...]
    tables: tuple[Table, ...]
    figures: tuple[Box, ...]
    edges: tuple[Spot, ...]
    titles: tuple[Spot, ...]
    limit: float
    """Lines whose middles lie further apart belong to two paragraphs."""
    body: float
    frame: Box
    is_mirrored: bool


class Layout(NamedTuple):
    """All blocks, and the size of each page in points."""

    blocks: list[Block]
    sizes: list[tuple[float, float]]


def read_layout(document: Any, data: bytes, n_pages: int) -> Layout:
    """Return the blocks of the first pages."""
    plumber = Plumber(data)
    looks = [_look(document, index, plumber) for index in range(n_pages)]
    plumber.close()
    furniture = find_furniture([[((s.line.box[1] + s.line.box[3]) / 2, s) for s in look.edges] for look in looks])
    repeated = [{spot.line.start for spot in spots} for spots in furniture]
    body = body_size(look.body for look in looks)
    titles = [[spot for spot in look.titles if spot.line.start not in starts] for look, starts in zip(looks, repeated, strict=True)]
    blocks: list[Block] = []
    for look, starts, found in zip(looks, repeated, find_headings(titles, body), strict=True):
        blocks += _blocks(look, starts, {spot.line.start: level for level, spot in found})
    sizes = [(round(look.frame[2] - look.frame[0], 1), round(look.frame[3] - look.frame[1], 1)) for look in looks]
    return Layout(_with_title(blocks), sizes)


def _look(document: Any, index: int, plumber: Plumber) -> _Look:
    import pypdfium2.raw as pdfium

    page = pdfium.FPDF_LoadPage(document.raw, index)
    if not page:
        return _Look(index + 1, "", (), (), (), (), (), 0.0, 0.0, (0.0, 0.0, 0.0, 0.0), False)
    text_page = pdfium.FPDFText_LoadPage(page)
    try:
        return _seen(View(page, text_page, page_text(text_page)), page, index, plumber)
    finally:
        pdfium.FPDFText_ClosePage(text_page)
        pdfium.FPDF_ClosePage(page)


def _seen(view: View, page: Any, index: int, plumber: Plumber) -> _Look:
    drawn, frame = look_at(page), (view.left, view.bottom, view.right, view.top)
    smallest = MIN_FIGURE_SHARE * drawn.area
    figures = tuple(_turned(box, view) for box in _together(drawn.images) if (box[2] - box[0]) * (box[3] - box[1]) >= smallest)
    boxes = view.boxes()
    if not boxes or len(boxes) > MAX_BOXES or is_unmapped(view.text):
        text = "" if is_unmapped(view.text) else view.text
        whole = (Line(0, len(text), text, frame),) if text.strip() else ()
        return _Look(index + 1, text, whole, (), figures, (), (), 0.0, 0.0, frame, view.is_mirrored)
    is_plain = not view.turn and not view.is_mirrored
    tables = find_tables(visual_rows(view), plumber.tables(index) if is_plain and drawn.n_paths >= MIN_RULES else [])
    over = look_over(boxes, view.bottom, view.top)
    widest = view.spot(over.widest)
    edges = tuple(spot for box in over.edges if (spot := view.spot(box)))
    lines = tuple(line for line in all_lines(view) if line.text.strip())
    free = [line for line in lines if not any(is_in(line.box, table.box) for table in tables)]
    limit = _limit(free)
    apart = [line for above, line in zip([None, *free], free, strict=False) if above is None or not 0 < _pitch(above, line) <= limit]
    titles = tuple(spot._replace(line=line) for line in apart if (spot := view.spot(line.box)))
    body = widest.size if widest else 0.0
    return _Look(index + 1, view.text, lines, tuple(tables), figures, edges, titles, limit, body, frame, view.is_mirrored)


def _pitch(above: Line, line: Line) -> float:
    """Return how far a line stands below another; from middle to middle, as boxes are as high as their letters happen to be."""
    return (above.box[1] + above.box[3] - line.box[1] - line.box[3]) / 2


def _limit(lines: Sequence[Line]) -> float:
    """Return the largest distance of two lines of one paragraph, by what is usual on the page."""
    pitches = [(_pitch(above, line), line.box[3] - line.box[1]) for above, line in pairwise(lines) if _overlaps(above, line)]
    usual = sorted(pitch for pitch, height in pitches if 0 < pitch < 3 * max(height, 4))
    return PARAGRAPH_PITCH * usual[len(usual) // 4] if usual else 0.0


def _overlaps(line: Line, other: Line) -> bool:
    return min(line.box[2], other.box[2]) > max(line.box[0], other.box[0])


def _together(boxes: Sequence[Box]) -> list[Box]:
    """Return the boxes of images with those that touch, such as the strips of a scan, put into one."""
    merged: list[Box] = []
    for box in boxes[:MAX_FIGURES]:
        while (touching := next((n for n, other in enumerate(merged) if _touches(box, other)), None)) is not None:
            box = around([box, merged.pop(touching)])
        merged.append(box)
    return merged


def _touches(box: Box, other: Box) -> bool:
    return all(box[at] <= other[at + 2] + TOUCH_PT and other[at] <= box[at + 2] + TOUCH_PT for at in (0, 1))


def _turned(box: Box, view: View) -> Box:
    """Return a box of the file as the page is looked at."""
    left, bottom, right, top = box
    for _ in range(view.turn):
        left, bottom, right, top = bottom, -right, top, -left
    return (-right, bottom, -left, top) if view.is_mirrored else (left, bottom, right, top)


def _blocks(look: _Look, furniture: set[int], levels: dict[int, int]) -> list[Block]:
    """Return a page's blocks in the order of its text, headers first and footers last, a figure behind what is above it."""
    found: list[tuple[float, Block]] = []
    middle = (look.frame[1] + look.frame[3]) / 2
    starts: dict[int, int] = {}
    free: list[Line] = []
    for line in look.lines:
        number = next((n for n, table in enumerate(look.tables) if is_in(line.box, table.box)), None)
        if number is not None:
            starts.setdefault(number, line.start)
        elif line.start in furniture:
            is_above = (line.box[1] + line.box[3]) / 2 > middle
            found.append((-1.0 if is_above else inf, _block(look, "header" if is_above else "footer", None, [line])))
        else:
            free.append(line)
    for role, level, lines in _grouped(free, levels, look.limit):
        found.append((lines[0].start, _block(look, role, level, lines)))
    for number, table in enumerate(look.tables):
        text = "\n".join("\t".join(row) for row in table.rows)
        found.append((starts.get(number, 0), Block(look.page, "table", None, _from_top(table.box, look), text)))
    for box in look.figures:
        above = [line.start for line in look.lines if line.box[1] >= box[3] - 1]
        found.append((max(above, default=-1) + 0.5, Block(look.page, "figure", None, _from_top(box, look), "")))
    return [block for _, block in sorted(found, key=lambda one: one[0])]


def _grouped(lines: Sequence[Line], levels: dict[int, int], limit: float) -> Iterator[tuple[str, int | None, list[Line]]]:
    """Yield role, level and lines of headings, lists and paragraphs."""
    run: list[Line] = []
    kind = ""
    for line in lines:
        level = levels.get(line.start)
        if level is not None:
            if run:
                yield kind, None, run
            yield "heading", level, [line]
            run = []
            continue
        own = "list" if LIST_MARK.match(line.text.strip()) else "paragraph"
        if run and _goes_on(run, kind, line, own, limit):
            run.append(line)
            continue
        if run:
            yield kind, None, run
        run, kind = [line], own
    if run:
        yield kind, None, run


def _goes_on(run: Sequence[Line], kind: str, line: Line, own: str, limit: float) -> bool:
    """Return whether a line belongs to the list or paragraph before it."""
    last = run[-1]
    heights = last.box[3] - last.box[1], line.box[3] - line.box[1]
    far = (LIST_SPACE if kind == own == "list" else 1.0) * limit
    if not 0 < _pitch(last, line) <= far or max(heights) > OTHER_SIZE * max(min(heights), 4.0) or not _overlaps(last, line):
        return False
    if kind == "list":
        return own == "list" or line.box[0] >= run[0].box[0] + INDENT_PT
    return own == "paragraph"


def _block(look: _Look, role: str, level: int | None, lines: Sequence[Line]) -> Block:
    raw = "\n".join(look.text[line.start : line.end] for line in lines)
    text = clean(plain_lines(raw))
    if role == "list":
        parts: list[str] = []
        for line in text.split("\n"):
            if not parts or LIST_MARK.match(line.strip()):
                parts.append(line.strip())
            else:
                parts[-1] += f" {line.strip()}"
        text = "\n".join(parts)
    else:
        text = " ".join(text.split())
    return Block(look.page, role, level, _from_top(around([line.box for line in lines]), look), text)


def _from_top(box: Box, look: _Look) -> Box:
    left, bottom, right, top = box
    edge = look.frame[0]
    if look.is_mirrored:
        left, right, edge = -right, -left, -look.frame[2]
    return (round(left - edge, 1), round(look.frame[3] - top, 1), round(right - edge, 1), round(look.frame[3] - bottom, 1))


def _with_title(blocks: list[Block]) -> list[Block]:
    """Make the first heading of the highest level on the first page the title."""
    first = [n for n, block in enumerate(blocks) if block.page == 1 and block.role == "heading" and block.level == 1]
    if first:
        blocks[first[0]] = blocks[first[0]]._replace(role="title", level=None)
    return blocks
