"""Pages from drafts: a page's text and what was looked up on it, until the whole document tells headers and headings apart from text."""

import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from skillyard.documents.decoding import UNWANTED, clean
from skillyard.documents.kinds.content import PageContent
from skillyard.documents.kinds.pdf.furniture import find_furniture
from skillyard.documents.kinds.pdf.headings import body_size, find_headings
from skillyard.documents.kinds.pdf.lines import MAX_BOXES, Line, Spot, View, all_lines, look_over, page_text
from skillyard.documents.kinds.pdf.tables import arrange
from skillyard.documents.kinds.pdf.usable import is_unmapped, plain_lines
from skillyard.documents.result import Grid, Heading

PARSER = "pypdfium2"


class Draft(NamedTuple):
    """A page as pdfium reads it. Offsets of lines point into ``text``, which has pdfium's line ends and marks."""

    text: str
    edges: tuple[Spot, ...] = ()
    """Lines that stand apart at its top or bottom."""
    titles: tuple[Spot, ...] = ()
    """Lines that may be headings."""
    size: float = 0.0
    """The font size of its widest line."""
    tables: tuple[Grid, ...] = ()
    height: float = 0.0


def draft_page(page: Any, text_page: Any) -> Draft:
    """Read a page's text and look up what may be of interest on it."""
    text = page_text(text_page)
    if is_unmapped(text):
        return Draft("")
    view = View(page, text_page, text)
    boxes = view.boxes()
    if not boxes or len(boxes) > MAX_BOXES:
        return Draft(text)
    seen = look_over(boxes, view.bottom, view.top)
    edges, titles, widest = _spots(view, seen.edges), _spots(view, seen.titles), view.spot(seen.widest)
    size = widest.size if widest else 0.0
    if seen.has_columns:
        return _rearranged(view, edges, titles, size)
    return _rearranged(view, edges, titles, size) if view.hides_any(boxes) else Draft(text, edges, titles, size, (), view.top - view.bottom)


def _spots(view: View, boxes: Iterable[Any]) -> tuple[Spot, ...]:
    """Look up the lines of these boxes, each once."""
    spots = {spot.line.start: spot for box in boxes if (spot := view.spot(box))}
    return tuple(spots[start] for start in sorted(spots))


def _rearranged(view: View, edges: tuple[Spot, ...], titles: tuple[Spot, ...], size: float) -> Draft:
    """Put tables and columns into reading order, with the lines at the page's edges left where they are."""
    at_edge = {spot.line.start for spot in edges}
    lines = all_lines(view)
    parts: list[tuple[int, str]] = []
    tables: list[Grid] = []
    run: list[Line] = []
    for line in [*lines, None]:
        if line is not None and line.start not in at_edge:
            run.append(line)
            continue
        arranged = arrange(run, view.text)
        parts += arranged.lines
        tables += arranged.tables
        run = []
        if line is not None:
            parts.append((line.start, view.text[line.start : line.end]))
    starts: dict[int, int] = {}
    length = 0
    for old, part in parts:
        starts.setdefault(old, length)
        length += len(part) + 1
    texts = dict(parts)
    edges, titles = _moved(edges, starts, texts), _moved(titles, starts, texts)
    return Draft("\n".join(part for _, part in parts), edges, titles, size, tuple(tables), view.top - view.bottom)


def _moved(spots: Sequence[Spot], starts: dict[int, int], texts: dict[int, str]) -> tuple[Spot, ...]:
    """Return the lines that are still whole, at their new offsets."""
    return tuple(
        spot._replace(line=spot.line._replace(start=starts[start], end=starts[start] + len(spot.line.text)))
        for spot in spots
        if (start := spot.line.start) in starts and texts[start].rstrip("\x02\ufffe") == spot.line.text
    )


def finish(drafts: Sequence[Draft]) -> list[PageContent]:
    """Return the pages without what repeats on them, with their headings."""
    furniture = find_furniture([[((spot.line.box[1] + spot.line.box[3]) / 2, spot) for spot in draft.edges] for draft in drafts])
    body = body_size(draft.size for draft in drafts)
    repeated = [{spot.line.start for spot in spots} for spots in furniture]
    titles = [[spot for spot in draft.titles if spot.line.start not in starts] for draft, starts in zip(drafts, repeated, strict=True)]
    headings = find_headings(titles, body)
    return [_to_page(draft, spots, found) for draft, spots, found in zip(drafts, furniture, headings, strict=True)]


def _to_page(draft: Draft, furniture: Sequence[Spot], titles: Sequence[tuple[int, Spot]]) -> PageContent:
    """Cut the text at what is removed and where headings begin, clean each part, and say where the headings lie afterwards."""
    cuts = sorted(
        [(spot.line.start, spot.line.end, 0) for spot in furniture] + [(spot.line.start, spot.line.end, level) for level, spot in titles]
    )
    if not cuts:
        return PageContent(clean(plain_lines(draft.text)), PARSER, tables=draft.tables)
    text, at = "", 0
    headings: list[Heading] = []
    for start, end, level in cuts:
        if start < at:
            continue
        text += _cleaned(draft.text[at:start])
        text = text.lstrip() if not headings else text
        at = _next_line(draft.text, end)
        if level:
            title = _cleaned(draft.text[start:end]).strip()
            headings.append(Heading(level, title, len(text)))
            text += title + "\n"
    text = (text + _cleaned(draft.text[at:])).rstrip()
    middle = draft.height / 2
    return PageContent(
        text,
        PARSER,
        header=_joined(spot for spot in furniture if _height(spot) > middle),
        footer=_joined(spot for spot in furniture if _height(spot) <= middle),
        headings=tuple(headings),
        tables=draft.tables,
    )


def _height(spot: Spot) -> float:
    return (spot.line.box[1] + spot.line.box[3]) / 2


def _joined(spots: Iterable[Spot]) -> str | None:
    return "\n".join(_cleaned(spot.line.text).strip() for spot in sorted(spots, key=lambda spot: -_height(spot))) or None


def _cleaned(text: str) -> str:
    """Return what ``clean`` makes of it, but with the white space at its ends."""
    return UNWANTED.sub("", plain_lines(text).replace("\r\n", "\n").replace("\r", "\n").replace("\x0c", "\n"))


_LINE_END = re.compile(r"\r?\n|\r|")


def _next_line(text: str, at: int) -> int:
    found = _LINE_END.match(text, at)
    return found.end() if found else at
