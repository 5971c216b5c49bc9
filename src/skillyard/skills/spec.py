"""The shape of the YAML files: pydantic at the edge, extra keys forbidden, messages that say what is allowed."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, PlainValidator, ValidationError
from pydantic_core import PydanticCustomError

from skillyard.skills.errors import SkillError
from skillyard.skills.explanation import explain
from skillyard.skills.kinds import Bucket, Kind

Name = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=64)]
Tier = Literal["fast", "standard", "expert"]
Count = Annotated[int, Field(ge=1)]
Sentence = Annotated[str, Field(min_length=1)]
MAX_USD = 9_000_000
"""The state store counts picodollars in 64 bits."""
MAX_TTL_S = 315_360_000
"""Ten years."""


def _amount(value: Any) -> str:
    if isinstance(value, str) and re.fullmatch(r"\d{1,7}(\.\d{1,12})?", value) and float(value) <= MAX_USD:
        return value
    raise PydanticCustomError("amount", 'has to be an amount in USD in quotes, such as "12.50", at most {max}', {"max": MAX_USD})


def _ttl(value: Any) -> int | str:
    if value == "fingerprint" or (type(value) is int and 0 <= value <= MAX_TTL_S):
        return value  # type: ignore[no-any-return]
    raise PydanticCustomError("ttl", "has to be a number of seconds from 0 to {max}, or the word fingerprint", {"max": MAX_TTL_S})


def _switch(value: Any) -> bool | str:
    if type(value) is bool or value == "always":
        return value  # type: ignore[no-any-return]
    raise PydanticCustomError("switch", "has to be true, false, or the word always")


Amount = Annotated[str, PlainValidator(_amount)]
CacheTtl = Annotated[int | Literal["fingerprint"], PlainValidator(_ttl)]
Switch = Annotated[bool | Literal["always"], PlainValidator(_switch)]


class Strict(BaseModel):
    """Every model of a file: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Metadata(Strict):
    """Our own part of the frontmatter: Agent Skills metadata is a map of strings."""

    version: Annotated[str, Field(pattern=r"^\d+\.\d+\.\d+$")]
    bucket: Bucket


class Frontmatter(Strict):
    """The head of SKILL.md. Source: https://agentskills.io/specification"""

    name: Name
    description: Annotated[str, Field(min_length=1, max_length=1024, pattern=r"\bUse when\b")]
    license: str | None = None
    compatibility: Annotated[str, Field(max_length=500)] | None = None
    allowed_tools: str | None = Field(None, alias="allowed-tools")
    metadata: Metadata


class TierSpec(Strict):
    default: Tier = "fast"
    max: Tier = "expert"


class WhereSpec(Strict):
    skill: Name
    column: Sentence
    equals: str | int | bool


class AppliesToSpec(Strict):
    kinds: list[Sentence] = []
    globs: list[Sentence] = []
    languages: list[Annotated[str, Field(pattern=r"^[a-z]{2,3}$")]] = []
    min_chars: Annotated[int, Field(ge=0)] = 1
    max_chars: Count | None = None
    where: list[WhereSpec] = []


class TakenSpec(Strict):
    skill: Name
    column: Sentence
    description: Sentence


class LimitsSpec(Strict):
    input_tokens: Count
    output_tokens: Count
    timeout_s: Annotated[float, Field(gt=0)]


class OutputSpec(Strict):
    major: Count
    schema_: dict[str, Any] = Field(alias="schema")


class CheckSpec(BaseModel):
    """A check's other keys are its arguments; ``checks.bind`` says which a check takes."""

    model_config = ConfigDict(extra="allow", strict=True)
    name: str


class QualitySpec(Strict):
    min_pass_rate: Annotated[float, Field(ge=0, le=1)]
    retained: Annotated[float, Field(gt=0, le=1)] = 0.95


class RoutingSpec(Strict):
    classifier: Switch = False


class ParameterSpec(Strict):
    title: Sentence
    description: Sentence
    default: str | int | float | bool
    allowed: list[str | int | float | bool] = []


class SkillSpec(Strict):
    """The whole of skill.yaml."""

    kind: Kind
    input_unit: Literal["document", "page", "chunk", "file"]
    owner: Name
    tier: TierSpec = TierSpec()
    escalate_when: list[Literal["schema_error", "failed_check", "refusal", "truncated", "overflow", "unavailable", "disagreement"]] = []
    applies_to: AppliesToSpec
    pictures: Annotated[int, Field(ge=1, le=20)] | None = None
    takes: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")], TakenSpec] = {}
    limits: LimitsSpec
    output: OutputSpec
    checks: list[CheckSpec] = []
    quality: QualitySpec
    routing: RoutingSpec = RoutingSpec()
    schedule: str | None = None
    parameters: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")], ParameterSpec] = {}
    share: Literal["team", "all"] = "team"
    cache_ttl_s: CacheTtl | None = None
    cosmetic: bool = False


class LabelSpec(Strict):
    description: Sentence
    includes: list[Sentence] = []
    excludes: list[Sentence] = []


class LabelsSpec(Strict):
    labels: Annotated[dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")], LabelSpec], Field(min_length=2)]


class CaseSpec(Strict):
    id: Sentence
    text: Sentence | None = None
    file: Annotated[str, Field(pattern=r"^files/[\w.+-]+$")] | None = None
    parameters: dict[str, str | int | float | bool] = {}
    inputs: dict[str, Sentence] = {}
    expect: dict[str, dict[str, Any]] = {}
    refused: str | None = None


class CasesSpec(Strict):
    cases: list[CaseSpec]


class AnswersOfCaseSpec(Strict):
    right: dict[str, Any]
    wrong: dict[str, Any]


class AnswersSpec(Strict):
    answers: dict[Sentence, AnswersOfCaseSpec]


class BudgetSpec(Strict):
    skill: Name | None = None
    per: Literal["run", "day", "month"]
    soft_usd: Amount | None = None
    hard_usd: Amount | None = None
    on_soft: Literal["alert", "lower_tier"] | None = None


class TeamSpec(Strict):
    title: Sentence
    contact: Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$")]
    approval_above_usd: Amount | None = None
    budgets: list[BudgetSpec] = []


class TeamsSpec(Strict):
    teams: dict[Name, TeamSpec]


class EnabledItemSpec(Strict):
    first_items: Count | None = None
    max_input_tokens: Count | None = None


class EnabledSpec(Strict):
    skills: dict[Name, EnabledItemSpec]


class UniqueKeys(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML in which a key may stand once: of two, YAML itself keeps the last and drops the other, such as a limit, silently."""

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"the key {key.value!r} stands here twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


Model = TypeVar("Model", bound=BaseModel)


def read_yaml(model: type[Model], file: Path) -> Model:
    """Return the file as a model; SkillError names the file, the field, what was found and what is allowed."""
    try:
        source = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SkillError(str(file), "", "the file is missing") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SkillError(str(file), "", f"the file cannot be read as UTF-8 text ({error})") from None
    return parse_yaml(model, source, file)


def parse_yaml(model: type[Model], source: str, file: Path) -> Model:
    """Return YAML text as a model; see ``read_yaml``."""
    try:
        value = yaml.load(source, Loader=UniqueKeys)
    except yaml.YAMLError as error:
        raise SkillError(str(file), "", f"this is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(value, dict):
        raise SkillError(str(file), "", f"found {type(value).__name__} at the top", ("a mapping",))
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first, *others = explain(model, error, str(file))
        first.others = tuple(others)
        raise first from None
