"""What layout needs to know of a page: where its text stands, and the few lines that may be headings, headers or footers.

Asking pdfium about a line costs as much as a hundredth of reading the page. So the boxes of all text are asked for, and lines are looked
up only where these boxes are of interest; all of them are on a page that seems to hold a table or columns drawn across.
"""

import ctypes
import re
from bisect import bisect_left
from collections import Counter
from itertools import pairwise
from operator import itemgetter
from typing import Any, NamedTuple

import pypdfium2.raw as pdfium

LINE = re.compile(r"([^\r\n\x02\ufffe]*)([\x02\ufffe]?)(?:\r?\n|\r)?")
LINE_ENDS = re.compile(r"[\r\n\x02\ufffe]")
RIGHT_TO_LEFT = re.compile(r"[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")
MAX_BOXES = 3_000
"""A page of more is a drawing or an attack: its text stays as it is."""
MAX_TITLE_CHARS = 120
MAX_TITLES, MAX_ALONE = 12, 6
"""A page where more is tall or stands alone is set that way throughout."""
BAND = 0.15
"""The share of a page's height, above and below, in which headers and footers stand."""
EDGE_GAP = 0.9
"""What stands apart is further away than so many times its own height."""
CELL_GAP = 1.1
"""Pieces of a line further apart than so many times their height may be cells of a table, or columns."""
MIN_ALIGNED = 3
"""So many pieces that begin one below the other, each to the right of what precedes it, are worth a closer look."""
TALL = 1.3
SHORT = 0.7
"""What stands alone is a heading only if it is shorter than so much of the page's widest line."""

Box = tuple[float, float, float, float]
"""Left, bottom, right, top in points, as the page is looked at; what is read from right to left is mirrored."""


class Piece(NamedTuple):
    """A part of a line that stands apart from the rest."""

    text: str
    box: Box


class Line(NamedTuple):
    """A line of the page's text from ``start`` to ``end`` (its line end not included)."""

    start: int
    end: int
    text: str
    box: Box
    pieces: tuple[Piece, ...] = ()
    """At least two, or none."""


class Spot(NamedTuple):
    """A line that was looked up."""

    line: Line
    size: float
    """Of its font as it is seen, in points."""
    is_bold: bool


class Boxes(NamedTuple):
    """What the boxes of a page tell."""

    top_edge: float
    """What lies above stands apart at the page's top."""
    bottom_edge: float
    edges: list[Box]
    titles: list[Box]
    widest: Box
    has_columns: bool


def page_text(text_page: Any) -> str:
    """Return the page's text as pdfium has it."""
    n_chars = pdfium.FPDFText_CountChars(text_page)
    if n_chars <= 0:
        return ""
    buffer = (ctypes.c_ushort * (2 * n_chars + 1))()  # a character may take two units
    n_units = pdfium.FPDFText_GetText(text_page, 0, n_chars, buffer)
    return bytes(memoryview(buffer)[: max(n_units - 1, 0)]).decode("utf-16-le", "replace")


