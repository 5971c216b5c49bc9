"""Checks of what is written beside a text, from the text and from other skills' results."""

import re
from collections.abc import Iterator

from skillyard.skills.checks.numbers import amounts
from skillyard.skills.checks.registry import Answer, check, values_at
from skillyard.skills.checks.texts import plain

_NUMBER = re.compile(r"\d[\d.,'’]*\d")


@check
def numbers_in_sources(answer: Answer, field: str) -> Iterator[str]:
    """Every number of two digits or more in a string occurs in the text or in an input."""
    known = amounts("\n".join([answer.text, *answer.source.inputs.values()]))
    for found in values_at(answer.value, field):
        for number in _NUMBER.findall(found):
            if not amounts(number) & known:
                yield f"{field}: {number} occurs neither in the text nor in {', '.join(answer.source.inputs)}"


@check
def adds_to_text(answer: Answer, field: str) -> Iterator[str]:
    """No string stands in the text already."""
    text = plain(answer.text)
    for found in values_at(answer.value, field):
        if plain(found).rstrip(".") in text:
            yield f"{field}: {found[:80]!r} only repeats the text"
