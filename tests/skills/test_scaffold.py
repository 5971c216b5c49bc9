import shutil
from pathlib import Path
from typing import get_args

import pytest
import skills_ref

from skillyard.errors import ConfigError
from skillyard.lake.tables import RESERVED
from skillyard.skills import run_checks
from skillyard.skills.cases import judge_case, load_cases
from skillyard.skills.inspection import check_skill
from skillyard.skills.kinds import Bucket, Kind
from skillyard.skills.load import load_skill
from skillyard.skills.prompt_file import write_prompt
from skillyard.skills.scaffold import make_skill, open_marks
from skillyard.skills.templates import MARK

NAME = "find-reference"


@pytest.fixture
def skills(tmp_path: Path) -> Path:
    (tmp_path / "skills").mkdir()
    return tmp_path / "skills"


def settle(folder: Path) -> None:
    """Say something wherever a mark stands, as an author would."""
    for file in (path for path in folder.rglob("*.*") if path.suffix != ".pyc"):
        file.write_text(file.read_text().replace(MARK, "Here is"))
    if (skill := load_skill(folder)).kind != "library":
        write_prompt(skill)


@pytest.mark.parametrize("kind", get_args(Kind))
@pytest.mark.parametrize("bucket", get_args(Bucket))
def test_a_new_skill_is_sound_but_for_its_marks(skills: Path, kind: Kind, bucket: Bucket) -> None:
    make_skill(skills, NAME, kind, bucket, "records")
    folder = skills / NAME
    problems = check_skill(folder, RESERVED, ["records"])
    assert problems and all(p.line and p.message.startswith("still to do: ") for p in problems)
    assert {(p.file, p.line) for p in problems} == {(str(file), line) for file, line, _ in open_marks(folder)}
    assert skills_ref.validate(folder) == []
    skill = load_skill(folder)
    assert (skill.kind, skill.bucket, skill.owner) == (kind, bucket, "records")
    settle(folder)
    assert check_skill(folder, RESERVED, ["records"]) == []


@pytest.mark.parametrize("kind", ["library", "mixed"])
@pytest.mark.parametrize("bucket", ["qa-classification", "planning"])
def test_a_new_handler_passes_the_new_cases_or_is_not_sure(skills: Path, kind: Kind, bucket: Bucket) -> None:
    make_skill(skills, NAME, kind, bucket, "records")
    skill = load_skill(skills / NAME)
    answers = {case.id: (case, skill.run_library(case.source)) for case in load_cases(skill)}
    for case, value in answers.values():
        assert value is None or judge_case(case, value) == [f.message for f in run_checks(skill, value, case.source)] == []
    assert {case_id for case_id, (_, value) in answers.items() if value is None} <= {i for i in answers if "not-in-text" in i}


def test_nothing_is_overwritten_and_nothing_half_made_is_left(skills: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = make_skill(skills, NAME, "llm", "planning", "records")
    before = {file: file.read_bytes() for file in files}
    with pytest.raises(ConfigError, match="exists already, and nothing is overwritten"):
        make_skill(skills, NAME, "library", "ingestion", "finance")
    assert {file: file.read_bytes() for file in files} == before
    monkeypatch.setattr("skillyard.skills.scaffold.write_prompt", lambda skill: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        make_skill(skills, "find-other", "llm", "planning", "records")
    assert [folder.name for folder in skills.iterdir()] == [NAME]


@pytest.mark.parametrize("name", ["tone", "Classify-Tone", "classify_tone", "../classify-tone", "classify--tone", "a-" + "b" * 63, ""])
def test_a_name_that_will_not_do_says_what_does(skills: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="such as classify-tone"):
        make_skill(skills, name, "llm", "planning", "records")
    assert list(skills.iterdir()) == []


def test_without_a_project_there_is_nowhere_to_write(skills: Path) -> None:
    shutil.rmtree(skills)
    with pytest.raises(ConfigError, match="set SKILLYARD_HOME"):
        make_skill(skills, NAME, "llm", "planning", "records")
