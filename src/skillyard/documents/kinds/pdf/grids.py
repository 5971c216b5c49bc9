"""Tables of a page with their places: those drawn with rules by pdfplumber, those set by white space by how the text stands.

Other than ``tables``, which reads a page's text in its order, this looks at the page as a whole, whatever the order of drawing.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from skillyard.documents.decoding import clean
from skillyard.documents.kinds.pdf.lines import MAX_BOXES, Box, Line, View, all_lines
from skillyard.documents.kinds.pdf.tables import MIN_COLUMN_CHARS, MIN_COLUMN_ROWS
from skillyard.documents.kinds.pdf.usable import plain_lines

MIN_ROWS, MIN_RULED_ROWS = 3, 2
MAX_GAP, WRAPPED_GAP = 2.0, 0.6
"""Rows further apart than so many heights belong to two tables; what follows closer than that goes on in its cell."""
COLUMN_SPACE_PT = 3.0
FULL_WIDTH, FULL_SHARE, INSIDE_SHARE = 0.7, 0.5, 0.3
MAX_CELL_CHARS = 2_000
NUMBER = re.compile(r"[\s(+\-–−]*(?:[^\W\d]{0,4}|[€$£¥%])\s*\d[\d\s.,'’:/%-]*\s*(?:[^\W\d]{0,4}|[€$£¥%])[\s)]*")
YEAR = re.compile(r"(?:19|20)\d\d")


class Piece(NamedTuple):
    """A piece of a line, and where that line begins in the page's text."""

    text: str
    box: Box
    start: int


Row = tuple[Piece, ...]
"""Pieces of text at one height, from left to right."""


class Table(NamedTuple):
    """A table on one page. The box is in the page's points as ``View`` has them."""

    rows: tuple[tuple[str, ...], ...]
    box: Box
    is_ruled: bool

    @property
    def header(self) -> tuple[str, ...] | None:
        """Return the first row when it names every column, none of them by a number other than a year."""
        first = self.rows[0]
        return first if all(map(_may_name, first)) and not YEAR.fullmatch(first[0]) and len(self.rows) > 1 else None


def visual_rows(view: View) -> list[Row]:
    """Return the page's text as it is looked at: what stands at one height is one row, from the top; none of a page of too much."""
    if len(view.boxes()) > MAX_BOXES:
        return []
    pieces = [piece for line in all_lines(view) if line.text.strip() for piece in _pieces(line)]
    rows: list[list[Piece]] = []
    for piece in sorted(pieces, key=lambda piece: (-_middle(piece.box), piece.box[0])):
        if rows and _is_beside(rows[-1][0].box, piece.box):
            rows[-1].append(piece)
        else:
            rows.append([piece])
    return [tuple(sorted(row, key=lambda piece: piece.box[0])) for row in rows]


def find_tables(rows: Sequence[Row], ruled: Sequence[Table] = ()) -> list[Table]:
    """Return the page's tables from top to bottom: those given, and those set by white space elsewhere."""
    free = [kept for row in rows if (kept := tuple(piece for piece in row if not any(is_in(piece.box, table.box) for table in ruled)))]
    found, at = list(ruled), 0
    while at < len(free):
        region, columns = _region(free, at)
        if sum(len(row) > 1 for row in region) >= MIN_ROWS:
            cut = _flow_end(region, columns)
            if cut is not None:
                found += find_tables(_side(region, cut, is_left=True)) + find_tables(_side(region, cut, is_left=False))
            elif not _is_prose(region, columns):
                found.append(_to_table(region, columns))
        at += max(len(region), 1)
    return sorted(found, key=lambda table: -table.box[3])


def ruled_tables(page: Any) -> Iterator[Table]:
    """Yield the tables that rules divide into cells, of a page as pdfplumber has opened it."""
    height = float(page.height)
    for found in page.find_tables():
        rows = tuple(tuple(_cell(text or "") for text in row) for row in found.extract())
        rows = tuple(row for row in rows if any(row))
        if len(rows) >= MIN_RULED_ROWS and len(rows[0]) > 1 and sum(sum(map(bool, row)) > 1 for row in rows) >= MIN_RULED_ROWS:
            left, top, right, bottom = found.bbox
            yield Table(_without_empty_columns(rows), (left, height - bottom, right, height - top), True)


def is_in(box: Box, other: Box) -> bool:
    """Return whether the middle of a box lies in another."""
    x, y = (box[0] + box[2]) / 2, _middle(box)
    return other[0] <= x <= other[2] and other[1] <= y <= other[3]


def around(boxes: Sequence[Box]) -> Box:
    """Return the box that holds all of them."""
    lefts, bottoms, rights, tops = zip(*boxes, strict=True)
    return (min(lefts), min(bottoms), max(rights), max(tops))


def _may_name(cell: str) -> bool:
    return bool(cell) and (NUMBER.fullmatch(cell) is None or YEAR.fullmatch(cell) is not None)


