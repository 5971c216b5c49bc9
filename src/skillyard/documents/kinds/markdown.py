"""The structure of a text in Markdown: its headings, where they begin, and its tables as rows of cells."""

import re
from collections.abc import Iterable, Iterator
from itertools import groupby

from skillyard.documents.decoding import clean
from skillyard.documents.kinds.content import PageContent
from skillyard.documents.result import Grid, Heading

HEADING = re.compile(r"(#{1,6})[ \t]+(.*?)(?:[ \t]+#+)?[ \t]*")
EMPHASIS = re.compile(r"(\*\*|__|\*|_|`)(.+?)\1")
FENCE = re.compile(r"\s{0,3}(```|~~~)")
RULE = re.compile(r"\|?[ \t]*:?-+:?[ \t]*(\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*")
CELL_END = re.compile(r"(?<!\\)\|")


def markdown_page(text: str, parser: str) -> PageContent:
    """Return a page with the headings and tables of its Markdown."""
    text = clean(text)
    lines = list(_lines(text))
    return PageContent(text, parser, headings=tuple(_headings(lines)), tables=tuple(_tables(lines)))


def markdown_pages(texts: Iterable[str], parser: str) -> tuple[PageContent, ...]:
    """Return pages with the headings and tables of their Markdown."""
    return tuple(markdown_page(text, parser) for text in texts)


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield each line that is not code with its offset."""
    at, fence = 0, ""
    for line in text.split("\n"):
        mark = found.group(1) if (found := FENCE.match(line)) else ""
        if not fence and not mark:
            yield at, line
        elif not fence or mark == fence:
            fence = "" if fence else mark
        at += len(line) + 1


def _headings(lines: Iterable[tuple[int, str]]) -> Iterator[Heading]:
    for at, line in lines:
        if line.startswith("#") and (found := HEADING.fullmatch(line)):
            title = EMPHASIS.sub(r"\2", found.group(2)).strip()
            if title:
                yield Heading(len(found.group(1)), title, at)


def _tables(lines: Iterable[tuple[int, str]]) -> Iterator[Grid]:
    for is_row, group in groupby(lines, key=lambda one: one[1].lstrip().startswith("|")):
        block = [line.strip() for _, line in group] if is_row else []
        if len(block) > 1 and RULE.fullmatch(block[1]):
            rows = [_cells(line) for line in (block[0], *block[2:])]
            if any(any(row) for row in rows):
                yield tuple(rows)


def _cells(line: str) -> tuple[str, ...]:
    line = line.removeprefix("|")
    cells = CELL_END.split(line.removesuffix("|") if not line.endswith("\\|") else line)
    return tuple(cell.strip().replace("\\|", "|") for cell in cells)
