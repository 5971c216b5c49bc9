"""Tables and columns that are drawn across: pieces of lines that stand apart, put into rows of cells or into columns.

Both are recognised only where the order of drawing speaks for it as well; anything else stays as pdfium reads it.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from skillyard.documents.kinds.pdf.lines import Box, Line, Piece
from skillyard.documents.result import Grid

MIN_ROWS = 3
MIN_COLUMN_ROWS = 8
"""Two columns of prose have at least so many lines beside each other, each as wide as its column and of over so many characters."""
MIN_COLUMN_CHARS = 20
FULL_SHARE = 0.7


class Arranged(NamedTuple):
    """The lines in the order in which they are read, each with the offset of the line it stems from, and the tables among them."""

    lines: list[tuple[int, str]]
    tables: tuple[Grid, ...]


class _Cell(NamedTuple):
    column: int
    text: str
    box: Box


def arrange(lines: Sequence[Line], text: str) -> Arranged:
    """Put the lines of a page into reading order, a table's row into one line with a tab between cells."""
    arranged: list[tuple[int, str]] = []
    tables: list[Grid] = []
    at = 0
    while at < len(lines):
        end = _region_end(lines, at)
        region = lines[at:end]
        if end - at >= MIN_ROWS and (columns := _columns(region)):
            if _is_prose(region, columns):
                arranged += _column_by_column(region, columns)
            elif rows := _rows(region, columns):
                arranged += [(start, "\t".join(cells).rstrip("\t")) for start, cells in rows]
                tables.append(tuple(tuple(cells) for _, cells in rows))
            else:
                arranged += [(line.start, text[line.start : line.end]) for line in region]
            at = end
        else:
            arranged.append((lines[at].start, text[lines[at].start : lines[at].end]))
            at += 1
    return Arranged(arranged, tuple(tables))


def _pieces(line: Line) -> tuple[Piece, ...]:
    return line.pieces or (Piece(line.text.strip(), line.box),)


def _region_end(lines: Sequence[Line], start: int) -> int:
    """Return where the run of lines ends that share a gap between columns, from a first one that shows it or precedes one that does."""
    first = next((at for at in range(start, min(start + 4, len(lines))) if lines[at].pieces), None)
    if first is None:
        return start
    gaps = _gaps(lines[first])
    last, end = start, start
    while end < len(lines):
        line = lines[end]
        narrowed = [gap for a, b in gaps if (gap := _free(line, a, b))]
        if not line.text.strip() or not narrowed or (end > start and _is_far(lines[end - 1], line)):
            break
        gaps = narrowed
        if line.pieces:
            last = end + 1
        end += 1
    while last and last < end and _is_right(lines[last], gaps):
        last += 1
    return last


def _gaps(line: Line) -> list[tuple[float, float]]:
    return [(a.box[2], b.box[0]) for a, b in pairwise(line.pieces)]


def _free(line: Line, left: float, right: float) -> tuple[float, float] | None:
    """Return what the line leaves free of the gap, when that is still a gap."""
    for piece in _pieces(line):
        if piece.box[0] < right and piece.box[2] > left:
            if piece.box[0] <= left < piece.box[2] < right:
                left = piece.box[2]
            elif left < piece.box[0] < right <= piece.box[2]:
                right = piece.box[0]
            else:
                return None
    return (left, right) if right - left > 3 else None


def _is_far(above: Line, line: Line) -> bool:
    """Return whether the line lies far below or so far above that it begins something else."""
    height = max(above.box[3] - above.box[1], 6)
    return above.box[1] - line.box[3] > 3 * height or line.box[1] - above.box[3] > 3 * height


def _is_right(line: Line, gaps: list[tuple[float, float]]) -> bool:
    return bool(gaps) and line.box[0] >= gaps[0][1] - 1


def _columns(region: Sequence[Line]) -> list[tuple[float, float]]:
    """Return the columns' extents, or nothing when there are not two at least."""
    extents = sorted((piece.box[0], piece.box[2]) for line in region for piece in _pieces(line))
    columns = [extents[0]]
    for left, right in extents[1:]:
        if left > columns[-1][1] + 3:
            columns.append((left, right))
        else:
            columns[-1] = (columns[-1][0], max(columns[-1][1], right))
    n_across = sum(bool(line.pieces) for line in region)
    return columns if len(columns) > 1 and n_across >= MIN_ROWS else []


def _column_of(box: Box, columns: list[tuple[float, float]]) -> int:
    return next(at for at, (left, right) in enumerate(columns) if left <= box[0] <= right)


def _is_prose(region: Sequence[Line], columns: list[tuple[float, float]]) -> bool:
    """Return whether these are columns of running text: most lines are long and as wide as their column."""
    if len(columns) > 3 or sum(bool(line.pieces) for line in region) < MIN_COLUMN_ROWS:
        return False
    for number, (left, right) in enumerate(columns):
        own = [piece for line in region for piece in _pieces(line) if _column_of(piece.box, columns) == number]
        n_full = sum(piece.box[2] - piece.box[0] > 0.85 * (right - left) and len(piece.text) >= MIN_COLUMN_CHARS for piece in own)
        if n_full < FULL_SHARE * len(own):
            return False
    return True


def _column_by_column(region: Sequence[Line], columns: list[tuple[float, float]]) -> list[tuple[int, str]]:
    parts: list[list[tuple[int, str]]] = [[] for _ in columns]
    for line in region:
        for piece in _pieces(line):
            parts[_column_of(piece.box, columns)].append((line.start, piece.text))
    return [part for column in parts for part in column]


def _rows(region: Sequence[Line], columns: list[tuple[float, float]]) -> list[tuple[int, list[str]]]:
    """Return (offset, cells) of each row: a row ends where drawing goes back to a column that is over, or leaves a gap."""
    rows: list[tuple[int, list[list[str]]]] = []
    last: list[_Cell | None] = [None] * len(columns)
    lowest, is_across = 0.0, False
    for line in region:
        cells = [_Cell(_column_of(piece.box, columns), piece.text, piece.box) for piece in _pieces(line)]
        if len({cell.column for cell in cells}) < len(cells):
            return []
        first = cells[0]
        above = last[first.column]
        is_back = any(last[number] for number in range(first.column + 1, len(columns))) and (first.column == 0 or len(cells) > 1)
        is_apart = above is not None and above.box[1] - first.box[3] > 0.5 * (above.box[3] - above.box[1])
        is_beside = bool(rows) and first.column > 0 and first.box[3] > lowest - 0.5 * (first.box[3] - first.box[1])
        if not rows or ((is_back or is_apart or (len(cells) > 1 and is_across)) and not is_beside):
            rows.append((line.start, [[] for _ in columns]))
            last, lowest = [None] * len(columns), first.box[1]
        is_across = len(cells) > 1
        for cell in cells:
            rows[-1][1][cell.column].append(cell.text)
            last[cell.column] = cell
        lowest = min(lowest, line.box[1])
    if len(rows) < MIN_ROWS or sum(sum(map(bool, cells)) > 1 for _, cells in rows) < 0.6 * len(rows):
        return []
    return [(start, [" ".join(parts) for parts in cells]) for start, cells in rows]
