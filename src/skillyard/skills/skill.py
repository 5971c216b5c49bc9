"""One skill as a value: what its files say, with the costly parts read on first use."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from skillyard.skills.errors import SkillError
from skillyard.skills.source import Source
from skillyard.tiers import TIERS


@dataclass(frozen=True, slots=True)
class Limits:
    """What one item may use."""

    input_tokens: int
    output_tokens: int
    timeout_s: float


@dataclass(frozen=True, slots=True)
class Where:
    """A condition on another skill's result of the same document."""

    skill: str
    column: str
    equals: Any


@dataclass(frozen=True, slots=True)
class Taken:
    """What a skill takes from another skill's result of the same document, or of the same page or chunk."""

    skill: str
    column: str
    description: str


@dataclass(frozen=True, slots=True)
class AppliesTo:
    """Which items are a skill's own. An empty tuple accepts any value."""

    kinds: tuple[str, ...]
    globs: tuple[str, ...]
    languages: tuple[str, ...]
    min_chars: int
    max_chars: int | None
    where: tuple[Where, ...]


@dataclass(frozen=True, slots=True)
class Label:
    """One value of a controlled vocabulary."""

    name: str
    description: str
    includes: tuple[str, ...]
    excludes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Parameter:
    """A value a caller may set for a run. An empty ``allowed`` accepts any value of the default's type."""

    name: str
    title: str
    description: str
    default: Any
    allowed: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Check:
    """A named check of ``skillyard.skills.checks`` with its arguments."""

    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Skill:
    """A folder under ``include/skills``. Labels, instructions, schema and fingerprint are read when asked for."""

    name: str
    description: str
    version: str
    bucket: str
    kind: str
    input_unit: str
    tier_default: str
    tier_max: str
    escalate_when: tuple[str, ...]
    applies_to: AppliesTo
    max_pictures: int | None
    """So many of a file's first pages are shown to the model; None for a skill that works on text, or asks no model."""
    takes: Mapping[str, Taken]
    """By the name under which the instructions speak of it; ``text`` stands in for the document's own text."""
    limits: Limits
    output_major: int
    declared_schema: dict[str, Any]
    """The output schema as written, before the labels fill its enums."""
    checks: tuple[Check, ...]
    min_pass_rate: float
    retained_target: float
    """Share of the highest tier's quality that routing has to keep."""
    classifier: bool | Literal["always"]
    """A cheap model is asked how hard an item is, where the router does not know; ``always``: also when that costs more than it saves."""
    owner: str
    schedule: str | None
    parameters: Mapping[str, Parameter]
    share: str
    """Whom a stored answer may serve: the ``team`` that paid for it, or ``all``."""
    cache_ttl_s: int | Literal["fingerprint"] | None
    """How long a published answer stays in the cache: so many seconds, as long as its fingerprint is asked for, or (None) by tier."""
    cosmetic: bool
    """The latest edit does not change what the skill answers: results of the fingerprint before it are carried over."""
    folder: Path
    given_labels: Mapping[str, Label] | None = None
    """The user's own labels, in place of those in the folder."""

    @property
    def lanes(self) -> tuple[str, ...]:
        """Return where its items can be worked on: the library, or the tiers from fast up to the skill's highest."""
        return ("library",) if self.kind == "library" else TIERS[: TIERS.index(self.tier_max) + 1]

    @property
    def sources(self) -> list[str]:
        """Return the skills whose results it works on or goes by."""
        return sorted({w.skill for w in self.applies_to.where} | {t.skill for t in self.takes.values()})

    @cached_property
    def instructions(self) -> str:
        """The body of SKILL.md as written: the system prompt."""
        from skillyard.skills.load import read_body

        return read_body(self.folder)

    @cached_property
    def labels(self) -> Mapping[str, Label] | None:
        """The vocabulary, the user's own or that of ``assets/labels.yaml``, in its order; None when the skill has none."""
        from skillyard.skills.labels import OWN, read_labels

        if self.given_labels is not None:
            return self.given_labels
        return read_labels(self.folder / OWN) if self.has_labels else None

    @property
    def has_labels(self) -> bool:
        """The skill has a vocabulary, which a user may replace."""
        from skillyard.skills.labels import OWN

        return (self.folder / OWN).is_file()

    @cached_property
    def output_schema(self) -> dict[str, Any]:
        """The JSON Schema of one output, enums filled from the labels; SkillError when a provider would refuse it."""
        from skillyard.skills.schema import fill_enums, schema_problems

        file = str(self.folder / "skill.yaml")
        for field, message in schema_problems(self.declared_schema):
            raise SkillError(file, field, message)
        return fill_enums(self.declared_schema, self.labels or {}, file)

    @cached_property
    def request_schema(self) -> dict[str, Any]:
        """The output schema as a provider sees it: without the words that are only ours."""
        from skillyard.skills.schema import provider_schema

        return provider_schema(self.output_schema)

    def with_labels(self, labels: Mapping[str, Label] | None, file: str = "labels") -> "Skill":
        """Return the skill with a user's labels in place of its own, or (None) with its own.

        SkillError when it has none; ``file``: where the labels are from.
        """
        own = replace(self, given_labels=None)
        if labels is None:
            return own
        if own.labels is None:
            raise SkillError(file, "labels", f"{self.name} has no labels that others could take the place of")
        return own if list(labels.items()) == list(own.labels.items()) else replace(self, given_labels=dict(labels))

    def with_defaults(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Return the value of every declared parameter; SkillError on an unknown name or a value not allowed."""
        file = str(self.folder / "skill.yaml")
        for name, value in parameters.items():
            if name not in self.parameters:
                raise SkillError(file, f"parameters.{name}", f"{self.name} has no parameter {name!r}", tuple(self.parameters))
            declared = self.parameters[name]
            if declared.allowed and value not in declared.allowed:
                raise SkillError(file, f"parameters.{name}", f"found {value!r}", tuple(str(v) for v in declared.allowed))
            if type(value) is not type(declared.default):
                raise SkillError(file, f"parameters.{name}", f"found {value!r}", (f"any {type(declared.default).__name__}",))
        return {name: parameters.get(name, declared.default) for name, declared in self.parameters.items()}

    def fingerprint(self, parameters: Mapping[str, Any] = {}) -> str:
        """Return the sha256 over everything that can change an answer: files without cases, labels, parameters."""
        from skillyard.skills.fingerprint import fingerprint

        return fingerprint(self, self.with_defaults(parameters))

    def messages(self, source: Source, parameters: Mapping[str, Any] = {}) -> list[dict[str, str]]:
        """Return the request's messages: instructions, then labels and parameters, inputs and the document last, as data."""
        from skillyard.skills.prompt import messages

        return messages(self, source, self.with_defaults(parameters))

    def run_library(self, source: Source, parameters: Mapping[str, Any] = {}) -> dict[str, Any] | None:
        """Return what ``handler.py`` in the folder makes of the source; OutputError when that breaks the schema.

        None: a mixed skill's library is not sure, and a model is to be asked.
        """
        from skillyard.skills.handler import load_handler
        from skillyard.skills.output import validate_output

        value = load_handler(self.folder)(source, self.with_defaults(parameters))
        if value is not None or self.kind == "library":
            validate_output(self, value)
        return value
