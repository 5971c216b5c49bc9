"""A skill's own cases: texts with what an answer to them has to fulfil. Judging is pure; asking a model is the evals' part."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from skillyard.documents.result import ERROR_KINDS, Refused
from skillyard.documents.showing import show
from skillyard.skills.errors import SkillError
from skillyard.skills.skill import Skill
from skillyard.skills.source import TEXT, Source

if TYPE_CHECKING:
    from skillyard.skills.spec import CaseSpec

ASSERTIONS = ("equals", "one_of", "set", "includes", "contains", "lacks", "near", "judge")
"""equals: the same value. one_of: one of these. set: the same items in any order. includes: at least these items.
contains, lacks: each of these strings stands, or does not stand, in it (of a list: in one of its items), whatever the case.
near: a number within ``within`` of ``value``. judge: a sentence that has to be true of it, which a model is asked; see ``evals``."""


@dataclass(frozen=True, slots=True)
class Case:
    """One text or file and, by path of the output (``lines.amount``), the assertions on it."""

    id: str
    source: Source
    parameters: Mapping[str, Any]
    expect: Mapping[str, Mapping[str, Any]]
    refused: str | None = None
    """In place of assertions: the error_kind with which a file has to be refused."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """Two answers to a case that stand in ``evals/answers.yaml``: one that has to pass, and one that has to fail."""

    right: Mapping[str, Any]
    wrong: Mapping[str, Any]


def load_cases(skill: Skill) -> list[Case]:
    """Return ``evals/cases.yaml``; SkillError when a case asserts nothing, or something that cannot be judged."""
    from skillyard.skills.spec import CasesSpec, read_yaml

    file = skill.folder / "evals" / "cases.yaml"
    spec = read_yaml(CasesSpec, file).cases
    cases = [Case(c.id, _source(skill, c, str(file), f"cases.{n}"), c.parameters, c.expect, c.refused) for n, c in enumerate(spec)]
    for number, case in enumerate(cases):
        _check_case(skill, case, str(file), f"cases.{number}")
        if any(case.id == other.id for other in cases[:number]):
            raise SkillError(str(file), f"cases.{number}.id", f"found {case.id!r} a second time")
    return cases


def load_answers(skill: Skill) -> dict[str, Recorded]:
    """Return ``evals/answers.yaml`` by the id of the case; SkillError when a case is missing there, or is not known."""
    from skillyard.skills.spec import AnswersSpec, read_yaml

    file, ids = skill.folder / "evals" / "answers.yaml", tuple(case.id for case in load_cases(skill))
    answers = {case_id: Recorded(a.right, a.wrong) for case_id, a in read_yaml(AnswersSpec, file).answers.items()}
    for case_id in answers:
        if case_id not in ids:
            raise SkillError(str(file), f"answers.{case_id}", "there is no such case", ids)
    for case_id in ids:
        if case_id not in answers:
            raise SkillError(str(file), f"answers.{case_id}", "this case has no recorded answers: one that is right and one that is wrong")
    return answers


def judge_case(case: Case, value: Mapping[str, Any]) -> list[str]:
    """Return what an output gets wrong as far as no model is asked; an empty list means that the case passes."""
    return [
        f"{path}: found {_at(value, path)!r}, expected {name} {expected!r}"
        for path, assertions in case.expect.items()
        for name, expected in assertions.items()
        if name != "judge" and not _holds(name, _at(value, path), expected)
    ]


def to_judge(case: Case, value: Mapping[str, Any]) -> list[tuple[str, Any, str]]:
    """Return what a model has to judge of an output: path, what lies there, and the sentence that has to be true of it."""
    return [(path, _at(value, path), a["judge"]) for path, a in case.expect.items() if "judge" in a]


def _source(skill: Skill, spec: "CaseSpec", file: str, field: str) -> Source:
    """Return what a case is about: a text, or a file that lies beside the cases."""
    asked, other = ("file", "text") if skill.input_unit == "file" else ("text", "file")
    if getattr(spec, asked) is None or getattr(spec, other) is not None:
        raise SkillError(file, f"{field}.{asked}", f"a case of input_unit {skill.input_unit} has a {asked} and no {other}")
    if spec.file is None:
        return Source(spec.text or "", spec.inputs)
    try:
        data = (skill.folder / "evals" / spec.file).read_bytes()
        pictures = show(data, skill.max_pictures) if skill.max_pictures else []
        return Source(data=data, pictures=tuple(pictures), name=spec.file.removeprefix("files/"))
    except (OSError, Refused) as error:
        raise SkillError(file, f"{field}.file", f"found {spec.file!r}, which cannot be read ({error})") from None


def _check_case(skill: Skill, case: Case, file: str, field: str) -> None:
    """Raise SkillError when a case could not fail."""
    if bool(case.expect) == bool(case.refused):
        raise SkillError(file, f"{field}.expect", f"the case {case.id!r} asserts nothing, or is refused as well", ASSERTIONS)
    if case.refused and (skill.input_unit != "file" or skill.kind == "llm" or case.refused not in ERROR_KINDS):
        raise SkillError(file, f"{field}.refused", f"found {case.refused!r}; only what reads a file refuses it", tuple(ERROR_KINDS))
    skill.with_defaults(case.parameters)
    taken = tuple(name for name in skill.takes if name != TEXT)
    if set(case.source.inputs) != set(taken):
        raise SkillError(
            file, f"{field}.inputs", f"found {', '.join(case.source.inputs) or 'none'}", taken or ("none: the skill takes none",)
        )
    outputs = tuple(skill.output_schema["properties"])
    for path, assertions in case.expect.items():
        if path.split(".")[0] not in outputs:
            raise SkillError(file, f"{field}.expect.{path}", "the skill has no such output", outputs)
        if not assertions:
            raise SkillError(file, f"{field}.expect.{path}", f"the case {case.id!r} asserts nothing about it", ASSERTIONS)
        for name, expected in assertions.items():
            if name not in ASSERTIONS:
                raise SkillError(file, f"{field}.expect.{path}.{name}", "this assertion is not known", ASSERTIONS)
            if name == "near" and not (isinstance(expected, dict) and set(expected) == {"value", "within"}):
                raise SkillError(file, f"{field}.expect.{path}.near", f"found {expected!r}", ("{value: number, within: number}",))
            if name == "judge" and not (isinstance(expected, str) and expected.strip()):
                raise SkillError(file, f"{field}.expect.{path}.judge", f"found {expected!r}", ("a sentence",))
    if case.expect and all(set(assertions) == {"judge"} for assertions in case.expect.values()):
        raise SkillError(file, f"{field}.expect", f"the case {case.id!r} leaves everything to a judge", ASSERTIONS[:-1])


def _at(value: Any, path: str) -> Any:
    """Return what lies at a path; behind a list, the list of what lies there in each item."""
    for part in path.split("."):
        if isinstance(value, list):
            value = [item.get(part) for item in value if isinstance(item, dict)]
        else:
            value = value.get(part) if isinstance(value, dict) else None
    return value


def _holds(name: str, found: Any, expected: Any) -> bool:
    """Return whether one assertion is true."""
    match name:
        case "equals":
            return bool(found == expected)
        case "one_of":
            return found in expected
        case "set":
            return isinstance(found, list) and sorted(map(repr, found)) == sorted(map(repr, expected))
        case "includes":
            return isinstance(found, list) and all(item in found for item in expected)
        case "contains":
            return all(any(part.casefold() in text for text in _texts(found)) for part in _strings(expected))
        case "lacks":
            return not any(part.casefold() in text for part in _strings(expected) for text in _texts(found))
    is_number = isinstance(found, int | float) and not isinstance(found, bool)
    return is_number and bool(abs(found - expected["value"]) <= expected["within"])


def _texts(found: Any) -> list[str]:
    """Return the strings in an output, in small letters."""
    return [item.casefold() for item in (found if isinstance(found, list) else [found]) if isinstance(item, str)]


def _strings(expected: Any) -> list[str]:
    """Return one string or several as a list."""
    return [str(part) for part in (expected if isinstance(expected, list) else [expected])]
