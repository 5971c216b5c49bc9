"""The registry of named checks: small functions that say what is wrong with a valid output, given what it came from.

A check is used in skill.yaml by its name plus its arguments::

    checks:
      - {name: max_words, field: summary, limit: 60}

A field is a path of property names; a list on the way means all of its items (``lines.amount``). What is null passes.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from skillyard.skills.errors import SkillError
from skillyard.skills.skill import Check, Skill
from skillyard.skills.source import Source


@dataclass(frozen=True, slots=True)
class CheckFailure:
    """One reason why an answer does not count."""

    check: str
    message: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What a check looks at."""

    skill: Skill
    value: Mapping[str, Any]
    source: Source
    parameters: Mapping[str, Any]

    @property
    def text(self) -> str:
        """The item's text."""
        return self.source.text


CHECKS: dict[str, Callable[..., Iterator[str]]] = {}


def check(function: Callable[..., Iterator[str]]) -> Callable[..., Iterator[str]]:
    """Register a check under its function's name."""
    CHECKS[function.__name__] = function
    return function


def run_checks(skill: Skill, value: Mapping[str, Any], source: Source, parameters: Mapping[str, Any] = {}) -> list[CheckFailure]:
    """Return every failure of the skill's checks, in their order; an empty list means that the answer counts."""
    answer = Answer(skill, value, source, skill.with_defaults(parameters))
    return [CheckFailure(c.name, message) for c in skill.checks for message in CHECKS[c.name](answer, **c.arguments)]


def bind(declared: Check, file: str, field: str) -> None:
    """Raise SkillError when no check has this name or when it does not take these arguments."""
    if declared.name not in CHECKS:
        raise SkillError(file, f"{field}.name", f"found {declared.name!r}", tuple(sorted(CHECKS)))
    taken = {n: p for n, p in inspect.signature(CHECKS[declared.name]).parameters.items() if n != "answer"}
    for argument in declared.arguments:
        if argument not in taken:
            raise SkillError(file, f"{field}.{argument}", f"{declared.name} takes no such argument", tuple(taken))
    for argument, parameter in taken.items():
        if parameter.default is inspect.Parameter.empty and argument not in declared.arguments:
            raise SkillError(file, f"{field}.{argument}", f"{declared.name} needs this argument")


def values_at(value: Any, path: str) -> list[Any]:
    """Return what lies at a path, lists on the way opened; missing and null are left out."""
    found = [value]
    for part in path.split("."):
        opened = [item for here in found for item in (here if isinstance(here, list) else [here])]
        found = [here[part] for here in opened if isinstance(here, dict) and here.get(part) is not None]
    return [item for here in found for item in (here if isinstance(here, list) else [here])]
