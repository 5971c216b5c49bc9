"""Headers and footers: what stands apart at the top or bottom of a page and does so again, at the same height, on others.

Numbers in them may differ; a line of nothing but a number has to count the pages.
"""

import re
from collections import defaultdict
from collections.abc import Sequence

from skillyard.documents.kinds.pdf.lines import Spot

NUMBER = re.compile(r"\d+")
ROMAN = re.compile(r"^\W*[ivxlc]{1,7}\W*$", re.I)
SAME_HEIGHT_PT = 3.0
MIN_PAGES = 3
"""Of a document of two or three pages, two."""

Edge = tuple[float, Spot]
"""How high a line stands, measured from the page's bottom, and the line."""


def find_furniture(pages: Sequence[Sequence[Edge]]) -> list[list[Spot]]:
    """Return, page by page, which of the lines that stand apart at its edges are repeated."""
    seen: dict[str, list[tuple[float, int, Spot]]] = defaultdict(list)
    for number, edges in enumerate(pages):
        for height, spot in edges:
            seen[_pattern(spot.line.text)].append((height, number, spot))
    found: list[list[Spot]] = [[] for _ in pages]
    for pattern, places in seen.items():
        for group in _same_height(sorted(places, key=lambda place: place[0])):
            if len({number for _, number, _ in group}) >= min(MIN_PAGES, max(len(pages) - 1, 2)) and _is_furniture(pattern, group):
                for _, number, spot in group:
                    found[number].append(spot)
    return found


def _pattern(text: str) -> str:
    text = " ".join(text.split()).casefold()
    return "#" if ROMAN.match(text) else NUMBER.sub("#", text)


def _same_height(places: list[tuple[float, int, Spot]]) -> list[list[tuple[float, int, Spot]]]:
    groups: list[list[tuple[float, int, Spot]]] = []
    for place in places:
        if groups and place[0] - groups[-1][0][0] <= SAME_HEIGHT_PT:
            groups[-1].append(place)
        else:
            groups.append([place])
    return groups


def _is_furniture(pattern: str, group: list[tuple[float, int, Spot]]) -> bool:
    if any(map(str.isalpha, pattern)):
        return True
    offsets: dict[int, int] = defaultdict(int)
    n_roman = 0
    for _, number, spot in group:
        digits = NUMBER.search(spot.line.text)
        if digits is None or len(digits.group()) > 6:
            n_roman += 1
        else:
            offsets[int(digits.group()) - number] += 1
    return n_roman + max(offsets.values(), default=0) >= 0.6 * len(group) and bool(NUMBER.search(group[0][2].line.text) or "#" in pattern)
