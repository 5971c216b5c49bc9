"""A model's reply becomes a value: parsed, validated against the skill's schema, or refused with a kind."""

import json
import re
from collections.abc import Mapping
from typing import Any

from skillyard.skills.errors import OutputError
from skillyard.skills.skill import Skill

_FENCE = re.compile(r"\A\s*```[a-zA-Z]*[ \t]*\n(.*?)\n?[ \t]*```\s*\Z", re.DOTALL)
_REFUSAL = re.compile(
    r"\b(I(?:['’]m| am) (?:sorry|unable|not able)|I (?:can(?:['’]|no)t|cannot|won['’]t|must decline)|as an AI\b)", re.IGNORECASE
)


def parse_output(skill: Skill, raw: str, finish_reason: str | None = None) -> dict[str, Any]:
    """Return the reply as a valid value; OutputError of kind schema_error, refusal or truncated."""
    if finish_reason == "content_filter":
        raise OutputError("refusal", "the provider's content filter stopped the answer")
    try:
        value = json.loads(_unwrap(raw), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise _not_json(raw, finish_reason, error) from None
    if isinstance(value, dict):
        _drop_repeats(value, skill.output_schema)
    validate_output(skill, value)
    assert isinstance(value, dict)
    return value


def _unwrap(raw: str) -> str:
    """Return the text inside one markdown fence around the whole reply, or the reply."""
    fenced = _FENCE.match(raw)
    return fenced.group(1) if fenced else raw


def _refuse_constant(word: str) -> Any:
    """Refuse NaN and Infinity: Python reads them, JSON has no such numbers."""
    raise ValueError(f"{word} is not JSON")


def _not_json(raw: str, finish_reason: str | None, error: Exception) -> OutputError:
    """Say why a reply could not be read: cut off, declined, or no JSON at all."""
    start = raw.strip()[:80]
    if finish_reason == "length" or _is_cut(raw):
        return OutputError("truncated", f"the reply ends inside the JSON, {len(raw)} characters in")
    if "{" not in raw and _REFUSAL.search(raw):
        return OutputError("refusal", f"the model declined: {start!r}")
    return OutputError("schema_error", f"the reply is not JSON ({error}); it begins {start!r}")


def _is_cut(raw: str) -> bool:
    """Return whether the text opens a JSON object that more text could complete."""
    text = re.sub(r"\A\s*```[a-zA-Z]*[ \t]*\n", "", raw).lstrip()
    if not text.startswith("{"):
        return False
    depth, in_string, is_escaped = 0, False, False
    for char in text:
        if in_string:
            if is_escaped:
                is_escaped = False
            elif char == "\\":
                is_escaped = True
            elif char == '"':
                in_string = False
        elif char == '"':
            in_string = True
        elif char in "{[":
            depth += 1
        elif char in "}]":
            depth -= 1
    return depth > 0


def _drop_repeats(value: dict[str, Any], schema: Mapping[str, Any]) -> None:
    """Keep the first of equal items in every list that the schema calls a set: a repeat says nothing, and is no reason to ask again."""
    for name, sub in schema["properties"].items():
        if sub.get("x-set") and isinstance(value.get(name), list):
            value[name] = [item for i, item in enumerate(value[name]) if item not in value[name][:i]]


def validate_output(skill: Skill, value: Any) -> None:
    """Raise OutputError, kind schema_error, for the first place where a value breaks the skill's schema."""
    error = next(_validator(skill).iter_errors(value), None)
    if error is not None:
        where = ".".join(str(part) for part in error.absolute_path) or "the top"
        raise OutputError("schema_error", f"at {where}: {error.message[:200]}")


def _validator(skill: Skill) -> Any:
    """Return the compiled validator of the skill's schema, made once per skill object."""
    from jsonschema import Draft202012Validator

    if "_validator" not in skill.__dict__:
        skill.__dict__["_validator"] = Draft202012Validator(skill.output_schema)
    return skill.__dict__["_validator"]
