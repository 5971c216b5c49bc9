"""Checks of a text that was corrected: it stays close to what it was, and every change is owned up to."""

import re
from collections import Counter
from collections.abc import Iterator

from skillyard.skills.checks.registry import Answer, check, values_at

_WORD = re.compile(r"\w+")


@check
def stays_close(answer: Answer, field: str, min_similarity: float) -> Iterator[str]:
    """The letters that string and text have in the same order are so large a share of the letters of both, white space aside."""
    from rapidfuzz import fuzz

    text = " ".join(answer.text.split())
    for found in values_at(answer.value, field):
        similarity = fuzz.ratio(text, " ".join(found.split())) / 100
        if similarity < min_similarity:
            yield f"{field}: like the text by {similarity:.2f}. Allowed: {min_similarity} or more"


@check
def changes_listed(answer: Answer, field: str, before: str, after: str) -> Iterator[str]:
    """Every word or number that the string lacks stands in a ``before``, and every new one in an ``after``."""
    old, new = (Counter(_WORD.findall(text)) for text in (answer.text, " ".join(values_at(answer.value, field))))
    removed, added = (set(_WORD.findall(" ".join(values_at(answer.value, path)))) for path in (before, after))
    for word in sorted((old - new).keys() - removed):
        yield f"{field}: {word!r} of the text is gone, and no {before} says so"
    for word in sorted((new - old).keys() - added):
        yield f"{field}: {word!r} is not in the text, and no {after} says so"
