"""A table's columns in the words of other engines: Hive types, and the statement that makes a table known to Athena."""

import pyarrow as pa

from skillyard.lake.tables import Table

DATABASE = "skillyard"
FIRST_DAY = "2020-01-01"
"""Athena looks for partitions from here to today."""


def sql_name(table: Table) -> str:
    """Return the table's name where it may hold neither slashes nor dashes."""
    return table.name.replace("/", "_").replace("-", "_")


def hive_type(kind: pa.DataType) -> str:
    """Return the type as Athena, Hive and Spark write it; ``ValueError`` for one that no table of ours has."""
    if pa.types.is_list(kind):
        return f"array<{hive_type(kind.value_type)}>"
    if pa.types.is_struct(kind):
        return f"struct<{','.join(f'`{field.name}`:{hive_type(field.type)}' for field in kind)}>"
    if pa.types.is_decimal128(kind):
        return f"decimal({kind.precision},{kind.scale})"
    if pa.types.is_dictionary(kind):
        return hive_type(kind.value_type)
    names = {
        pa.string(): "string",
        pa.int32(): "int",
        pa.int64(): "bigint",
        pa.float64(): "double",
        pa.bool_(): "boolean",
        pa.date32(): "date",
        pa.timestamp("us", tz="UTC"): "timestamp",
    }
    if kind not in names:
        raise ValueError(f"{kind} has no Hive type")
    return names[kind]


def athena_ddl(table: Table, location: str) -> str:
    """Return the statement for a table whose days Athena finds by itself: it never has to be told of a new one."""
    columns = ",\n".join(f"  `{field.name}` {hive_type(field.type)}{_comment(field)}" for field in table.schema)
    return f"""CREATE EXTERNAL TABLE IF NOT EXISTS `{DATABASE}`.`{sql_name(table)}` (
{columns}
)
COMMENT '{_quoted(table.description)}'
PARTITIONED BY (`dt` string)
STORED AS PARQUET
LOCATION '{location}/'
TBLPROPERTIES (
  'projection.enabled' = 'true',
  'projection.dt.type' = 'date',
  'projection.dt.format' = 'yyyy-MM-dd',
  'projection.dt.range' = '{FIRST_DAY},NOW',
  'storage.location.template' = '{location}/dt=${{dt}}/'
);"""


def _comment(field: pa.Field) -> str:
    description = (field.metadata or {}).get(b"description", b"").decode()
    return f" COMMENT '{_quoted(description)}'" if description else ""


def _quoted(text: str) -> str:
    """Return text as it may stand between single quotes, cut to what a comment may hold. Engines escape an apostrophe differently."""
    plain = "".join(char if char.isascii() and char.isprintable() else "?" for char in text.replace("…", "...").replace(";", ","))
    return plain[:250].replace("'", "`")
