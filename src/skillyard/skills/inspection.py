"""Inspect a skill's folder as a whole: everything that is wrong with it, not only the first thing."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from skillyard.skills.cases import Case, judge_case, load_answers, load_cases
from skillyard.skills.checks import run_checks
from skillyard.skills.errors import OutputError, SkillError
from skillyard.skills.expectations import FILE, column_problems, read_expectations
from skillyard.skills.graph import find_cycle, sources_of
from skillyard.skills.handler import load_handler
from skillyard.skills.lines import line_of
from skillyard.skills.load import load_skill
from skillyard.skills.output import validate_output
from skillyard.skills.prompt_file import path_of, prompt_problems
from skillyard.skills.scaffold import open_marks
from skillyard.skills.schema import schema_problems
from skillyard.skills.skill import Skill

MIN_CASES = {"llm": 8, "mixed": 8, "library": 5}
FIELD_ARGUMENTS = ("field", "fields", "parts", "equal", "flag", "label")
"""The arguments of checks that name an output."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to mend."""

    file: str
    field: str
    message: str
    line: int | None = None
    """Where the field stands in the file, from 1; None when that is no question of a line."""

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        return f"{where}: {self.field}: {self.message}" if self.field else f"{where}: {self.message}"


def check_skill(folder: Path, reserved: Collection[str] = (), teams: Collection[str] | None = None) -> list[Problem]:
    """Return every problem of a skill's folder with its line, an empty list when it is sound.

    ``reserved``: column names an output may not use (the lake's ``RESERVED``). ``teams``: the owners there are.
    """
    found = [*_folder_problems(folder, reserved, teams), *_open_problems(folder)]
    return [p if p.line else replace(p, line=line_of(Path(p.file), p.field)) for p in dict.fromkeys(found)]


def _folder_problems(folder: Path, reserved: Collection[str], teams: Collection[str] | None) -> list[Problem]:
    """Return the problems of what the files say."""
    try:
        skill = load_skill(folder)
    except SkillError as error:
        return _problems_of(error)
    file = str(folder / "skill.yaml")
    parts = (
        [Problem(file, field, message) for field, message in schema_problems(skill.declared_schema)],
        _tried(lambda: skill.output_schema),
        _tried(lambda: skill.fingerprint()),
        _handler_problems(folder) if skill.kind != "llm" else [],
        _instruction_problems(skill),
        _output_problems(skill, file, reserved),
        _expectation_problems(skill, reserved),
        _case_problems(skill),
        _answer_problems(skill) if skill.kind != "library" else [],
        _prompt_problems(skill),
        _source_problems(skill, reserved),
        _cycle_problems(skill),
    )
    problems = [problem for part in parts for problem in part]
    if teams is not None and skill.owner not in teams:
        problems.append(Problem(file, "owner", f"found {skill.owner!r}. Allowed: {', '.join(sorted(teams))}"))
    return problems


def _open_problems(folder: Path) -> Iterator[Problem]:
    """Yield what ``skills new`` left for the author to say."""
    yield from (Problem(str(file), "", f"still to do: {what}", line) for file, line, what in open_marks(folder))


def _tried(read: Callable[[], object]) -> list[Problem]:
    """Return what reading a lazy part complains about."""
    try:
        read()
    except SkillError as error:
        return _problems_of(error)
    return []


def _handler_problems(folder: Path) -> Iterator[Problem]:
    """Yield why a handler cannot be loaded; whatever its module raises is the author's to mend."""
    try:
        load_handler(folder)
    except SkillError as error:
        yield from _problems_of(error)
    except Exception as error:
        line = error.lineno if isinstance(error, SyntaxError) else None
        yield Problem(str(folder / "handler.py"), "", f"it cannot be imported: {type(error).__name__}: {error}", line)


def _instruction_problems(skill: Skill) -> Iterator[Problem]:
    """Yield a missing body; a model cannot work without one."""
    if not skill.instructions:
        yield Problem(str(skill.folder / "SKILL.md"), "", "there are no instructions below the frontmatter")


def _output_problems(skill: Skill, file: str, reserved: Collection[str]) -> Iterator[Problem]:
    """Yield outputs that are reserved columns, and checks on outputs that do not exist."""
    outputs = skill.declared_schema.get("properties")
    if not isinstance(outputs, dict):
        return
    for name in outputs:
        if name in reserved:
            yield Problem(file, f"output.schema.properties.{name}", "every result has a column of this name already: choose another")
    for number, declared in enumerate(skill.checks):
        for argument in FIELD_ARGUMENTS:
            named = declared.arguments.get(argument, [])
            for path in [named] if isinstance(named, str) else named:
                if path.split(".")[0] not in outputs:
                    message = f"found {path!r}. Allowed: {', '.join(outputs)}"
                    yield Problem(file, f"checks.{number}.{argument}", message)


