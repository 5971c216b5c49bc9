from typing import Any

import pytest

from skillyard.skills import Source
from skillyard.skills.checks import CHECKS, Answer

SKILL: Any = None


def judged(value: dict[str, Any]) -> list[str]:
    return list(CHECKS["given_when"](Answer(SKILL, value, Source(""), {}), field="reasons", label="level", values=["secret"]))


def test_a_label_that_needs_a_reason_fails_without_one() -> None:
    assert judged({"level": "secret", "reasons": []}) == ["reasons is empty, but level is 'secret'"]
    assert judged({"level": "secret", "reasons": None}) == ["reasons is empty, but level is 'secret'"]


@pytest.mark.parametrize("reasons", [[], ["a password"]])
def test_other_labels_may_have_reasons_or_none(reasons: list[str]) -> None:
    assert judged({"level": "open", "reasons": reasons}) == []


def test_a_label_with_its_reason_passes() -> None:
    assert judged({"level": "secret", "reasons": ["a password"]}) == []
