"""Checks of pages that were read or divided."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence

from skillyard.skills.checks.registry import Answer, check, values_at


@check
def made_of_lines(answer: Answer, field: str, parts: Sequence[str]) -> Iterator[str]:
    """A text holds the characters of its parts, each as often, in whatever order and apart from white space."""
    whole = Counter("".join("".join(values_at(answer.value, field)).split()))
    held = Counter("".join("".join("".join(values_at(answer.value, part)).split()) for part in parts))
    for name, more in ((field, whole - held), (", ".join(parts), held - whole)):
        if more:
            yield f"{name}: {more.total()} characters more than in the other, such as {next(iter(more))!r}"


@check
def ranges_cover_pages(answer: Answer, field: str, first: str, last: str) -> Iterator[str]:
    """Ranges of pages are in order, do not overlap, and cover every page that the text, a JSON list of pages, holds."""
    pages = _page_numbers(answer.text)
    if pages is None:
        yield f"{field}: the text is no JSON list of pages with their numbers, no range can be held against it"
        return
    expected = min(pages, default=1)
    for item in values_at(answer.value, field):
        begin, end = item[first], item[last]
        if end < begin:
            yield f"{field}: {begin} to {end} ends before it begins"
        if begin != expected:
            what = "overlaps what is before it" if begin < expected else "leaves pages out"
            yield f"{field}: {begin} to {end} {what}. Allowed as first page: {expected}"
        expected = max(expected, end + 1)
    if pages and expected != max(pages) + 1:
        yield f"{field}: they end with page {expected - 1}. Allowed: {max(pages)}, the last one"


def _page_numbers(text: str) -> list[int] | None:
    """Return the pages' numbers; None when the text is no such list."""
    try:
        pages = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(pages, list):
        return None
    numbers = [page["page"] for page in pages if isinstance(page, dict) and type(page.get("page")) is int]
    return numbers if len(numbers) == len(pages) else None