def _expectation_problems(skill: Skill, reserved: Collection[str]) -> Iterator[Problem]:
    """Yield rules about results that could not be checked."""
    file = str(skill.folder / FILE)
    try:
        spec, schema = read_expectations(skill.folder), skill.output_schema
    except SkillError as error:
        yield from _problems_of(error)
    else:
        yield from (Problem(file, field, message) for field, message in column_problems(spec, schema, reserved))


def _case_problems(skill: Skill) -> Iterator[Problem]:
    """Yield too few cases, and cases that cannot be judged."""
    try:
        n_cases = len(load_cases(skill))
    except SkillError as error:
        yield from _problems_of(error)
    else:
        if n_cases < MIN_CASES[skill.kind]:
            message = f"found {n_cases}. At least {MIN_CASES[skill.kind]} are needed for kind {skill.kind}"
            yield Problem(str(skill.folder / "evals" / "cases.yaml"), "cases", message)


def _answer_problems(skill: Skill) -> Iterator[Problem]:
    """Yield recorded answers that are judged otherwise than they should be: cases that a wrong answer passes say nothing."""
    file = str(skill.folder / "evals" / "answers.yaml")
    try:
        cases, answers = load_cases(skill), load_answers(skill)
        for case in cases:
            for name, value in (("right", answers[case.id].right), ("wrong", answers[case.id].wrong)):
                found = _judged(skill, case, value)
                if found and name == "right":
                    yield Problem(file, f"answers.{case.id}.right", f"it does not pass: {'; '.join(found)}")
                if not found and name == "wrong":
                    yield Problem(
                        file, f"answers.{case.id}.wrong", "it passes: neither a check nor what the case expects tells it from a right one"
                    )
    except SkillError as error:
        yield from _problems_of(error)


def _prompt_problems(skill: Skill) -> Iterator[Problem]:
    """Yield a kept prompt that is not there, or not what a model is sent now; a library skill has none."""
    if skill.kind != "library":
        yield from (Problem(str(path_of(skill)), field, message) for field, message in prompt_problems(skill))


def _judged(skill: Skill, case: Case, value: Mapping[str, Any]) -> list[str]:
    """Return what schema, checks and case find wrong with an answer."""
    try:
        validate_output(skill, value)
    except OutputError as error:
        return [error.message]
    failures = run_checks(skill, value, case.source, case.parameters)
    return [f"{failure.check}: {failure.message}" for failure in failures] + judge_case(case, value)


def _source_problems(skill: Skill, reserved: Collection[str]) -> Iterator[Problem]:
    """Yield other skills' results that a skill names and that do not exist."""
    named = [(f"applies_to.where.{n}", w.skill, w.column) for n, w in enumerate(skill.applies_to.where)]
    named += [(f"takes.{name}", t.skill, t.column) for name, t in skill.takes.items()]
    known = {folder.name for folder in skill.folder.parent.iterdir() if (folder / "skill.yaml").exists()} if named else set()
    file = str(skill.folder / "skill.yaml")
    for field, other, column in named:
        if other not in known:
            close = get_close_matches(other, known, n=1)
            hint = f"Did you mean {close[0]!r}? " if close else ""
            yield Problem(file, f"{field}.skill", f"found {other!r}, which is no skill. {hint}See: skillyard skills list")
            continue
        columns = _columns_of(skill.folder.parent / other, reserved)
        if columns and column not in columns:
            yield Problem(file, f"{field}.column", f"found {column!r}. Allowed: {', '.join(columns)}")


def _columns_of(folder: Path, reserved: Collection[str]) -> tuple[str, ...]:
    """Return the columns of a skill's results; none when its own files have problems, which are told there."""
    try:
        return (*load_skill(folder).declared_schema.get("properties", {}), *sorted(reserved))
    except SkillError:
        return ()


def _cycle_problems(skill: Skill) -> Iterator[Problem]:
    """Yield a circle of skills that wait for each other's results: none of them would ever begin."""
    cycle = find_cycle(skill.name, lambda name: sources_of(skill.folder.parent / name))
    if cycle:
        where = "applies_to.where" if cycle[1] in {w.skill for w in skill.applies_to.where} else "takes"
        way = " → ".join(cycle)
        yield Problem(str(skill.folder / "skill.yaml"), where, f"the skills wait for each other: {way}. Take one of these steps out")


def _problems_of(error: SkillError) -> list[Problem]:
    """Return a raised error, and what else is wrong in its file, as problems."""
    return [
        Problem(e.file, e.field, e.message + (f". Allowed: {', '.join(e.allowed)}" if e.allowed else "")) for e in (error, *error.others)
    ]
