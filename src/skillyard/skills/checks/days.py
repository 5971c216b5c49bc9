"""Checks of days: whether the source itself names them."""

import re
from collections.abc import Iterator
from datetime import date

from skillyard.skills.checks.registry import Answer, check, values_at


@check
def days_in_text(answer: Answer, field: str) -> Iterator[str]:
    """The number of the day and the year of every date stand in the text, so that nothing was added to a month or a bare year."""
    numbers = {int(number) for number in re.findall(r"\d{1,4}", answer.text)}
    for found in values_at(answer.value, field):
        try:
            day = date.fromisoformat(found)
        except ValueError:
            continue  # dates_parse says so
        if day.day not in numbers or not {day.year, day.year % 100} & numbers:
            yield f"{field}: the text does not name the day {found}"
