"""A skill's output schema as table columns, and its answers as rows of exactly those types."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation
from typing import Any

import pyarrow as pa

from skillyard.errors import ConfigError, SchemaMismatch
from skillyard.lake.tables import DATE, INT, LABEL, MONEY, RESERVED, RESULT_HEAD, RESULT_TAIL, TEXT, TIMESTAMP, Table

SCALARS = {"string": TEXT, "integer": INT, "number": pa.float64(), "boolean": pa.bool_()}
FORMATS = {"date": DATE, "date-time": TIMESTAMP, "decimal": MONEY}


def results_table(skill_name: str, output_major: int, output_schema: Mapping[str, Any]) -> Table:
    """Return the table of a skill's results: what they are of, the typed columns of its output, how they were made.

    Dates become ``date32``, times UTC timestamps, ``x-decimal`` (or format ``decimal``) numbers and strings ``decimal128(28, 12)``,
    lists and objects nested columns. An enum of strings is a dictionary column, within lists and objects too: its labels are no part of
    the type, so a skill's labels may grow.
    """
    properties = output_schema.get("properties", {})
    taken = sorted(RESERVED & set(properties))
    if taken:
        raise ConfigError(f"{skill_name}: output.schema uses {', '.join(taken)}, which every result has already. Choose other names.")
    columns = [_field(name, schema, f"{skill_name}: output.schema.{name}") for name, schema in properties.items()]
    return Table(
        f"results/{skill_name}/v{output_major}",
        f"One row per item: the newest result of the skill {skill_name}.",
        ("item_id",),
        "produced_on",
        pa.schema([*RESULT_HEAD, *columns, *RESULT_TAIL]),
        version=output_major,
    )


def to_results(table: Table, rows: list[dict[str, Any]]) -> pa.Table:
    """Return Python rows as a table of exactly its types; ``SchemaMismatch`` names the row, the column and the value.

    Dates and times may be ISO strings (times with their offset from UTC); decimals may be numbers or strings, rounded half-even at 12
    places. Every column that may not be null has to be there.
    """
    for row in rows:
        strays = sorted(set(row) - set(table.schema.names))
        if strays:
            raise SchemaMismatch(f"{table.name}, {_name_of(table, row)}: {', '.join(strays)} are not columns of this table.")
    columns = []
    for field in table.schema:
        values = [_convert(row.get(field.name), field, table, row) for row in rows]
        try:
            columns.append(pa.array(values, field.type))
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError, TypeError, ValueError) as error:
            raise SchemaMismatch(f"{table.name}, column {field.name}: {error}. It has to be {field.type}.") from error
    return pa.table(columns, schema=table.schema)


def _field(name: str, schema: Mapping[str, Any], where: str) -> pa.Field:
    types = [schema["type"]] if isinstance(schema.get("type"), str) else list(schema.get("type", ()))
    named = [kind for kind in types if kind != "null"]
    if len(named) != 1:
        raise ConfigError(f"{where}: type is {schema.get('type')!r}. Allowed: one type, or a list of one type and 'null'.")
    metadata = {"description": str(schema["description"])} if "description" in schema else None
    return pa.field(name, _type(named[0], schema, where), nullable="null" in types, metadata=metadata)


def _type(kind: str, schema: Mapping[str, Any], where: str) -> pa.DataType:
    if kind == "array":
        return pa.list_(_field("element", schema.get("items", {}), f"{where}[]"))
    if kind == "object":
        fields = [_field(name, sub, f"{where}.{name}") for name, sub in schema.get("properties", {}).items()]
        if not fields:
            raise ConfigError(f"{where}: an object without properties has no columns. Name its properties.")
        return pa.struct(fields)
    if kind not in SCALARS:
        raise ConfigError(f"{where}: unknown type {kind!r}. Allowed: {', '.join(sorted((*SCALARS, 'array', 'object')))}.")
    if schema.get("x-decimal") and kind in ("string", "number"):
        return MONEY
    if kind == "string" and "enum" in schema and "format" not in schema:
        return LABEL
    return FORMATS.get(schema.get("format", ""), SCALARS[kind]) if kind != "integer" else INT


def _convert(value: Any, field: pa.Field, table: Table, row: Mapping[str, Any]) -> Any:
    """Return a value as Arrow takes it for this field, down through lists and objects."""
    if value is None:
        if not field.nullable:
            raise SchemaMismatch(f"{table.name}, {_name_of(table, row)}: {field.name} is missing or null, which is not allowed.")
        return None
    kind = field.type
    try:
        if pa.types.is_list(kind) and isinstance(value, list):
            return [_convert(element, kind.value_field, table, row) for element in value]
        if pa.types.is_struct(kind) and isinstance(value, Mapping):
            strays = sorted(set(value) - {sub.name for sub in kind})
            if strays:
                raise ValueError(f"unknown properties {', '.join(strays)}")
            return {sub.name: _convert(value.get(sub.name), sub, table, row) for sub in kind}
        return _scalar(value, kind)
    except (ValueError, TypeError, InvalidOperation, OverflowError) as error:
        shown = repr(value)[:80]
        raise SchemaMismatch(f"{table.name}, {_name_of(table, row)}: {field.name} is {shown}, has to be {kind} ({error}).") from error


def _scalar(value: Any, kind: pa.DataType) -> Any:
    if pa.types.is_decimal(kind):
        return _decimal(value, kind)
    if pa.types.is_timestamp(kind):
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
        if not isinstance(moment, datetime) or moment.tzinfo is None:
            raise ValueError("a time needs its offset from UTC, such as 2026-01-31T12:00:00Z")
        return moment.astimezone(UTC)
    if pa.types.is_date(kind):
        return date.fromisoformat(value) if isinstance(value, str) else value
    if pa.types.is_boolean(kind) or pa.types.is_string(kind) or pa.types.is_dictionary(kind):
        wanted = bool if pa.types.is_boolean(kind) else str
        if not isinstance(value, wanted):
            raise TypeError(f"found {type(value).__name__}")
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"found {type(value).__name__}")
    if pa.types.is_integer(kind):
        if value != int(value):
            raise ValueError("not a whole number")
        return pa.scalar(int(value), kind).as_py()
    return float(value)


def _decimal(value: Any, kind: pa.DataType) -> Decimal:
    if isinstance(value, bool):
        raise TypeError("found bool")
    number = value if isinstance(value, Decimal) else Decimal(str(value))
    if not number.is_finite():
        raise ValueError("not a finite number")
    return number.quantize(Decimal(1).scaleb(-kind.scale), context=Context(prec=kind.precision, rounding=ROUND_HALF_EVEN))


def _name_of(table: Table, row: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {row.get(name)!r}" for name in table.key)
