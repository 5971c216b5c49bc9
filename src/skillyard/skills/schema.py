"""The strict subset of JSON Schema that every provider accepts, and how labels fill its enums."""

from collections.abc import Iterator, Mapping
from typing import Any

from skillyard.skills.errors import SkillError

TYPES = ("object", "array", "string", "integer", "number", "boolean")
KEYWORDS: dict[str, tuple[str, ...]] = {
    "object": ("properties", "required", "additionalProperties"),
    "array": ("items", "minItems", "maxItems", "x-set"),
    "string": ("enum", "enum_from", "format", "x-decimal"),
    "integer": ("enum", "minimum", "maximum", "x-tolerance"),
    "number": ("minimum", "maximum", "x-decimal", "x-tolerance"),
    "boolean": (),
}
"""What may stand beside ``type``, ``description`` and ``x-compare``. ``enum_from`` and the ``x-`` words are ours and never leave for a
provider: ``x-set``: the list is a set, repeats in an answer are dropped; ``x-decimal``: the column is an exact decimal; ``x-tolerance`` and
``x-compare``: how audits compare two answers, see ``agreement``."""
COMPARISONS = ("judge", "tokens", "ignore")
"""Values of ``x-compare``; the first two are for text."""
FORMATS = ("date", "date-time", "time")
MAX_DEPTH, MAX_PROPERTIES = 5, 100
"""Source: https://platform.openai.com/docs/guides/structured-outputs (the tightest published limits)."""


def fill_enums(schema: dict[str, Any], labels: Mapping[str, object], file: str) -> dict[str, Any]:
    """Return the schema with each ``enum_from: labels`` replaced by the names of the labels."""
    if "enum_from" in schema:
        if schema["enum_from"] != "labels":
            raise SkillError(file, "output.schema", f"found enum_from: {schema['enum_from']!r}", ("labels",))
        if not labels:
            raise SkillError(file, "output.schema", "enum_from: labels, but there is no assets/labels.yaml")
        rest = {key: value for key, value in schema.items() if key != "enum_from"}
        return {**rest, "enum": [*labels, *([None] if "null" in _types(schema) else [])]}
    filled = dict(schema)
    if isinstance(schema.get("properties"), dict):
        filled["properties"] = {n: fill_enums(s, labels, file) if isinstance(s, dict) else s for n, s in schema["properties"].items()}
    if isinstance(schema.get("items"), dict):
        filled["items"] = fill_enums(schema["items"], labels, file)
    return filled


def provider_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema as a provider may see it: without our own ``x-`` words."""
    sent = {key: value for key, value in schema.items() if not key.startswith("x-")}
    if "properties" in sent:
        sent["properties"] = {name: provider_schema(sub) for name, sub in sent["properties"].items()}
    if "items" in sent:
        sent["items"] = provider_schema(sent["items"])
    return sent


def schema_problems(schema: Any, where: str = "output.schema") -> list[tuple[str, str]]:
    """Return (field, message) for everything that a provider would refuse, or that no column can hold."""
    problems = list(_problems(schema, where, depth=1))
    if isinstance(schema, dict) and schema.get("type") != "object":
        problems.insert(0, (f"{where}.type", f"found {schema.get('type')!r}. Allowed at the top: object"))
    if _count(schema) > MAX_PROPERTIES:
        problems.append((where, f"{_count(schema)} properties; at most {MAX_PROPERTIES} are allowed"))
    return problems


def _problems(schema: Any, where: str, depth: int) -> Iterator[tuple[str, str]]:
    """Yield what is wrong here and below."""
    if not isinstance(schema, dict):
        yield where, f"found {type(schema).__name__}, a schema is a mapping"
        return
    if depth > MAX_DEPTH:
        yield where, f"nested deeper than {MAX_DEPTH} levels"
        return
    types = _types(schema)
    real = [t for t in types if t != "null"]
    if len(real) != 1 or real[0] not in TYPES or len(types) > 2:
        yield f"{where}.type", f'found {schema.get("type")!r}. Allowed: one of {", ".join(TYPES)}, or [that, "null"]'
        return
    allowed = ("type", "description", "x-compare", *KEYWORDS[real[0]])
    for key in schema:
        if key not in allowed:
            yield f"{where}.{key}", f"not in the subset every provider accepts. Allowed beside type {real[0]}: {', '.join(allowed[1:])}"
    yield from _comparison_problems(schema, real[0], where)
    if "format" in schema and schema["format"] not in FORMATS:
        yield f"{where}.format", f"found {schema['format']!r}. Allowed: {', '.join(FORMATS)}"
    if "enum" in schema and "null" in types and None not in schema["enum"]:
        yield f"{where}.enum", "the type allows null, so the enum has to list null too"
    if real[0] == "object":
        yield from _object_problems(schema, where, depth)
    if real[0] == "array":
        yield from _problems(schema.get("items"), f"{where}.items", depth + 1)


def _comparison_problems(schema: dict[str, Any], kind: str, where: str) -> Iterator[tuple[str, str]]:
    """Yield what an audit could not go by."""
    comparisons = COMPARISONS if kind == "string" else COMPARISONS[-1:]
    if schema.get("x-compare", comparisons[0]) not in comparisons:
        yield f"{where}.x-compare", f"found {schema['x-compare']!r}. Allowed for type {kind}: {', '.join(comparisons)}"
    tolerance = schema.get("x-tolerance", 0)
    if isinstance(tolerance, bool) or not isinstance(tolerance, int | float) or not 0 <= tolerance < float("inf"):
        yield f"{where}.x-tolerance", f"found {tolerance!r}, which has to be a number from 0: the difference that does not count"


def _object_problems(schema: dict[str, Any], where: str, depth: int) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with an object: all of it required, nothing additional."""
    properties = schema.get("properties")
    if not isinstance(properties, dict) or not properties:
        yield f"{where}.properties", "missing; an object names its properties"
        return
    if schema.get("additionalProperties") is not False:
        yield f"{where}.additionalProperties", f"found {schema.get('additionalProperties')!r}. Allowed: false"
    required = schema.get("required")
    if not isinstance(required, list) or sorted(required) != sorted(properties):
        yield (
            f"{where}.required",
            f"found {required!r}. Allowed: every property, here {', '.join(properties)} (what may be absent is nullable)",
        )
    for name, sub in properties.items():
        yield from _problems(sub, f"{where}.properties.{name}", depth + 1)


def _types(schema: Mapping[str, Any]) -> list[Any]:
    """Return the types as a list."""
    declared = schema.get("type")
    return list(declared) if isinstance(declared, list) else [declared]


def _count(schema: Any) -> int:
    """Return how many properties there are, nested ones included."""
    if not isinstance(schema, dict):
        return 0
    properties = schema.get("properties")
    below = sum(1 + _count(sub) for sub in properties.values()) if isinstance(properties, dict) else 0
    return below + _count(schema.get("items"))
