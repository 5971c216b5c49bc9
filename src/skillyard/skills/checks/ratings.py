"""Checks of ratings: that every criterion is rated, and that a total is what its parts make."""

from collections import Counter
from collections.abc import Iterator, Sequence
from statistics import fmean

from skillyard.skills.checks.registry import Answer, check, values_at

TOLERANCE = 0.011
"""Two decimals suffice: two thirds may be 0.66 or 0.67."""


@check
def each_label_once(answer: Answer, field: str) -> Iterator[str]:
    """Every label of the skill stands exactly once."""
    counts = Counter(values_at(answer.value, field))
    for label in answer.skill.labels or {}:
        if counts[label] != 1:
            yield f"{field}: {label!r} stands {counts[label]} times. Allowed: once"


@check
def mean_of(answer: Answer, field: str, parts: Sequence[str], tolerance: float = TOLERANCE) -> Iterator[str]:
    """The number is the mean of all numbers at the parts, and null where there are none."""
    numbers = [number for part in parts for number in values_at(answer.value, part)]
    yield from _differs(answer, field, fmean(numbers) if numbers else None, tolerance, f"the mean of {', '.join(parts)}")


@check
def share_of(answer: Answer, field: str, label: str, values: Sequence[str], tolerance: float = TOLERANCE) -> Iterator[str]:
    """The number is the share of labels that are one of the values, from 0 to 1, and null where there are none."""
    labels = values_at(answer.value, label)
    share = sum(found in values for found in labels) / len(labels) if labels else None
    yield from _differs(answer, field, share, tolerance, f"the share of {', '.join(values)} in {label}")


def _differs(answer: Answer, field: str, expected: float | None, tolerance: float, meaning: str) -> Iterator[str]:
    """Yield a number that is not what it stands for."""
    found = answer.value.get(field)
    if (found is None) != (expected is None) or (expected is not None and found is not None and abs(found - expected) > tolerance):
        yield f"{field}: found {found}, but {meaning} is {expected if expected is None else f'{expected:.2f}'}"
