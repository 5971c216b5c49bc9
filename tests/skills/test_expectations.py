"""A skill's rules written by hand: read, or refused with file and field."""

from pathlib import Path

import pytest

from skillyard.lake.trends import TRENDS
from skillyard.skills import Catalogue, SkillError
from skillyard.skills.expectations import ExpectationsSpec, read_expectations
from skillyard.skills.inspection import check_skill

GOOD = """expectations:
  - type: expect_column_unique_value_count_to_be_between
    kwargs: {column: mood, min_value: 1}
    notes: some mood
"""


def write(include: Path, text: str) -> Path:
    folder = include / "skills" / "name-mood"
    (folder / "expectations.yaml").write_text(text)
    return folder


def fields(folder: Path) -> list[str]:
    return [
        problem.field for problem in check_skill(folder, reserved=["tier"], teams=["records"]) if problem.file.endswith("expectations.yaml")
    ]


@pytest.mark.parametrize("text", [GOOD, GOOD + "    severity: warn\nblocking: [null_share]\n", GOOD.replace("mood,", "tier,")])
def test_a_sound_file_is_no_problem(include: Path, text: str) -> None:
    assert fields(write(include, text)) == []


def test_a_skill_without_the_file_has_no_rules_of_its_own(include: Path) -> None:
    assert read_expectations(include / "skills" / "name-mood") == ExpectationsSpec()


@pytest.mark.parametrize(
    ("before", "after", "field"),
    [
        ("column: mood", "column: mode", "expectations.0.kwargs.column"),
        ("column: mood", "column: len(mood)", "expectations.0.kwargs.column"),
        ("column: mood", "column: mood.size", "expectations.0.kwargs.column"),
        ("unique_value_count", "many", "expectations.0.type"),
        ("min_value", "minimum", "expectations.0.kwargs.minimum"),
        ("column: mood, ", "", "expectations.0.kwargs.column"),
        ("notes: some mood", "severity: loud\n    notes: x", "expectations.0.severity"),
        ("    notes: some mood\n", "", "expectations.0.notes"),
        ("some mood\n", "x\nblocking: [everything]\n", "blocking.0"),
    ],
)
def test_each_problem_of_the_file_is_found_where_it_is(include: Path, before: str, after: str, field: str) -> None:
    assert before in GOOD
    assert fields(write(include, GOOD.replace(before, after))) == [field]


def test_rules_about_results_change_no_answer_and_so_no_fingerprint(include: Path) -> None:
    before = Catalogue(include).load("name-mood").fingerprint()
    write(include, GOOD)
    assert Catalogue(include).load("name-mood").fingerprint() == before


def test_what_a_skill_may_block_on_are_checks_there_are(include: Path) -> None:
    with pytest.raises(SkillError) as raised:
        read_expectations(write(include, "blocking: [everything]\n"))
    assert set(raised.value.allowed) == set(TRENDS) - {"status_share"}