class View:
    """A page as it is looked at: turned as it says, mirrored where it is read from right to left."""

    def __init__(self, page: Any, text_page: Any, text: str) -> None:
        self.text_page, self.text = text_page, text
        self.turn = pdfium.FPDFPage_GetRotation(page)
        self.is_mirrored = bool(RIGHT_TO_LEFT.search(text))
        self._is_plain = not self.turn and not self.is_mirrored
        self._is_indexed = len(text) != pdfium.FPDFText_CountChars(text_page)
        self._ends: list[int] = []
        self._numbers = tuple(ctypes.c_double() for _ in range(4))
        self._matrix = pdfium.FS_MATRIX()
        self._name = ctypes.create_string_buffer(128)
        area = pdfium.FS_RECTF()
        pdfium.FPDF_GetPageBoundingBox(page, area)
        self.left, self.bottom, self.right, self.top = self._turned(area.left, area.bottom, area.right, area.top)

    def boxes(self, start: int = 0, n_chars: int = -1) -> list[Box]:
        """Return the boxes of the text from one index on: one a piece of a line in one font."""
        text_page, get, found = self.text_page, pdfium.FPDFText_GetRect, []
        left, bottom, right, top = self._numbers
        for index in range(min(pdfium.FPDFText_CountRects(text_page, start, n_chars), MAX_BOXES + 1)):
            get(text_page, index, left, top, right, bottom)
            found.append((left.value, bottom.value, right.value, top.value))
        return found if self._is_plain else [self._turned(*box) for box in found]

    def hides(self, box: Box) -> bool:
        """Return whether all of it lies outside of what the page shows."""
        return box[2] <= self.left or box[0] >= self.right or box[3] <= self.bottom or box[1] >= self.top

    def hides_any(self, boxes: list[Box]) -> bool:
        """Return whether any of the boxes is hidden."""
        left, bottom, right, top = self.left, self.bottom, self.right, self.top
        return any(x1 <= left or x0 >= right or y1 <= bottom or y0 >= top for x0, y0, x1, y1 in boxes)

    def spot(self, box: Box) -> Spot | None:
        """Return the line whose text begins, or goes on, in this box."""
        index = self._index_at(box)
        if index < 0:
            return None
        at = pdfium.FPDFText_GetTextIndexFromCharIndex(self.text_page, index) if self._is_indexed else index
        if not self._ends:
            self._ends = [-1, *(found.start() for found in LINE_ENDS.finditer(self.text)), len(self.text)]
        place = bisect_left(self._ends, at, lo=1)
        start, end = self._ends[place - 1] + 1, self._ends[place]
        line = Line(start, end, self.text[start:end], box)
        return Spot(line, self.font_size(index), end - start <= MAX_TITLE_CHARS and self.is_bold(index))

    def line_boxes(self, start: int, end: int) -> list[Box]:
        """Return the boxes of the text between two offsets."""
        return self.boxes(self._char_index(start), end - start)

    def left_of(self, at: int) -> float | None:
        """Return where the character at this offset begins."""
        left, right, bottom, top = self._numbers
        if not pdfium.FPDFText_GetCharBox(self.text_page, self._char_index(at), left, right, bottom, top):
            return None
        return self._turned(left.value, bottom.value, right.value, top.value)[0]

    def font_size(self, index: int) -> float:
        """Return the size that is seen: a file may state any, and enlarge or shrink what it draws."""
        matrix = self._matrix
        scale = (matrix.c**2 + matrix.d**2) ** 0.5 if pdfium.FPDFText_GetMatrix(self.text_page, index, matrix) else 1.0
        return float(pdfium.FPDFText_GetFontSize(self.text_page, index) * scale)

    def is_bold(self, index: int) -> bool:
        """Return whether the font's name says so."""
        name = self._name
        pdfium.FPDFText_GetFontInfo(self.text_page, index, name, len(name), None)
        stated = name.value.lower()
        return b"bold" in stated or b"black" in stated

    def _char_index(self, at: int) -> int:
        return pdfium.FPDFText_GetCharIndexFromTextIndex(self.text_page, at) if self._is_indexed else at

    def _index_at(self, box: Box) -> int:
        left, bottom, right, top = self._turned_back(box)
        x = (left + right) / 2 if self.turn % 2 else left + 1
        y = bottom + 1 if self.turn % 2 else (bottom + top) / 2
        return int(pdfium.FPDFText_GetCharIndexAtPos(self.text_page, x, y, 3, 3))

    def _turned(self, left: float, bottom: float, right: float, top: float) -> Box:
        for _ in range(self.turn):
            left, bottom, right, top = bottom, -right, top, -left
        return (-right, bottom, -left, top) if self.is_mirrored else (left, bottom, right, top)

    def _turned_back(self, box: Box) -> Box:
        left, bottom, right, top = box
        if self.is_mirrored:
            left, right = -right, -left
        for _ in range(-self.turn % 4):
            left, bottom, right, top = bottom, -right, top, -left
        return (left, bottom, right, top)


