"""Rules made from a skill: each holds for a good answer and finds the bad one, in lists and objects too."""

from typing import Any

import pytest

from skillyard.lake.expectations import skill_suite
from skillyard.lake.results import results_table, to_results
from skillyard.lake.validate import check
from skillyard.running.runs import results_of, suite_of
from skillyard.skills import Catalogue
from skillyard.skills.expectations import ARGUMENTS
from tests.conftest import ROOT
from tests.lake.rows import results

COLOURS = ["red", "green"]
SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "label": {"type": ["string", "null"], "enum": [*COLOURS, None]},
        "score": {"type": "number", "minimum": 0, "maximum": 1},
        "at": {"type": ["string", "null"], "format": "time"},
        "is_paid": {"type": "boolean"},
        "paid_by": {"type": ["string", "null"]},
        "tags": {"type": "array", "minItems": 1, "maxItems": 3, "x-set": True, "items": {"type": "string", "enum": COLOURS}},
        "lines": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "amount": {"type": "number", "minimum": 0},
                    "kind": {"type": ["string", "null"], "enum": [*COLOURS, None]},
                    "codes": {"type": "array", "maxItems": 1, "items": {"type": "string"}},
                },
            },
        },
        "party": {"type": "object", "properties": {"name": {"type": "string"}, "rank": {"type": ["integer", "null"], "maximum": 9}}},
        "currency": {"type": ["string", "null"]},
        "total": {"type": ["number", "null"], "x-decimal": True},
    },
}
CHECKS: list[tuple[str, dict[str, Any]]] = [
    ("label_in_list", {"field": "label"}),
    ("not_blank", {"field": "party.name"}),
    ("null_unless", {"field": "paid_by", "flag": "is_paid"}),
    ("currency_code", {"field": "currency"}),
    ("sign_matches", {"field": "total", "label": "label", "positive": ["red"], "negative": ["green"]}),
    ("quote_in_text", {"field": "label"}),
]
TABLE = results_table("paint", 1, SCHEMA)
SUITE = skill_suite(SCHEMA, CHECKS, COLOURS)
GOOD: dict[str, Any] = {
    "label": "red",
    "score": 0.5,
    "at": "10:30:00Z",
    "is_paid": True,
    "paid_by": "card",
    "tags": ["red", "green"],
    "lines": [{"amount": 1.0, "kind": None, "codes": ["x"]}],
    "party": {"name": "Ann", "rank": None},
    "currency": "EUR",
    "total": "12.10",
}
NOTHING = dict.fromkeys(("label", "at", "currency", "total", "paid_by")) | {"is_paid": False, "lines": []}


def failed(*answers: dict[str, Any]) -> set[tuple[str, str]]:
    """Return rule and column of what the suite finds in rows of these answers."""
    head = results(range(len(answers))).drop_columns(["tags", "total"]).to_pylist()
    rows = to_results(TABLE, [row | answer for row, answer in zip(head, answers, strict=True)])
    return {
        (o.expectation.removeprefix("expect_").removeprefix("column_"), o.columns) for o in check(TABLE, rows, SUITE) if not o.has_passed
    }


def test_good_answers_pass_and_so_do_those_that_say_nothing() -> None:
    assert failed(GOOD, GOOD | NOTHING, GOOD | {"label": "green", "total": "-1"}) == set()


@pytest.mark.parametrize(
    ("changes", "rule", "column"),
    [
        ({"label": "blue"}, "values_to_be_in_set", "label"),
        ({"score": 1.5}, "values_to_be_between", "score"),
        ({"at": "25:00"}, "values_to_match_regex", "at"),
        ({"tags": ["red", "blue"]}, "values_to_be_in_set", "tags"),
        ({"tags": []}, "values_to_be_between", "len(tags)"),
        ({"tags": ["red", "red"]}, "compound_columns_to_be_unique", "item_id, tags"),
        ({"lines": [{"amount": -1.0, "kind": None, "codes": []}]}, "values_to_be_between", "lines.amount"),
        ({"lines": [{"amount": 1.0, "kind": "blue", "codes": []}]}, "values_to_be_in_set", "lines.kind"),
        ({"lines": [{"amount": 1.0, "kind": None, "codes": ["x", "y"]}]}, "values_to_be_between", "len(lines.codes)"),
        ({"party": {"name": " ", "rank": 1}}, "values_to_match_regex", "party.name"),
        ({"party": {"name": "Ann", "rank": 10}}, "values_to_be_between", "party.rank"),
        ({"paid_by": None}, "values_to_not_be_null", "paid_by"),
        ({"is_paid": False}, "values_to_be_null", "paid_by"),
        ({"currency": "euro"}, "values_to_match_regex", "currency"),
        ({"total": "-1"}, "values_to_be_between", "total"),
    ],
)
def test_a_rule_made_from_the_skill_finds_what_breaks_it(changes: dict[str, Any], rule: str, column: str) -> None:
    assert failed(GOOD, GOOD | changes) == {(rule, column)}


def test_vocabularies_flags_and_nullable_columns_are_compared_from_run_to_run() -> None:
    assert SUITE.labels == ("is_paid", "label", "lines.kind", "tags")
    assert SUITE.nulls == ("label", "at", "paid_by", "currency", "total")


def test_a_rule_stands_once_though_schema_and_check_both_say_it() -> None:
    assert [(rule.type, rule.columns) for rule in SUITE.expectations if rule.columns == ["label"]] == [
        ("expect_column_values_to_be_in_set", ["label"])
    ]


def test_a_rule_written_by_hand_may_look_into_lists_and_warn() -> None:
    rule = {
        "type": "expect_column_values_to_be_between",
        "kwargs": {"column": "lines.amount", "max_value": 5},
        "notes": "small",
        "severity": "warn",
    }
    rows = to_results(
        TABLE,
        [
            results(range(1)).drop_columns(["tags", "total"]).to_pylist()[0]
            | GOOD
            | {"lines": [{"amount": amount, "kind": None, "codes": []} for amount in (1.0, 9.0)]}
        ],
    )
    (found,) = [o for o in check(TABLE, rows, skill_suite(SCHEMA, written=[rule])) if not o.has_passed]
    assert (found.columns, found.severity, found.n_unexpected, found.samples) == (
        "lines.amount",
        "warn",
        1,
        ("item_id=item-0000 lines.amount=9.0",),
    )


def test_every_rule_that_a_skill_may_write_is_one_of_great_expectations_with_these_arguments() -> None:
    import great_expectations as gx

    for name, (required, optional) in ARGUMENTS.items():
        fields = getattr(gx.expectations, "".join(word.capitalize() for word in name.split("_"))).__fields__
        assert set(required + optional) <= set(fields), name


def test_an_invoice_that_is_due_before_it_is_issued_is_told() -> None:
    skill = Catalogue(ROOT / "include").load("extract-invoice")
    table, suite = results_of(skill), suite_of(skill)
    days = {"issued_on": "2026-11-20", "due_on": "2026-12-20"}
    row = results(range(1)).drop_columns(["tags", "total"]).to_pylist()[0]
    row |= dict.fromkeys(skill.output_schema["properties"]) | {"lines": [{"description": "x", "amount": "1"}]}

    def broken(**changes: str | None) -> list[tuple[str, str, int]]:
        rows = to_results(table, [row | days, row | {"item_id": "other"} | days | changes])
        return [(o.columns, o.severity, o.n_unexpected) for o in check(table, rows, suite) if not o.has_passed]

    assert broken(due_on=None) == []
    assert broken(due_on="2026-11-19") == [("due_on, issued_on", "warn", 1)]
