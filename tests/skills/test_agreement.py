from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillyard.skills import Catalogue
from skillyard.skills.agreement import agreement, texts_to_judge
from skillyard.skills.schema import provider_schema, schema_problems
from tests.conftest import ROOT

LINE = {
    "type": "object",
    "additionalProperties": False,
    "required": ["what", "amount"],
    "properties": {"what": {"type": "string"}, "amount": {"type": "number", "x-decimal": True}},
}


def one(sub: dict[str, Any], a: Any, b: Any, judged: dict[tuple[str, str], float] | None = None) -> float:
    """Return the agreement of answers with one field."""
    schema = {"type": "object", "additionalProperties": False, "required": ["field"], "properties": {"field": sub}}
    assert schema_problems(schema) == []
    return agreement(schema, {"field": a}, {"field": b}, judged or {})[0]


@pytest.mark.parametrize(
    ("sub", "a", "b", "share"),
    [
        ({"type": "string", "enum": ["Paid", "open"]}, "paid ", "Paid", 1),
        ({"type": "string", "enum": ["paid", "open"]}, "open", "paid", 0),
        ({"type": "boolean"}, True, False, 0),
        ({"type": "integer"}, 100, 101, 0),
        ({"type": "integer", "x-tolerance": 1}, 100, 101, 1),
        ({"type": "number"}, 100.0, 100.9, 1),
        ({"type": "number"}, 100.0, 102.0, 0),
        ({"type": "number", "x-tolerance": 0.5}, 0.2, 0.7, 1),
        ({"type": "number", "x-tolerance": 0.5}, 0.2, 0.8, 0),
        ({"type": "number", "x-decimal": True}, "12.50", 12.5, 1),
        ({"type": "number", "x-decimal": True}, 12.50, 12.51, 0),
        ({"type": "string", "format": "date"}, "2026-02-01", "2026-02-01", 1),
        ({"type": "string", "format": "date"}, "2026-02-01", "2026-02-02", 0),
        ({"type": "string", "format": "date-time"}, "2026-02-01T13:00:00+01:00", "2026-02-01T12:00:00Z", 1),
        ({"type": ["string", "null"]}, None, None, 1),
        ({"type": ["string", "null"]}, None, "x", 0),
        ({"type": ["integer", "null"]}, 0, None, 0),
        ({"type": "string"}, "INV-001", "inv-001.", 1),
        ({"type": "string"}, "INV-001", "INV-002", 0),
        ({"type": "string"}, "red apple", "green apple", 0.5),
    ],
)
def test_two_values_agree_as_their_type_says(sub: dict[str, Any], a: Any, b: Any, share: float) -> None:
    assert one(sub, a, b) == share == one(sub, b, a)


def test_sets_agree_by_f1_whatever_their_order() -> None:
    tags = {"type": "array", "x-set": True, "items": {"type": "string", "enum": ["a", "b", "c", "d"]}}
    assert one(tags, ["a", "b", "c"], ["c", "b", "a"]) == 1
    assert one(tags, ["a", "b"], ["a", "b", "c"]) == pytest.approx(0.8)
    assert one(tags, ["a"], ["b"]) == one(tags, [], ["b"]) == 0
    assert one(tags, [], []) == 1


def test_a_set_of_texts_counts_no_half_matches_and_a_list_does() -> None:
    texts = {"type": "array", "items": {"type": "string"}}
    assert one(texts, ["red apple"], ["green apple"]) == 0.5
    assert one(texts | {"x-set": True}, ["red apple"], ["green apple"]) == 0


def test_objects_in_a_list_are_matched_in_the_order_of_best_agreement() -> None:
    lines = {"type": "array", "items": LINE}
    expert = [{"what": "paper", "amount": 3}, {"what": "ink", "amount": 9}]
    assert one(lines, expert[::-1], expert) == 1
    assert one(lines, [{"what": "ink", "amount": 8}, {"what": "paper", "amount": 3}], expert) == 0.75
    assert one(lines, expert[:1], expert) == pytest.approx(2 / 3)


def test_a_nested_object_counts_as_one_field() -> None:
    schema = {"properties": {"label": {"type": "string", "enum": ["x", "y"]}, "line": LINE}}
    a = {"label": "x", "line": {"what": "ink", "amount": 8}}
    overall, fields = agreement(schema, a, {"label": "x", "line": {"what": "ink", "amount": 9}})
    assert fields == {"label": 1.0, "line": 0.5} and overall == 0.75


def test_an_ignored_field_says_nothing() -> None:
    schema = {"properties": {"label": {"type": "string", "enum": ["x"]}, "confidence": {"type": "number", "x-compare": "ignore"}}}
    assert agreement(schema, {"label": "x", "confidence": 0.1}, {"label": "x", "confidence": 0.9}) == (1.0, {"label": 1.0})


def test_a_judge_is_asked_only_where_texts_differ_and_its_word_counts() -> None:
    text = {"type": ["string", "null"], "x-compare": "judge"}
    schema = {"properties": {"summary": text, "other": text, "same": text, "none": text, "plain": {"type": "string"}}}
    a = {"summary": "Pay soon.", "other": "x", "same": "Yes ", "none": None, "plain": "p"}
    b = {"summary": "Please pay.", "other": "y", "same": "yes", "none": "z", "plain": "q"}
    pairs = list(texts_to_judge(schema, a, b))
    assert pairs == [("Pay soon.", "Please pay."), ("x", "y")]
    _, fields = agreement(schema, a, b, {pairs[0]: 1.0})
    assert fields == {"summary": 1.0, "other": 0.0, "same": 1.0, "none": 0.0, "plain": 0.0}


def test_our_words_for_comparing_are_checked_and_never_sent() -> None:
    def problems(**sub: Any) -> list[str]:
        schema = {"type": "object", "additionalProperties": False, "required": ["a"], "properties": {"a": sub}}
        assert not any(word.startswith("x-") for word in provider_schema(schema)["properties"]["a"])
        return [field for field, _ in schema_problems(schema)]

    assert problems(type="string", **{"x-compare": "judge"}) == problems(type="number", **{"x-compare": "ignore"}) == []
    assert problems(type="string", **{"x-compare": "guess"}) == ["output.schema.properties.a.x-compare"]
    assert problems(type="number", **{"x-compare": "judge"}) == ["output.schema.properties.a.x-compare"]
    assert problems(type="number", **{"x-tolerance": -1}) == ["output.schema.properties.a.x-tolerance"]
    assert problems(type="string", **{"x-tolerance": 1}) == ["output.schema.properties.a.x-tolerance"]


VALUES = {
    "string": st.text(max_size=12),
    "integer": st.integers(-5, 5),
    "number": st.floats(-5, 5),
    "boolean": st.booleans(),
}


@given(st.data())
def test_agreement_is_a_share_and_1_with_itself(data: st.DataObject) -> None:
    kinds = data.draw(st.lists(st.sampled_from(sorted(VALUES)), min_size=1, max_size=4))
    schema = {"properties": {str(n): {"type": "array", "items": {"type": kind}} for n, kind in enumerate(kinds)}}
    a, b = ({str(n): data.draw(st.lists(VALUES[kind], max_size=4)) for n, kind in enumerate(kinds)} for _ in range(2))
    assert agreement(schema, a, a)[0] == 1
    assert 0 <= agreement(schema, a, b)[0] <= 1


def test_every_skill_compares_something() -> None:
    catalogue = Catalogue(ROOT / "include")
    for skill in (catalogue.load(name) for name in catalogue.names()):
        assert agreement(skill.output_schema, {}, {})[1], f"{skill.name}: every field is ignored"
