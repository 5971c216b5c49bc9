from pathlib import Path

import pytest

from skillyard.errors import UnknownName
from skillyard.skills import Catalogue, SkillError
from skillyard.skills.cases import Case, judge_case, load_cases
from skillyard.skills.enabled import Enabled, load_enabled
from skillyard.skills.inspection import Problem, check_skill
from skillyard.skills.teams import find_team, load_teams


def rewrite(include: Path, file: str, before: str, after: str) -> Path:
    path = include / "skills" / "name-mood" / file
    assert before in path.read_text()
    path.write_text(path.read_text().replace(before, after))
    return include / "skills" / "name-mood"


def test_only_the_cases_are_too_few(include: Path) -> None:
    problems = check_skill(include / "skills" / "name-mood", teams=["records"])
    assert [(Path(p.file).name, p.field) for p in problems] == [("cases.yaml", "cases")]


@pytest.mark.parametrize(
    ("file", "before", "after", "field"),
    [
        ("skill.yaml", "kind: llm", "kind: none", "kind"),
        ("skill.yaml", "additionalProperties: false", "additionalProperties: true", "output.schema.additionalProperties"),
        ("skill.yaml", "label_in_list, field: mood", "label_in_list, field: mode", "checks.0.field"),
        ("skill.yaml", "owner: records", "owner: nobody", "owner"),
        ("skill.yaml", "kind: llm", "kind: library", ""),
        ("SKILL.md", "\nName the mood.\n", "", ""),
        ("assets/labels.yaml", "sad:", "Sad Mood:", "labels.Sad Mood"),
        ("assets/labels.yaml", "{description: content}", "{descripton: content}", "labels.glad.description"),
        ("evals/cases.yaml", "{mood: {equals: glad}}", "{}", "cases.0.expect"),
        ("evals/cases.yaml", "{equals: glad}", "{}", "cases.0.expect.mood"),
        ("evals/cases.yaml", "{equals: glad}", "{equal: glad}", "cases.0.expect.mood.equal"),
        ("evals/cases.yaml", "{mood: {equals", "{mode: {equals", "cases.0.expect.mode"),
        ("evals/cases.yaml", "equals: glad", "near: 3", "cases.0.expect.mood.near"),
    ],
)
def test_each_problem_is_found_where_it_is(include: Path, file: str, before: str, after: str, field: str) -> None:
    problems = check_skill(rewrite(include, file, before, after), teams=["records"])
    assert field in [problem.field for problem in problems]


@pytest.mark.parametrize(
    ("file", "before", "after", "line", "said"),
    [
        ("SKILL.md", "bucket: qa-classification", "bucket: misc", 6, "Allowed: ingestion, qa-classification"),
        ("SKILL.md", "name: name-mood", "name: name-mood\nname: x", 3, "stands here twice"),
        ("skill.yaml", "kind: llm", "kin: llm", 1, "this field is missing. Allowed: llm, library, mixed"),
        ("skill.yaml", "label_in_list, field", "label_in_list, feld", 16, "takes no such argument. Allowed: field"),
        ("skill.yaml", "type: string", "type: text", 14, "Allowed: one of object, array"),
        ("evals/cases.yaml", "equals: glad", "equal: glad", 4, "Allowed: equals, one_of"),
        ("evals/answers.yaml", "right: {mood: glad}", "right: {mood: sad}", 3, "it does not pass"),
    ],
)
def test_a_problem_has_its_line_and_what_is_allowed(include: Path, file: str, before: str, after: str, line: int, said: str) -> None:
    folder = rewrite(include, file, before, after)
    found = {(p.file, p.line) for p in check_skill(folder, teams=["records"]) if said in p.message}
    assert found == {(str(folder / file), line)}


def test_everything_that_is_wrong_in_a_file_is_told_at_once(include: Path) -> None:
    folder = rewrite(include, "skill.yaml", "input_unit: document", "input_unit: volume")
    rewrite(include, "skill.yaml", "owner: records", "owners: records")
    rewrite(include, "skill.yaml", "default: dry, allowed: [dry, warm]", "default: [dry]")
    found = {(p.field, p.line): p.message for p in check_skill(folder, teams=["records"])}
    assert found["input_unit", 2] == "found 'volume'. Allowed: document, page, chunk, file"
    assert found["owner", 1] == "this field is missing" and "Allowed: applies_to" in found["owners", 3]
    assert found["parameters.tone.default", 19] == "found ['dry']. Allowed: text, a whole number, a number, true or false"


