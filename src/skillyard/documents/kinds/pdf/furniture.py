"""Headers and footers: what stands apart at the top or bottom of a page and does so again, at the same height, on others.

Numbers in them may differ; a line of nothing but a number has to count the pages.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence

from skillyard.documents.kinds.pdf.lines import Spot

NUMBER = re.compile(r"\d+")
ROMAN = re.compile(r"^\W*[ivxlc]{1,7}\W*$", re.I)
PAGE_NUMBER = re.compile(r"(?<!\d)\d{1,6}(?!\d)")
COUNTING_SHARE = 0.6
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
    """Return whether the lines say something, or number the pages: by as many steps as there are pages between them."""
    if any(map(str.isalpha, pattern)):
        return True
    if "#" not in pattern:
        return False
    offsets = Counter(int(digits.group()) - page_no for _, page_no, spot in group if (digits := PAGE_NUMBER.search(spot.line.text)))
    n_roman = len(group) - offsets.total()
    n_counting = sum(n for n in offsets.values() if n >= min(MIN_PAGES, len(group)))
    return n_roman + n_counting >= COUNTING_SHARE * len(group)
