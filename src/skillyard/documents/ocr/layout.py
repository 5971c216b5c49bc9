"""Recognised lines put into reading order: rows, columns of prose one after the other, Chinese and Japanese columns right to left."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from statistics import median
from typing import NamedTuple

TALL = 1.5
"""A line this many times as high as wide is written downwards."""
MIN_COLUMN_LINES = 3
MIN_PROSE_WIDTH = 12
"""Lines of prose are on average as many times as wide as high; the cells of a table are not, and stay rows."""


class Line(NamedTuple):
    """A recognised line and its box in the picture."""

    left: float
    top: float
    right: float
    bottom: float
    text: str

    @classmethod
    def of(cls, corners: list[list[float]], text: str) -> "Line":
        """Return the line with the box around its corners."""
        across, down = [x for x, _ in corners], [y for _, y in corners]
        return cls(min(across), min(down), max(across), max(down), text)

    @property
    def height(self) -> float:
        return self.bottom - self.top

    @property
    def is_tall(self) -> bool:
        """Whether it runs downwards."""
        return len(self.text) > 1 and self.height > TALL * (self.right - self.left)


Row = list[Line]
Gap = tuple[float, float]


def is_written_downwards(lines: Sequence[Line]) -> bool:
    """Return whether most lines run downwards: a page of vertical script, or one that lies on its side."""
    return sum(line.is_tall for line in lines) * 2 > len(lines)


def in_reading_order(lines: Sequence[Line]) -> str:
    """Return the text of a page: its rows, an empty line between paragraphs."""
    if is_written_downwards(lines):
        return "\n".join(line.text for line in ordered(lines))
    return "\n\n".join(_paragraphs(list(_rows_in_order(lines))))


def ordered(lines: Sequence[Line]) -> list[Line]:
    """Return the lines of a page in their reading order."""
    if is_written_downwards(lines):
        return sorted(lines, key=lambda line: -line.right)
    return [line for row in _rows_in_order(lines) for line in row]


def _rows_in_order(lines: Sequence[Line]) -> Iterator[Row]:
    """Yield the rows of a block; of one with a gutter between two columns of prose, those of the left column first."""
    for rows, gutter in _bands(_rows(lines)):
        band = [line for row in rows for line in row]
        if gutter and _is_prose(band, gutter[0]):
            yield from _rows_in_order([line for line in band if line.right <= gutter[0]])
            yield from _rows_in_order([line for line in band if line.right > gutter[0]])
        else:
            yield from rows


def _bands(rows: Sequence[Row]) -> Iterator[tuple[list[Row], Gap | None]]:
    """Yield a block's rows from top to bottom as bands: neighbours that share a gutter, and those that have none."""
    held: list[Row] = []
    gutter: Gap | None = None
    for row in rows:
        gaps = _gaps(row)
        if gutter is None and gaps:
            gutter, first = gaps[0], len(held)
            while first and (narrower := _beside(held[first - 1], gutter)):  # one column may begin above the other
                gutter, first = narrower, first - 1
            if first:
                yield held[:first], None
            held = [*held[first:], row]
        elif gutter is None:
            held.append(row)
        elif fits := next(filter(None, (_common(gap, gutter) for gap in gaps)), None) if gaps else _beside(row, gutter):
            held, gutter = [*held, row], fits
        else:
            yield held, gutter
            held, gutter = [row], gaps[0] if gaps else None
    if held:
        yield held, gutter


def _gaps(row: Row) -> list[Gap]:
    """Return the spaces between the lines of a row, at least half a line's height wide, the widest first."""
    gaps = [(a.right, b.left) for a, b in pairwise(row) if b.left - a.right > row[0].height / 2]
    return sorted(gaps, key=lambda gap: gap[0] - gap[1])


def _common(one: Gap, other: Gap) -> Gap | None:
    left, right = max(one[0], other[0]), min(one[1], other[1])
    return (left, right) if left < right else None


def _beside(row: Row, gap: Gap) -> Gap | None:
    """Return what is left of a gutter beside a row that stands in one column only."""
    return _common(gap, (max(line.right for line in row), gap[1])) or _common(gap, (gap[0], min(line.left for line in row)))


def _is_prose(band: Sequence[Line], gutter: float) -> bool:
    sides = ([line for line in band if line.right <= gutter], [line for line in band if line.right > gutter])
    return all(
        len(side) >= MIN_COLUMN_LINES
        and sum(line.right - line.left for line in side) >= MIN_PROSE_WIDTH * sum(line.height for line in side)
        for side in sides
    )


def _rows(lines: Sequence[Line]) -> list[Row]:
    """Return lines that stand beside each other as rows, each from left to right."""
    rows: list[Row] = []
    for line in sorted(lines, key=lambda line: line.top + line.bottom):
        middle = (line.top + line.bottom) / 2
        if rows and rows[-1][0].top < middle < rows[-1][0].bottom:
            rows[-1].append(line)
        else:
            rows.append([line])
    return [sorted(row) for row in rows]


def _paragraphs(rows: list[Row]) -> Iterator[str]:
    """Yield the rows' text, those with more than a line's height between them, or of another column, apart."""
    if not rows:
        return
    height = median(line.height for row in rows for line in row)
    held: list[str] = []
    bottom = 0.0
    for row in rows:
        top = min(line.top for line in row)
        if held and not -height < top - bottom < height:
            yield "\n".join(held)
            held = []
        held.append(" ".join(line.text for line in row))
        bottom = max(line.bottom for line in row)
    yield "\n".join(held)
