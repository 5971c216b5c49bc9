"""Checks of ratings and of the numbers made from them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillyard.skills import Skill, Source
from skillyard.skills.checks import CHECKS, Answer


def judged(name: str, value: dict[str, Any], skill: Any = None, **arguments: Any) -> list[str]:
    return list(CHECKS[name](Answer(skill, value, Source(""), {}), **arguments))


def test_every_label_is_rated_exactly_once(mood: Skill) -> None:
    def rated(*names: str) -> list[str]:
        return judged("each_label_once", {"scores": [{"criterion": name} for name in names]}, mood, field="scores.criterion")

    assert rated("sad", "glad") == []
    assert rated("glad") == ["scores.criterion: 'sad' stands 0 times. Allowed: once"]
    assert rated("glad", "sad", "glad") == ["scores.criterion: 'glad' stands 2 times. Allowed: once"]


@given(st.lists(st.integers(1, 5), min_size=1, max_size=12))
def test_a_total_rounded_to_two_decimals_is_the_mean(scores: list[int]) -> None:
    value = {"scores": [{"score": score} for score in [*scores, None]], "total": round(sum(scores) / len(scores), 2)}
    assert judged("mean_of", value, field="total", parts=["scores.score"]) == []
    assert judged("mean_of", {**value, "total": value["total"] + 0.1}, field="total", parts=["scores.score"])
    assert judged("mean_of", {**value, "total": None}, field="total", parts=["scores.score"])


@pytest.mark.parametrize(("total", "n_problems"), [(None, 0), (0, 1), (3.0, 1)])
def test_the_mean_of_nothing_is_null(total: float | None, n_problems: int) -> None:
    assert len(judged("mean_of", {"scores": [{"score": None}], "total": total}, field="total", parts=["scores.score"])) == n_problems


@pytest.mark.parametrize(
    ("verdicts", "score", "is_sound"),
    [
        ("yes yes no", 0.67, True),
        ("yes yes no", 0.66, True),
        ("yes yes no", 0.7, False),
        ("yes yes", 1, True),
        ("no", 0, True),
        ("no", None, False),
        ("", None, True),
        ("", 1, False),
    ],
)
def test_the_share_is_that_of_the_named_values(verdicts: str, score: float | None, is_sound: bool) -> None:
    value = {"sentences": [{"verdict": verdict} for verdict in verdicts.split()], "score": score}
    assert (judged("share_of", value, field="score", label="sentences.verdict", values=["yes"]) == []) is is_sound
