from typing import Any

from skillyard.skills import Source
from skillyard.skills.checks import CHECKS, Answer


def judged(name: str, value: dict[str, Any], parameters: dict[str, Any], **arguments: Any) -> list[str]:
    return list(CHECKS[name](Answer(None, value, Source("Harbour Mill"), parameters), **arguments))  # type: ignore[arg-type]


def test_quote_of_the_other_side_stands_in_the_parameter() -> None:
    value = {"rows": [{"other": "5 Quay  Road"}, {"other": None}, {"other": "6 Quay Road"}]}
    found = judged("quote_in_parameter", value, {"against": "Mill, 5 quay road"}, field="rows.other", parameter="against")
    assert found == ["rows.other: '6 Quay Road' does not occur in the parameter against"]


def test_what_differs_is_not_the_same_twice() -> None:
    value = {"rows": [{"a": "Mill", "b": "“mill” "}, {"a": "Mill", "b": "Mills"}]}
    assert judged("sides_differ", value, {}, field="rows", left="a", right="b") == ["rows: 'Mill' is the same on both sides"]
    assert judged("sides_differ", {"rows": []}, {}, field="rows", left="a", right="b") == []