def test_a_problem_reads_as_a_compiler_would_say_it() -> None:
    assert str(Problem("skill.yaml", "kind", "found 1", 3)) == "skill.yaml:3: kind: found 1"
    assert str(Problem("handler.py", "", "the file is missing")) == "handler.py: the file is missing"


@pytest.mark.parametrize(("code", "line"), [("def handle(:\n", 1), ("import nothing_of_that_name\n", None), ("1 / 0\n", None)])
def test_a_handler_that_cannot_be_imported_is_a_problem(include: Path, code: str, line: int | None) -> None:
    folder = rewrite(include, "skill.yaml", "kind: llm", "kind: library")
    (folder / "handler.py").write_text(code)
    [problem] = [p for p in check_skill(folder) if p.file.endswith("handler.py")]
    assert "it cannot be imported" in problem.message and problem.line == line


def test_reserved_output_names_are_a_problem(include: Path) -> None:
    folder = include / "skills" / "name-mood"
    assert any("choose another" in problem.message for problem in check_skill(folder, reserved={"mood"}))


def test_case_without_an_assertion_fails_to_load(include: Path) -> None:
    rewrite(include, "evals/cases.yaml", "{mood: {equals: glad}}", "{}")
    with pytest.raises(SkillError, match="'one' asserts nothing"):
        load_cases(Catalogue(include).load("name-mood"))


@pytest.mark.parametrize(
    ("assertion", "expected", "good", "bad"),
    [
        ("equals", None, None, ""),
        ("one_of", ["a", "b"], "b", "c"),
        ("set", ["a", "b"], ["b", "a"], ["a", "b", "c"]),
        ("includes", ["a"], ["b", "a"], ["b"]),
        ("contains", ["Ä", "b"], "xä B", "b"),
        ("contains", "a", "A", None),
        ("lacks", "a", None, "xA"),
        ("near", {"value": 1, "within": 0.1}, 1.05, 1.2),
        ("near", {"value": 1, "within": 0.1}, 1, True),
    ],
)
def test_assertions_hold_and_fail(assertion: str, expected: object, good: object, bad: object) -> None:
    case = Case("x", "text", {}, {"field": {assertion: expected}})
    assert judge_case(case, {"field": good}) == []
    assert len(judge_case(case, {"field": bad})) == 1


def test_paths_open_lists() -> None:
    case = Case("x", "text", {}, {"lines.amount": {"equals": [1, 2]}})
    assert judge_case(case, {"lines": [{"amount": 1}, {"amount": 2}]}) == []
    assert judge_case(case, {"lines": []}) == ["lines.amount: found [], expected equals [1, 2]"]


def test_enabled_file_is_read_and_its_names_are_known(tmp_path: Path) -> None:
    path = tmp_path / "enabled.yaml"
    path.write_text("skills:\n  name-mood: {first_items: 3, max_input_tokens: 900}\n  other: {}\n")
    assert load_enabled(path) == {"name-mood": Enabled(3, 900), "other": Enabled(None, None)}
    with pytest.raises(UnknownName, match="unknown skill 'other'"):
        load_enabled(path, ["name-mood"])
    path.write_text("skills: {a: {first_items: 0}}")
    with pytest.raises(SkillError, match=r"enabled\.yaml: skills\.a\.first_items: found 0"):
        load_enabled(path)


def test_teams_are_read_and_an_unknown_one_is_named(tmp_path: Path) -> None:
    path = tmp_path / "teams.yaml"
    path.write_text("teams:\n  records: {title: Records, contact: r@example.com}\n")
    teams = load_teams(path)
    assert teams["records"].budgets == () and teams["records"].approval_above_usd is None
    with pytest.raises(UnknownName, match=r"unknown team 'record'\. Did you mean 'records'"):
        find_team(teams, "record")
    path.write_text("teams: {records: {title: R, contact: nobody}}")
    with pytest.raises(SkillError, match=r"teams\.records\.contact: found 'nobody'"):
        load_teams(path)


def test_a_prompt_that_is_missing_or_out_of_date_is_a_problem_with_the_command_that_mends_it(include: Path) -> None:
    folder = rewrite(include, "SKILL.md", "Name the mood.", "Name that mood.")
    kept = folder / "evals" / "prompt.md"
    for said in ("it is not what a model is sent now", "the file is missing"):
        [problem] = [p for p in check_skill(folder) if p.file == str(kept)]
        assert problem.message.startswith(said) and problem.message.endswith("skillyard skills prompt name-mood --write")
        kept.unlink(missing_ok=True)
