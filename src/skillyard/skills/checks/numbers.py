"""Checks of numbers and amounts, in whatever way the source writes them."""

import re
from collections.abc import Iterator, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from skillyard.skills.checks.registry import Answer, check, values_at

_NUMBER = re.compile(r"\d+(?:[.,'’]\d+)*")
_SPACED = re.compile(r"(?<!\d)(?=(\d{1,3}(?:[ \u00a0\u202f]\d{3}){1,4}(?:[.,]\d+)?)(?!\d))")


@check
def amounts_in_text(answer: Answer, fields: Sequence[str]) -> Iterator[str]:
    """Every amount but zero occurs in the text, in whatever way it is written there."""
    known = amounts(answer.text)
    for field in fields:
        for found in values_at(answer.value, field):
            amount = as_decimal(found)
            if amount is None:
                yield f"{field}: {found!r} is not an amount"
            elif amount != 0 and abs(amount) not in known:
                yield f"{field}: {found} does not occur in the text"


@check
def amounts_sum(answer: Answer, parts: Sequence[str], equal: Sequence[str], tolerance: str = "0.02") -> Iterator[str]:
    """The parts add up to one of the named totals; nothing is said where a part or every total is absent."""
    found = [[as_decimal(v) for v in values_at(answer.value, part)] for part in parts]
    totals = [a for name in equal for v in values_at(answer.value, name) if (a := as_decimal(v)) is not None]
    amounts_found = [a for part in found for a in part if a is not None]
    if not totals or not all(found) or len(amounts_found) < sum(map(len, found)):
        return
    added = sum(amounts_found, Decimal(0))
    if all(abs(added - total) > Decimal(tolerance) for total in totals):
        yield f"{' + '.join(parts)} is {added}, but {' or '.join(equal)} is {' or '.join(map(str, totals))}"


@check
def numbers_in_text(answer: Answer, field: str) -> Iterator[str]:
    """Every number written in a string occurs in the text; whole numbers below ten may be counts and pass."""
    known = amounts(answer.text)
    for found in values_at(answer.value, field):
        for number in _NUMBER.findall(found):
            if len(number) > 1 and not _readings(number) & known:
                yield f"{field}: {number} does not occur in the text"


@check
def numbers_kept(answer: Answer, field: str) -> Iterator[str]:
    """Every number of two digits or more that the text holds stands in every string, in whatever way it is written there."""
    for found in values_at(answer.value, field):
        known = amounts(found)
        for number in dict.fromkeys(_NUMBER.findall(answer.text)):
            if len(number) > 1 and not _readings(number) & known:
                yield f"{field}: {number} of the text is missing"


def as_decimal(value: Any) -> Decimal | None:
    """Return a JSON number or a decimal string as a Decimal; None when it is neither."""
    try:
        return Decimal(str(value))
    except InvalidOperation:
        return None


def amounts(text: str) -> set[Decimal]:
    """Return every reading of every number in the text: 1.234,56 and 1,234.56 and 1 234.56 are one amount."""
    written = [m.group() for m in _NUMBER.finditer(text)] + [m.group(1) for m in _SPACED.finditer(text)]
    return {reading for number in written for reading in _readings(number)}


def _readings(number: str) -> set[Decimal]:
    """Return what a written number can mean: its last point or comma is the decimal mark, or groups thousands."""
    joined = re.sub(r"[^\d.,]", "", number)
    mark = max(joined.rfind("."), joined.rfind(","))
    readings = {Decimal(re.sub(r"[.,]", "", joined))}
    if mark >= 0:
        readings.add(Decimal(f"{re.sub(r'[.,]', '', joined[:mark])}.{joined[mark + 1 :]}"))
    return readings
