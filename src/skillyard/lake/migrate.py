"""Results of one output schema under the next: a row is carried over if its values would be an answer of the new schema too.

So a column may be the same, widen (integer to number, text to labels that are all allowed), be new and nullable, go away or move. A carried
row stays what it is: its fingerprint, run, cost and time are those of the answer that was paid once.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa

from skillyard.errors import SchemaMismatch
from skillyard.lake.results import to_results
from skillyard.lake.tables import RESERVED, Table

BATCH_ROWS = 1000
Check = Callable[[dict[str, Any]], str | None]
"""Says why an answer is none of the new schema; None when it is."""


@dataclass(frozen=True, slots=True)
class Carried:
    """What becomes of some rows under another schema."""

    rows: pa.Table
    refused: dict[str, str]
    """By item: why its row cannot be carried over."""


def carry(rows: pa.Table, target: Table, output_schema: Mapping[str, Any], check: Check, fingerprint: str) -> Carried:
    """Return the rows as rows of the target; ``is_stale`` says of each whether the skill has another fingerprint now."""
    kept: list[pa.Table] = [target.schema.empty_table()]
    refused: dict[str, str] = {}
    for batch in rows.to_batches(max_chunksize=BATCH_ROWS):
        fit: list[dict[str, Any]] = []
        for row in batch.to_pylist():
            answer = _as_answer(row, output_schema)
            reason = check(answer) or _inexact(answer, output_schema)
            if reason:
                refused[row["item_id"]] = reason
            else:
                frame = {name: row[name] for name in target.schema.names if name in RESERVED and name in row}
                fit.append(frame | answer | {"is_stale": row["fingerprint"] != fingerprint})
        kept += _typed(target, fit, refused)
    return Carried(pa.concat_tables(kept).unify_dictionaries(), refused)


def _typed(target: Table, rows: list[dict[str, Any]], refused: dict[str, str]) -> list[pa.Table]:
    """Return the rows in the target's types; those that do not fit are noted one by one."""
    try:
        return [to_results(target, rows)]
    except SchemaMismatch:
        found = []
        for row in rows:
            try:
                found.append(to_results(target, [row]))
            except SchemaMismatch as error:
                refused[row["item_id"]] = str(error)
        return found


def _as_answer(value: Any, schema: Mapping[str, Any]) -> Any:
    """Return a column's value as the skill would have answered it: new properties null, dropped ones left out, dates as text."""
    if isinstance(value, Mapping) and "properties" in schema:
        return {name: _as_answer(value.get(name), sub) for name, sub in schema["properties"].items()}
    if isinstance(value, list) and "items" in schema:
        return [_as_answer(element, schema["items"]) for element in value]
    if isinstance(value, date | datetime):
        return value.isoformat()
    if isinstance(value, Decimal) and "string" in _types(schema):
        return f"{value.normalize():f}"
    return value


def _inexact(value: Any, schema: Mapping[str, Any], where: str = "") -> str | None:
    """Return where a float could not hold a whole number to its last digit."""
    if isinstance(value, Mapping):
        found = (_inexact(value[name], sub, f"{where}.{name}") for name, sub in schema.get("properties", {}).items())
        return next(filter(None, found), None)
    if isinstance(value, list):
        return next(filter(None, (_inexact(element, schema["items"], where) for element in value)), None)
    is_float = "number" in _types(schema) and not schema.get("x-decimal")
    if is_float and isinstance(value, int) and int(float(value)) != value:
        return f"at {where.lstrip('.')}: {value} is no exact number of type double"
    return None


def _types(schema: Mapping[str, Any]) -> list[Any]:
    declared = schema.get("type")
    return list(declared) if isinstance(declared, list) else [declared]
