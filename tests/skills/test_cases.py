"""What a case may leave to a judge, and what not."""

import pytest

from skillyard.skills import Skill, SkillError
from skillyard.skills.cases import load_cases, to_judge


def write(skill: Skill, expect: str) -> None:
    text = f"cases:\n  - id: one\n    text: I am glad.\n    expect: {expect}\n"
    (skill.folder / "evals" / "cases.yaml").write_text(text)


def test_a_sentence_to_judge_stands_beside_what_lies_at_its_path(mood: Skill) -> None:
    write(mood, "{mood: {equals: glad, judge: It is a feeling.}}")
    (case,) = load_cases(mood)
    assert to_judge(case, {"mood": "glad"}) == [("mood", "glad", "It is a feeling.")]


@pytest.mark.parametrize(
    ("expect", "field"),
    [
        ("{mood: {judge: It is a feeling.}}", "cases.0.expect"),
        ("{mood: {equals: glad, judge: [It is a feeling.]}}", "cases.0.expect.mood.judge"),
        ("{mood: {equals: glad, judge: ' '}}", "cases.0.expect.mood.judge"),
    ],
)
def test_a_case_that_only_a_model_can_fail_or_that_says_nothing_is_refused(mood: Skill, expect: str, field: str) -> None:
    write(mood, expect)
    with pytest.raises(SkillError) as refused:
        load_cases(mood)
    assert refused.value.field == field
