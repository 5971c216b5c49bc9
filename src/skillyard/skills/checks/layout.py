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
    """Ranges of pages are in order, none overlaps another, and together they cover every page that the text, JSON of pages, holds."""
    pages = sorted(page["page"] for page in json.loads(answer.text))
    expected = pages[0] if pages else 1
    for item in values_at(answer.value, field):
        if item[last] < item[first]:
            yield f"{field}: {item[first]} to {item[last]} ends before it begins"
        if item[first] != expected:
            what = "overlaps what is before it" if item[first] < expected else "leaves pages out"
            yield f"{field}: {item[first]} to {item[last]} {what}. Allowed as first page: {expected}"
        expected = item[last] + 1
    if pages and expected != pages[-1] + 1:
        yield f"{field}: they end with page {expected - 1}. Allowed: {pages[-1]}, the last one"
