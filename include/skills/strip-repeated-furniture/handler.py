"""Drop the lines that repeat because they stood on every page."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Any

from skillyard.skills import Source

PAGE_END = "\f"
MOST_CHARS = 100
EDGE_LINES = 3
MIN_TIMES = 3
MIN_GAP = 4
"""Lines with text from one time to the next."""
EVEN = 2.0
"""The longest gap is at most so many times the shortest."""
COUNTING_SHARE = 0.6
LIKENESS = 88
MOST_SEEDS = 50
"""So many of the lines that come most often are compared letter by letter with those that come seldom."""

Group = list[int]
"""The numbers of the lines that are one line repeated."""


def handle(source: Source, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the text without furniture, and what was dropped."""
    lines = source.text.replace(PAGE_END, f"\n{PAGE_END}\n").split("\n")
    groups = [group for group in _repeated(lines) if _says_something(lines, group)]
    found = sorted(_at_edges(lines, groups) if PAGE_END in source.text else _without_pages(lines, groups))
    if not found:
        return {"text": source.text, "removed": []}
    dropped = {number for group in found for number in group}
    text = "\n".join(line for number, line in enumerate(lines) if number not in dropped)
    text = re.sub(r"\n?\f\n?", PAGE_END, re.sub(r"\n{3,}", "\n\n", text)).strip("\n")
    return {"text": text, "removed": [{"text": lines[group[0]].strip(), "n_times": len(group)} for group in found]}


def _repeated(lines: Sequence[str]) -> Iterator[Group]:
    """Yield lines that are the same but for case, spaces, digits and a few letters."""
    from rapidfuzz import fuzz

    places: dict[str, Group] = defaultdict(list)
    for number, line in enumerate(lines):
        pattern = re.sub(r"\d+", "#", "".join(line.split()).casefold())
        if 0 < len(line.strip()) <= MOST_CHARS and pattern:
            places[pattern].append(number)
    seeds = sorted((pattern for pattern in places if len(places[pattern]) > 1), key=lambda pattern: -len(places[pattern]))[:MOST_SEEDS]
    for rare in [pattern for pattern in places if len(places[pattern]) == 1 and len(pattern) > 5]:
        seed = next((seed for seed in seeds if fuzz.ratio(seed, rare, score_cutoff=LIKENESS)), None)
        if seed:
            places[seed] += places.pop(rare)
    yield from (sorted(group) for group in places.values() if len(group) > 1)


def _says_something(lines: Sequence[str], group: Group) -> bool:
    """Return whether a repeated line has letters, or is a number that counts up."""
    return any(map(str.isalpha, lines[group[0]])) or _is_counting(lines, group)


def _is_counting(lines: Sequence[str], group: Group) -> bool:
    """Return whether the first numbers in the lines rise, most of them by one."""
    numbers = [int(digits.group()) for number in group if (digits := re.search(r"\d{1,6}", lines[number]))]
    steps = [after - before for before, after in pairwise(numbers)]
    return len(numbers) == len(group) and min(steps) > 0 and steps.count(1) >= COUNTING_SHARE * len(steps)


def _at_edges(lines: Sequence[str], groups: Sequence[Group]) -> Iterator[Group]:
    """Yield what stands at the edges of at least half of the pages, and of two."""
    page_of = list(accumulate(line == PAGE_END for line in lines))
    pages: dict[int, Group] = defaultdict(list)
    for number, line in enumerate(lines):
        if line.strip():
            pages[page_of[number]].append(number)
    edges = {number for page in pages.values() for number in page[:EDGE_LINES] + page[-EDGE_LINES:]}
    for group in groups:
        at_edges = [number for number in group if number in edges]
        if len({page_of[number] for number in at_edges}) >= max(2, len(pages) / 2):
            yield at_edges


def _without_pages(lines: Sequence[str], groups: Sequence[Group]) -> Iterator[Group]:
    """Yield lines apart that count the pages or come at even distances, and those beside them that come as often."""
    n_above = list(accumulate(bool(line.strip()) for line in lines))
    spaced = [g for g in groups if len(g) >= MIN_TIMES and min(n_above[b] - n_above[a] for a, b in pairwise(g)) >= MIN_GAP]
    found = [g for g in spaced if _stands_apart(lines, g, set()) and (_is_counting(lines, g) or _is_even(n_above, g))]
    known = {number for group in found for number in group}
    beside = [g for g in spaced if g not in found and _stands_apart(lines, g, known) and _stands_beside(g, known)]
    yield from found + beside


def _is_even(n_above: Sequence[int], group: Group) -> bool:
    gaps = [n_above[after] - n_above[before] for before, after in pairwise(group)]
    return max(gaps) <= EVEN * min(gaps)


def _stands_apart(lines: Sequence[str], group: Group, known: set[int]) -> bool:
    """Return whether each line has an empty line, a known one or an end of the text beside it."""
    ends = {-1, len(lines)}
    return all(any(at in ends or at in known or not lines[at].strip() for at in (number - 1, number + 1)) for number in group)


def _stands_beside(group: Group, known: set[int]) -> bool:
    return all(number - 1 in known or number + 1 in known for number in group)
