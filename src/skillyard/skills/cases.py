"""A skill's own cases: texts with what an answer to them has to fulfil. Judging is pure; asking a model is the evals' part."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from skillyard.skills.errors import SkillError
from skillyard.skills.skill import Skill

ASSERTIONS = ("equals", "one_of", "set", "includes", "contains", "lacks", "near")
"""equals: the same value. one_of: one of these. set: the same items in any order. includes: at least these items.
contains, lacks: each of these strings stands, or does not stand, in it, whatever the case.
near: a number within ``within`` of ``value``."""


@dataclass(frozen=True, slots=True)
class Case:
    """One text and, by path of the output (``lines.amount``), the assertions on it."""

    id: str
    text: str
    parameters: Mapping[str, Any]
    expect: Mapping[str, Mapping[str, Any]]


def load_cases(skill: Skill) -> list[Case]:
    """Return ``evals/cases.yaml``; SkillError when a case asserts nothing, or something that cannot be judged."""
    from skillyard.skills.spec import CasesSpec, read_yaml

    file = skill.folder / "evals" / "cases.yaml"
    cases = [Case(c.id, c.text, c.parameters, c.expect) for c in read_yaml(CasesSpec, file).cases]
    for number, case in enumerate(cases):
        _check_case(skill, case, str(file), f"cases.{number}")
        if any(case.id == other.id for other in cases[:number]):
            raise SkillError(str(file), f"cases.{number}.id", f"found {case.id!r} a second time")
    return cases


def judge_case(case: Case, value: Mapping[str, Any]) -> list[str]:
    """Return what an output gets wrong; an empty list means that the case passes."""
    return [
        f"{path}: found {_at(value, path)!r}, expected {name} {expected!r}"
        for path, assertions in case.expect.items()
        for name, expected in assertions.items()
        if not _holds(name, _at(value, path), expected)
    ]


def _check_case(skill: Skill, case: Case, file: str, field: str) -> None:
    """Raise SkillError when a case could not fail."""
    if not case.expect:
        raise SkillError(file, f"{field}.expect", f"the case {case.id!r} asserts nothing", ASSERTIONS)
    skill.with_defaults(case.parameters)
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
            return isinstance(found, str) and all(part.casefold() in found.casefold() for part in _strings(expected))
        case "lacks":
            return not isinstance(found, str) or all(part.casefold() not in found.casefold() for part in _strings(expected))
    is_number = isinstance(found, int | float) and not isinstance(found, bool)
    return is_number and bool(abs(found - expected["value"]) <= expected["within"])


def _strings(expected: Any) -> list[str]:
    """Return one string or several as a list."""
    return [str(part) for part in (expected if isinstance(expected, list) else [expected])]