def look_over(boxes: list[Box], bottom: float, top: float) -> Boxes:
    """Find what stands apart at the page's top and bottom, what is taller than the rest or stands alone, and what begins in columns."""
    typical = sorted([top - bottom for _, bottom, _, top in boxes])[len(boxes) // 2]
    tall, wide_gap = typical * TALL, max(typical, 4) * CELL_GAP
    titles, alone, aligned = [], [], Counter[int]()
    _, widest = max([(right - left, (left, low, right, high)) for left, low, right, high in boxes])
    if boxes[0][3] - boxes[0][1] > tall:
        titles.append(boxes[0])
    for (_, below, end, _), box in pairwise(boxes):
        left, low, _, high = box
        if left - end > wide_gap and high > below:
            aligned[int(left / 3)] += 1
        elif high - low > tall:
            titles.append(box)
        elif below - high > typical:
            alone.append(box)
    alone = [box for box in alone if box[2] - box[0] < SHORT * (widest[2] - widest[0])]
    if len(alone) <= MAX_ALONE:
        titles += alone
    ordered = sorted(boxes, key=itemgetter(3))
    band = (top - bottom) * BAND
    upper = _apart(((box, box[3], box[1]) for box in reversed(ordered)), top, top - band)
    lower = _apart(((box, -box[1], -box[3]) for box in sorted(boxes, key=itemgetter(1))), -bottom, -bottom - band)
    edges = _line_starts([box for box in boxes if box[1] >= upper or box[3] <= -lower], wide_gap)
    has_columns = any(n + aligned[x + 1] >= MIN_ALIGNED for x, n in list(aligned.items()))
    return Boxes(upper, -lower, edges, titles if len(titles) <= MAX_TITLES else [], widest, has_columns)


def _line_starts(boxes: list[Box], wide_gap: float) -> list[Box]:
    """Return the boxes without those that go on where the one before ends."""
    ends = [(0.0, 0.0, 0.0, 0.0), *boxes]
    return [
        box
        for last, box in zip(ends, boxes, strict=False)
        if not (last[1] < box[3] and box[1] < last[3] and 0 <= box[0] - last[2] + 1 <= wide_gap)
    ]


def _apart(rows: Any, edge: float, limit: float) -> float:
    """Return the height above which everything stands apart from the rest; rows are (box, upper, lower) from the edge inwards."""
    reached, found = None, edge
    for _, upper, lower in rows:
        if reached is not None and reached - upper > max(upper - lower, 6) * EDGE_GAP:
            found = reached
        if lower < limit:
            break
        reached = lower if reached is None else min(reached, lower)
    return found - 0.01 if found != edge else edge


def all_lines(view: View) -> list[Line]:
    """Return every line of the page's text with its place, cut into pieces where these stand apart."""
    lines = []
    for found in LINE.finditer(view.text):
        start, end = found.start(), found.end(1)
        if end == start and not found.group(2):
            continue
        boxes = view.line_boxes(start, end) if end > start else []
        box = _around(boxes) if boxes else (0.0, 0.0, 0.0, 0.0)
        if boxes and view.hides(box):
            continue
        text = found.group(1)
        lines.append(Line(start, found.end(2), text, box, _pieces(view, text, start, boxes) if len(boxes) > 1 else ()))
    return lines


def _around(boxes: list[Box]) -> Box:
    if len(boxes) == 1:
        return boxes[0]
    lefts, bottoms, rights, tops = zip(*boxes, strict=True)
    return (min(lefts), min(bottoms), max(rights), max(tops))


def _pieces(view: View, text: str, start: int, boxes: list[Box]) -> tuple[Piece, ...]:
    """Cut a line where its boxes stand apart: at the first character behind a space that lies there."""
    groups = [boxes[0]]
    for box in boxes[1:]:
        if box[0] - groups[-1][2] > max(box[3] - box[1], 4) * CELL_GAP:
            groups.append(box)
        elif box[2] < groups[-1][0]:
            return ()
        else:
            groups[-1] = _around([groups[-1], box])
    cuts = [0]
    at = text.find(" ") + 1
    while 0 < at < len(text) and len(cuts) < len(groups):
        left = view.left_of(start + at)
        if left is not None and left > groups[len(cuts)][0] - 1:
            cuts.append(at)
        at = text.find(" ", at) + 1
    if not 1 < len(cuts) == len(groups):
        return ()
    ends = [*cuts[1:], len(text)]
    return tuple(Piece(text[a:b].strip(), box) for a, b, box in zip(cuts, ends, groups, strict=True))
