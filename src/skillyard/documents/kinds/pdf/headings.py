"""Headings: short lines larger than the document's text, or as large and bold with room above them."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from skillyard.documents.kinds.pdf.lines import Spot

LARGER = 1.15
MAX_CHARS = 150
MAX_LEVEL = 6
SENTENCE_END = re.compile(r"[.,;:!]\s*$")


def body_size(sizes: Iterable[float]) -> float:
    """Return the font size of the document's running text: that of most pages' widest lines."""
    counted = Counter(round(size, 1) for size in sizes if size > 0)
    return counted.most_common(1)[0][0] if counted else 0.0


def find_headings(pages: Sequence[Sequence[Spot]], body: float) -> list[list[tuple[int, Spot]]]:
    """Return (level, line) of the headings page by page. The largest size of the document is level 1; bold text of body size comes last."""
    chosen = [[spot for spot in spots if _is_heading(spot, body)] for spots in pages]
    sizes = sorted({_size(spot, body) for spots in chosen for spot in spots}, reverse=True)
    levels = {size: min(number, MAX_LEVEL) for number, size in enumerate(sizes, start=1)}
    return [[(levels[_size(spot, body)], spot) for spot in spots] for spots in chosen]


def _size(spot: Spot, body: float) -> float:
    return max(float(round(spot.size)), body)


def _is_heading(spot: Spot, body: float) -> bool:
    text = spot.line.text.strip()
    if not body or not 2 <= len(text) <= MAX_CHARS or sum(map(str.isalpha, text)) < max(2, len(text) * 0.4):
        return False
    if spot.size >= body * LARGER:
        return True
    return spot.is_bold and spot.size >= body * 0.95 and len(text) <= 100 and not SENTENCE_END.search(text) and not text[0].islower()
