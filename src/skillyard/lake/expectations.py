"""What values a table may hold: the suite of its own in ``suites/``, and for results that of their skill.

A skill's suite is made from its output schema and from those of its checks that columns alone can answer; what its folder says in
``expectations.json`` is added. Types and nulls of whole columns are the Arrow schema's part.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skillyard.errors import UnknownName

SUITES = Path(__file__).with_name("suites")
IN_SET, MATCHES, BETWEEN = (f"expect_column_values_to_{rule}" for rule in ("be_in_set", "match_regex", "be_between"))
TIME = r"^([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)?$"
"""Source: https://www.rfc-editor.org/rfc/rfc3339#section-5.6 (full-time; seconds and offset may be left out)."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """One rule."""

    type: str
    """Its name in great-expectations."""
    kwargs: Mapping[str, Any]
    notes: str
    """The rule in a sentence."""
    severity: str = "block"
    """What follows when it is broken: ``block``: nothing is published, ``warn``: it is said."""

    @property
    def columns(self) -> list[str]:
        """The columns it is about."""
        return list(self.kwargs.get("column_list") or [self.kwargs[n] for n in ("column", "column_A", "column_B") if n in self.kwargs])


@dataclass(frozen=True, slots=True)
class Suite:
    """The rules of a skill's results, and what of them is compared from run to run."""

    expectations: tuple[Expectation, ...] = ()
    labels: tuple[str, ...] = ()
    """Columns with a fixed vocabulary: the mix of their values is compared."""
    nulls: tuple[str, ...] = ()
    """Columns that may be null: how often they are is compared."""
    blocking: frozenset[str] = frozenset()
    """Run-over-run checks that block; the others warn."""
    is_counted: bool = True
    """The number of a run's rows is compared: they come in one piece."""


def load_suite(table: str) -> tuple[Expectation, ...]:
    """Return a table's suite as it stands in the repository; all tables of results share one."""
    path = SUITES / f"{'results' if table.startswith('results/') else table}.json"
    if not path.is_file():
        raise UnknownName("suite", path.stem, (file.stem for file in SUITES.glob("*.json")))
    return tuple(Expectation(**one) for one in json.loads(path.read_text(encoding="utf-8"))["expectations"])


def skill_suite(
    output_schema: Mapping[str, Any],
    checks: Iterable[tuple[str, Mapping[str, Any]]] = (),
    labels: Sequence[str] = (),
    written: Sequence[Mapping[str, Any]] = (),
    blocking: Iterable[str] = (),
) -> Suite:
    """Return the suite of a skill's results.

    ``checks``: its named checks with their arguments; ``labels``: its vocabulary; ``written``: what its folder adds by hand.
    """
    properties = output_schema["properties"]
    found = [rule for name, schema in properties.items() for rule in _of_schema(name, schema, is_nested=False)]
    found += [rule for name, arguments in checks for rule in _of_check(name, arguments, labels, properties)]
    distinct = {json.dumps([rule.type, rule.kwargs], sort_keys=True): rule for rule in reversed(found)}
    vocabularies = {rule.columns[0] for rule in found if rule.type == IN_SET}
    vocabularies |= {name for name, schema in properties.items() if "boolean" in _types(schema)}
    return Suite(
        (*reversed(distinct.values()), *(Expectation(**one) for one in written)),
        tuple(sorted(vocabularies)),
        tuple(name for name, schema in properties.items() if "null" in _types(schema)),
        frozenset(blocking),
    )


def _of_schema(path: str, schema: Mapping[str, Any], is_nested: bool) -> Iterator[Expectation]:
    """Yield the rules of one property and of what lies below it."""
    if is_nested and "null" not in _types(schema):
        yield _rule("expect_column_values_to_not_be_null", path, "the output schema requires it")
    if "enum" in schema:
        yield _rule(IN_SET, path, "a value of the output schema's enum", value_set=[v for v in schema["enum"] if v is not None])
    bounds = {f"{end[:3]}_value": schema[end] for end in ("minimum", "maximum") if end in schema}
    if bounds:
        yield _rule(BETWEEN, path, "within the output schema's minimum and maximum", **bounds)
    if schema.get("format") == "time":
        yield _rule(MATCHES, path, "a time of day", regex=TIME)
    for name, sub in schema.get("properties", {}).items():
        yield from _of_schema(f"{path}.{name}", sub, is_nested=True)
    if "items" in schema:
        yield from _of_list(path, schema, is_nested)


def _of_list(path: str, schema: Mapping[str, Any], is_nested: bool) -> Iterator[Expectation]:
    lengths = {f"{end[:3]}_value": schema[end] for end in ("minItems", "maxItems") if end in schema}
    if lengths:
        yield _rule(BETWEEN, f"len({path})", "as many items as the output schema allows", **lengths)
    if schema.get("x-set") and not is_nested and "properties" not in schema["items"]:
        yield Expectation("expect_compound_columns_to_be_unique", {"column_list": ["item_id", path]}, "a set has no repeats")
    yield from _of_schema(path, schema["items"], is_nested=True)


def _of_check(name: str, arguments: Mapping[str, Any], labels: Sequence[str], properties: Mapping[str, Any]) -> Iterator[Expectation]:
    """Yield what columns alone can say of a check; checks against a document's text were made when it was answered."""
    notes, path = f"the skill's check {name}", arguments.get("field", "")
    if name == "label_in_list":
        yield _rule(IN_SET, path, notes, value_set=list(labels))
    elif name == "not_blank":
        yield _rule(MATCHES, path, notes, regex=r"\S")
    elif name == "currency_code":
        yield _rule(MATCHES, path, notes, regex="^[A-Z]{3}$")
    elif name == "null_unless" and "." not in path and "items" not in properties[path]:
        for rule, value in (("not_be_null", True), ("be_null", False)):
            yield _rule(f"expect_column_values_to_{rule}", path, notes, **_where(f"{arguments['flag']}=={value}"))
    elif name == "sign_matches":
        for side, bound in (("positive", {"min_value": 0}), ("negative", {"max_value": 0})):
            yield _rule(BETWEEN, path, notes, **bound, **_where(f"{arguments['label']} in {list(arguments[side])!r}"))


def _where(condition: str) -> dict[str, str]:
    return {"row_condition": condition, "condition_parser": "pandas"}


def _rule(kind: str, column: str, notes: str, **arguments: Any) -> Expectation:
    return Expectation(kind, {"column": column} | arguments, notes)


def _types(schema: Mapping[str, Any]) -> list[str]:
    declared = schema["type"]
    return [declared] if isinstance(declared, str) else list(declared)
