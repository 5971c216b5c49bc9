"""Checks of comparisons: what is said of the other side stands there, and what is said to differ does."""

from collections.abc import Iterator

from skillyard.skills.checks.registry import Answer, check, values_at
from skillyard.skills.checks.texts import plain


@check
def quote_in_parameter(answer: Answer, field: str, parameter: str) -> Iterator[str]:
    """Every quote stands in the value of a parameter, apart from white space, quotation marks and case; none is blank."""
    given = plain(str(answer.parameters[parameter]))
    for quote in values_at(answer.value, field):
        if not plain(quote) or plain(quote) not in given:
            yield f"{field}: {quote[:80]!r} does not occur in the parameter {parameter}"


@check
def sides_differ(answer: Answer, field: str, left: str, right: str) -> Iterator[str]:
    """In every item of a list the two sides are written differently, and more than by white space, quotation marks or case."""
    for item in values_at(answer.value, field):
        if plain(str(item[left])) == plain(str(item[right])):
            yield f"{field}: {item[left]!r} is the same on both sides"
