from typing import Any

import pytest

from skillyard.skills import Source
from skillyard.skills.checks import CHECKS, Answer


def judged(value: dict[str, Any], field: str, threshold: float = 0.5) -> list[str]:
    answer = Answer(None, value, Source(""), {})  # type: ignore[arg-type]
    return list(CHECKS["flag_at"](answer, flag="is_on", field=field, threshold=threshold))


@pytest.mark.parametrize(
    ("is_on", "scores", "is_sound"),
    [
        (True, {"a": 0.1, "b": 0.5}, True),
        (True, {"a": 0.1, "b": 0.49}, False),
        (False, {"a": 0.1, "b": 0.49}, True),
        (False, {"a": 0.9, "b": 0}, False),
    ],
)
def test_flag_goes_by_the_highest_score_of_an_object(is_on: bool, scores: dict[str, float], is_sound: bool) -> None:
    assert (judged({"is_on": is_on, "scores": scores}, "scores") == []) is is_sound


def test_flag_goes_by_one_score_or_by_the_scores_of_a_list() -> None:
    assert judged({"is_on": True, "score": 0.7}, "score") == []
    assert judged({"is_on": False, "items": [{"score": 0.2}, {"score": 0.7}]}, "items.score") == [
        "is_on is false, but items.score reaches 0.5: its highest is 0.7"
    ]


def test_flag_is_false_where_there_is_no_score() -> None:
    assert judged({"is_on": False, "items": []}, "items.score") == []
    assert judged({"is_on": True, "items": []}, "items.score") == ["is_on is true, but items.score is below 0.5: its highest is 0"]
