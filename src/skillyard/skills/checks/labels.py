"""Checks of what a label entails for the rest of an answer."""

from collections.abc import Iterator, Sequence

from skillyard.skills.checks.registry import Answer, check, values_at


@check
def stands_alone(answer: Answer, field: str, values: Sequence[str]) -> Iterator[str]:
    """A label that says that nothing fits is the only one in its list."""
    found = values_at(answer.value, field)
    for name in values:
        if name in found and len(set(found)) > 1:
            yield f"{field}: {name!r} stands beside {', '.join(repr(one) for one in dict.fromkeys(found) if one != name)}"


@check
def zero_when(answer: Answer, field: str, label: str, values: Sequence[str]) -> Iterator[str]:
    """The number is 0 when the label is one of the values, and above 0 when it is another."""
    name, number = answer.value.get(label), answer.value.get(field)
    if number is not None and (number == 0) != (name in values):
        yield f"{field}: found {number} with {label} {name!r}"
