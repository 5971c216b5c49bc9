from pathlib import Path
from typing import Any

import pytest

from skillyard.skills import Catalogue, SkillError
from skillyard.skills.schema import provider_schema, schema_problems


def wrapped(**sub: Any) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "required": ["a"], "properties": {"a": sub}}


@pytest.mark.parametrize(
    ("schema", "field"),
    [
        ({"type": "array", "items": {"type": "string"}}, "output.schema.type"),
        ({**wrapped(type="string"), "additionalProperties": True}, "output.schema.additionalProperties"),
        ({**wrapped(type="string"), "required": []}, "output.schema.required"),
        ({"type": "object", "additionalProperties": False, "required": []}, "output.schema.properties"),
        (wrapped(type="string", minLength=3), "output.schema.properties.a.minLength"),
        (wrapped(type="string", pattern="x"), "output.schema.properties.a.pattern"),
        (wrapped(type="string", format="iban"), "output.schema.properties.a.format"),
        (wrapped(type=["string", "integer"]), "output.schema.properties.a.type"),
        (wrapped(type="null"), "output.schema.properties.a.type"),
        (wrapped(anyOf=[{"type": "string"}]), "output.schema.properties.a.type"),
        (wrapped(type="array"), "output.schema.properties.a.items"),
        (wrapped(type=["string", "null"], enum=["x"]), "output.schema.properties.a.enum"),
        (
            wrapped(**wrapped(**wrapped(**wrapped(**wrapped(type="string"))))),
            "output.schema.properties.a.properties.a.properties.a.properties.a.properties.a",
        ),
    ],
)
def test_what_a_provider_would_refuse_is_named(schema: dict[str, Any], field: str) -> None:
    assert field in [found for found, _ in schema_problems(schema)]


def test_nullable_enums_dates_and_bounded_lists_are_accepted() -> None:
    assert schema_problems(wrapped(type=["string", "null"], enum=["x", None])) == []
    assert schema_problems(wrapped(type=["string", "null"], format="date")) == []
    assert schema_problems(wrapped(type="array", minItems=1, maxItems=4, items={"type": "number", "minimum": 0, "x-decimal": True})) == []


def test_labels_fill_enums_at_any_depth(include: Path) -> None:
    path = include / "skills" / "name-mood" / "skill.yaml"
    source = path.read_text()
    path.write_text(source.replace("type: string, enum_from", 'type: [string, "null"], enum_from'))
    skill = Catalogue(include).load("name-mood")
    assert skill.output_schema["properties"]["mood"]["enum"] == ["glad", "sad", None]
    assert "enum_from" in skill.declared_schema["properties"]["mood"]


def test_enum_from_without_labels_is_an_error(include: Path) -> None:
    (include / "skills" / "name-mood" / "assets" / "labels.yaml").unlink()
    with pytest.raises(SkillError, match=r"there is no assets/labels\.yaml"):
        Catalogue(include).load("name-mood").output_schema  # noqa: B018


def test_our_own_words_are_not_sent() -> None:
    sent = provider_schema(wrapped(type="array", **{"x-set": True}, items={"type": "number", "x-decimal": True}))
    assert sent == wrapped(type="array", items={"type": "number"})
