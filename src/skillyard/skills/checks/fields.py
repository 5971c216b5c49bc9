"""Checks of single outputs: labels, flags, dates, codes, signs."""

import re
from collections.abc import Iterator, Sequence
from datetime import date

from skillyard.skills.checks.registry import Answer, check, values_at


@check
def label_in_list(answer: Answer, field: str) -> Iterator[str]:
    """Every value is the name of one of the skill's labels."""
    labels = answer.skill.labels or {}
    for found in values_at(answer.value, field):
        if found not in labels:
            yield f"{field}: {found!r} is not a label. Allowed: {', '.join(labels)}"


@check
def null_unless(answer: Answer, field: str, flag: str) -> Iterator[str]:
    """The field is given when the boolean is true, and null when it is false."""
    is_given, is_due = bool(values_at(answer.value, field)), answer.value.get(flag) is True
    if is_given != is_due:
        yield f"{field} is {'given' if is_given else 'null'}, but {flag} is {str(is_due).lower()}"


@check
def empty_unless(answer: Answer, field: str, flag: str) -> Iterator[str]:
    """The list holds something when the boolean is true, and nothing when it is false."""
    n_found, is_due = len(values_at(answer.value, field)), answer.value.get(flag) is True
    if bool(n_found) != is_due:
        yield f"{field} has {n_found} items, but {flag} is {str(is_due).lower()}"


@check
def null_when(answer: Answer, field: str, label: str, values: Sequence[str]) -> Iterator[str]:
    """The field is null, or an empty list, when the label is one of the values, and given when it is another."""
    is_given, name = bool(values_at(answer.value, field)), answer.value.get(label)
    if is_given == (name in values):
        yield f"{field} is {'given' if is_given else 'null'}, but {label} is {name!r}"


@check
def distinct(answer: Answer, field: str) -> Iterator[str]:
    """No value stands twice."""
    found = values_at(answer.value, field)
    for value in dict.fromkeys(map(str, found)):
        if (n := sum(str(one) == value for one in found)) > 1:
            yield f"{field}: {value[:80]!r} stands {n} times"


@check
def option_of(answer: Answer, field: str, parameter: str, separator: str = "|") -> Iterator[str]:
    """Every value is one of those that a parameter lists."""
    allowed = [option.strip() for option in str(answer.parameters[parameter]).split(separator)]
    for found in values_at(answer.value, field):
        if found not in allowed:
            yield f"{field}: found {found!r}. Allowed: {', '.join(allowed)}"


@check
def currency_code(answer: Answer, field: str) -> Iterator[str]:
    """Every currency has the form of an ISO 4217 code."""
    for found in values_at(answer.value, field):
        if not re.fullmatch(r"[A-Z]{3}", found):
            yield f"{field}: found {found!r}. Allowed: three capital letters, such as EUR"


@check
def sign_matches(answer: Answer, field: str, label: str, positive: Sequence[str], negative: Sequence[str]) -> Iterator[str]:
    """The number is not negative under the positive labels and not positive under the negative ones."""
    name, number = answer.value.get(label), answer.value.get(field)
    if number is not None and ((name in positive and number < 0) or (name in negative and number > 0)):
        yield f"{field}: found {number} with {label} {name!r}"


@check
def dates_parse(answer: Answer, fields: Sequence[str]) -> Iterator[str]:
    """Every date is a real day written YYYY-MM-DD."""
    for field in fields:
        for found in values_at(answer.value, field):
            try:
                is_date = date.fromisoformat(found).isoformat() == found
            except (TypeError, ValueError):
                is_date = False
            if not is_date:
                yield f"{field}: {found!r} is not a day written YYYY-MM-DD"
