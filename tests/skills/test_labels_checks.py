from typing import Any

import pytest

from skillyard.skills import Source
from skillyard.skills.checks import CHECKS, Answer


def judged(name: str, value: dict[str, Any], **arguments: Any) -> list[str]:
    skill: Any = None
    return list(CHECKS[name](Answer(skill, value, Source(""), {}), **arguments))


@pytest.mark.parametrize("topics", [["other"], ["sport"], ["sport", "health"], [], ["other", "other"]])
def test_nothing_fits_and_real_labels_pass_apart(topics: list[str]) -> None:
    assert judged("stands_alone", {"topics": topics}, field="topics", values=["other"]) == []


def test_nothing_fits_beside_a_real_label_fails() -> None:
    found = judged("stands_alone", {"topics": ["sport", "other"]}, field="topics", values=["other"])
    assert found == ["topics: 'other' stands beside 'sport'"]


@pytest.mark.parametrize(
    ("label", "intensity", "is_sound"), [("neutral", 0, True), ("neutral", 1, False), ("anger", 0, False), ("anger", 3, True)]
)
def test_only_the_label_for_no_feeling_has_intensity_zero(label: str, intensity: int, is_sound: bool) -> None:
    found = judged("zero_when", {"label": label, "intensity": intensity}, field="intensity", label="label", values=["neutral"])
    assert (found == []) is is_sound
