from typing import Any

import pytest

from skillyard.skills import Source
from skillyard.skills.checks import CHECKS, Answer

SKILL: Any = None


def judged(text: str, day: str | None) -> list[str]:
    return list(CHECKS["days_in_text"](Answer(SKILL, {"day": day}, Source(text), {}), field="day"))


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("Signed on 4 March 2025.", "2025-03-04"),
        ("Fait le 04.03.25 à Lyon.", "2025-03-04"),
        ("2025年3月14日に署名。", "2025-03-14"),
    ],
)
def test_a_day_that_the_text_names_passes(text: str, day: str | None) -> None:
    assert judged(text, day) == []


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("Signed in March 2025.", "2025-03-01"),
        ("Signed on 4 March.", "2025-03-04"),
        ("Signed on Tuesday.", "2025-03-04"),
    ],
)
def test_a_day_that_was_made_up_from_a_month_or_a_weekday_fails(text: str, day: str) -> None:
    assert judged(text, day) == [f"day: the text does not name the day {day}"]


def test_what_is_no_date_is_left_to_the_check_of_dates() -> None:
    assert judged("Signed on 4 March 2025.", "soon") == []
