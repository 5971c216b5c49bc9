"""Checks of reasons: which answers may not stand without one."""

from collections.abc import Iterator, Sequence

from skillyard.skills.checks.registry import Answer, check, values_at


@check
def given_when(answer: Answer, field: str, label: str, values: Sequence[str]) -> Iterator[str]:
    """The field holds something when the label is one of the values; under other labels it may be empty or not."""
    name = answer.value.get(label)
    if name in values and not values_at(answer.value, field):
        yield f"{field} is empty, but {label} is {name!r}"