def _pieces(line: Line) -> tuple[Piece, ...]:
    if not line.pieces:
        return (Piece(line.text.strip(), line.box, line.start),)
    return tuple(Piece(piece.text, piece.box, line.start) for piece in line.pieces)


def _middle(box: Box) -> float:
    return (box[1] + box[3]) / 2


def _is_beside(box: Box, other: Box) -> bool:
    return min(box[3], other[3]) - max(box[1], other[1]) > 0.5 * min(box[3] - box[1], other[3] - other[1])


def _cell(text: str) -> str:
    return " ".join(clean(plain_lines(text)).split())[:MAX_CELL_CHARS]


def _without_empty_columns(rows: tuple[tuple[str, ...], ...]) -> tuple[tuple[str, ...], ...]:
    kept = [number for number in range(len(rows[0])) if any(row[number] for row in rows)]
    return tuple(tuple(row[number] for number in kept) for row in rows)


def _region(rows: Sequence[Row], at: int) -> tuple[list[Row], list[tuple[float, float]]]:
    """Return the rows from one on that share columns, and the columns; a row that would close the space between two ends it."""
    region, columns = [rows[at]], _extents(rows[at])
    if len(rows[at]) == 1:
        return region, columns
    for above, row in pairwise(rows[at:]):
        height = max(row[0].box[3] - row[0].box[1], 4)
        if min(piece.box[1] for piece in above) - max(piece.box[3] for piece in row) > MAX_GAP * height:
            break
        merged = _merged([*columns, *_extents(row)])
        if len(merged) < max(len(columns), 2) or (len(row) == 1 and len(merged) > len(columns)):
            break
        region, columns = [*region, row], merged
    while len(region) > 1 and len(region[-1]) == 1 and not _is_wrapped(region[-2], region[-1]):
        region = region[:-1]
    return region, columns


def _flow_end(region: Sequence[Row], columns: Sequence[tuple[float, float]]) -> float | None:
    """Return where a second flow of text begins: all of it is drawn after what stands beside it, as no row of a table is."""
    pieces = [piece for row in region for piece in row]
    for left, _ in columns[1:]:
        before = [piece.start for piece in pieces if piece.box[0] < left]
        behind = [piece.start for piece in pieces if piece.box[0] >= left]
        if min(len(before), len(behind)) >= MIN_ROWS and max(before) < min(behind):
            return left
    return None


def _side(region: Sequence[Row], cut: float, *, is_left: bool) -> list[Row]:
    return [kept for row in region if (kept := tuple(piece for piece in row if (piece.box[0] < cut) == is_left))]


def _extents(row: Row) -> list[tuple[float, float]]:
    return [(piece.box[0], piece.box[2]) for piece in row]


def _merged(extents: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    columns: list[tuple[float, float]] = []
    for left, right in sorted(extents):
        if columns and left <= columns[-1][1] + COLUMN_SPACE_PT:
            columns[-1] = (columns[-1][0], max(columns[-1][1], right))
        else:
            columns.append((left, right))
    return columns


def _is_wrapped(above: Row, row: Row) -> bool:
    """Return whether a row goes on with cells of the one above it."""
    height = max(row[0].box[3] - row[0].box[1], 4)
    return min(piece.box[1] for piece in above) - max(piece.box[3] for piece in row) < WRAPPED_GAP * height


def _is_prose(region: Sequence[Row], columns: Sequence[tuple[float, float]]) -> bool:
    """Return whether these are columns of running text: in each, many pieces are as wide as their column, or begin inside a sentence."""
    if len(columns) > 3 or len(region) < MIN_COLUMN_ROWS:
        return False
    for number, (left, right) in enumerate(columns):
        own = [piece for row in region for piece in row if _column(piece, columns) == number]
        n_full = sum(piece.box[2] - piece.box[0] > FULL_WIDTH * (right - left) and len(piece.text) >= MIN_COLUMN_CHARS for piece in own)
        n_inside = sum(piece.text[:1].islower() for piece in own)
        if n_full < FULL_SHARE * len(own) and n_inside < INSIDE_SHARE * len(own):
            return False
    return True


def _column(piece: Piece, columns: Sequence[tuple[float, float]]) -> int:
    return next((number for number, (left, right) in enumerate(columns) if left - 1 <= piece.box[0] <= right + 1), 0)


def _to_table(region: Sequence[Row], columns: Sequence[tuple[float, float]]) -> Table:
    """Put pieces into cells; a row of one piece close below another goes on in its cell."""
    rows: list[list[str]] = []
    for number, row in enumerate(region):
        if not (rows and len(row) == 1 and _is_wrapped(region[number - 1], row)):
            rows.append([""] * len(columns))
        for piece in row:
            at = _column(piece, columns)
            rows[-1][at] = _cell(f"{rows[-1][at]} {piece.text}")
    return Table(tuple(map(tuple, rows)), around([piece.box for row in region for piece in row]), False)
