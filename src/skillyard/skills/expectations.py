"""What a skill's ``expectations.yaml`` says by hand of its results as a whole: rules about columns, checked before a publish.

Rules that follow from the output schema and from the checks are made from them and need no word here. A rule is one of
great-expectations', on a column of the results; ``lines.amount`` means all items of the list ``lines``, ``len(tags)`` a list's length::

    expectations:
      - type: expect_column_mean_to_be_between
        kwargs: {column: confidence, min_value: 0.6}
        notes: the model is sure of most documents
        severity: warn
    blocking: [null_share]

``blocking`` names the run-over-run checks that stop a publish; the others warn.
"""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from skillyard.skills.errors import SkillError
from skillyard.skills.spec import Sentence, Strict, read_yaml

FILE = "expectations.yaml"
ROWS = ("mostly", "row_condition", "condition_parser")
BOUNDS = ("min_value", "max_value", "strict_min", "strict_max")
ARGUMENTS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "expect_column_values_to_be_in_set": (("column", "value_set"), ROWS),
    "expect_column_values_to_not_be_in_set": (("column", "value_set"), ROWS),
    "expect_column_values_to_be_between": (("column",), BOUNDS + ROWS),
    "expect_column_values_to_be_null": (("column",), ROWS),
    "expect_column_values_to_not_be_null": (("column",), ROWS),
    "expect_column_values_to_be_unique": (("column",), ROWS),
    "expect_column_values_to_match_regex": (("column", "regex"), ROWS),
    "expect_column_values_to_not_match_regex": (("column", "regex"), ROWS),
    "expect_column_value_lengths_to_be_between": (("column",), BOUNDS + ROWS),
    "expect_column_pair_values_to_be_equal": (("column_A", "column_B"), ("ignore_row_if", *ROWS)),
    "expect_column_pair_values_a_to_be_greater_than_b": (("column_A", "column_B"), ("or_equal", "ignore_row_if", *ROWS)),
    "expect_compound_columns_to_be_unique": (("column_list",), ("ignore_row_if", *ROWS)),
    "expect_column_mean_to_be_between": (("column",), BOUNDS + ROWS[1:]),
    "expect_column_median_to_be_between": (("column",), BOUNDS + ROWS[1:]),
    "expect_column_min_to_be_between": (("column",), BOUNDS + ROWS[1:]),
    "expect_column_max_to_be_between": (("column",), BOUNDS + ROWS[1:]),
    "expect_column_sum_to_be_between": (("column",), BOUNDS + ROWS[1:]),
    "expect_column_unique_value_count_to_be_between": (("column",), BOUNDS + ROWS[1:]),
    "expect_column_proportion_of_non_null_values_to_be_between": (("column",), BOUNDS + ROWS[1:]),
}
"""By rule: the arguments it needs, and those it may have."""


class ExpectationSpec(Strict):
    """One rule."""

    type: str
    kwargs: dict[str, Any]
    notes: Sentence
    severity: Literal["block", "warn"] = "block"


class ExpectationsSpec(Strict):
    """The whole file."""

    expectations: list[ExpectationSpec] = Field(default_factory=list)
    blocking: list[Literal["row_count", "null_share", "reject_share", "label_distribution", "new_labels"]] = Field(default_factory=list)


def read_expectations(folder: Path) -> ExpectationsSpec:
    """Return what the file says, nothing when there is none; SkillError for the first thing in it that cannot be."""
    file = folder / FILE
    if not file.exists():
        return ExpectationsSpec()
    spec = read_yaml(ExpectationsSpec, file)
    for number, rule in enumerate(spec.expectations):
        where = f"expectations.{number}"
        if rule.type not in ARGUMENTS:
            raise SkillError(str(file), f"{where}.type", f"found {rule.type!r}", tuple(ARGUMENTS))
        required, optional = ARGUMENTS[rule.type]
        for argument in rule.kwargs:
            if argument not in required + optional:
                raise SkillError(str(file), f"{where}.kwargs.{argument}", f"{rule.type} takes no such argument", required + optional)
        for argument in required:
            if argument not in rule.kwargs:
                raise SkillError(str(file), f"{where}.kwargs.{argument}", f"{rule.type} needs this argument")
    return spec


def column_problems(spec: ExpectationsSpec, schema: Mapping[str, Any], columns: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yield (field, message) for every rule about a column that results do not have; ``columns`` are those of all results."""
    for number, rule in enumerate(spec.expectations):
        for argument in ("column", "column_A", "column_B", "column_list"):
            named = rule.kwargs.get(argument, [])
            for path in [named] if isinstance(named, str) else named:
                if path not in columns and not _is_there(schema, path):
                    allowed = ", ".join([*schema["properties"], *sorted(columns)])
                    yield f"expectations.{number}.kwargs.{argument}", f"found {path!r}. Allowed: {allowed}, and what lies below them"


def _is_there(schema: Mapping[str, Any], path: str) -> bool:
    """Return whether a path leads to a value, or, with ``len()``, to a list."""
    is_counted = path.startswith("len(") and path.endswith(")")
    here: Mapping[str, Any] = schema
    for name in (path[4:-1] if is_counted else path).split("."):
        while "items" in here:
            here = here["items"]
        if name not in here.get("properties", {}):
            return False
        here = here["properties"][name]
    return "items" in here if is_counted else "properties" not in _innermost(here)


def _innermost(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    while "items" in schema:
        schema = schema["items"]
    return schema
