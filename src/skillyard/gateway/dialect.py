"""Inserts that meet a row which is there already, for SQLite and PostgreSQL alike."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite

Rows = Sequence[Mapping[str, Any]]


def insert_missing(connection: Connection, table: Table, rows: Rows) -> None:
    """Insert rows; those whose primary key exists are left as they are."""
    if rows:
        connection.execute(_missing(table, connection.dialect.name), rows)


def upsert(connection: Connection, table: Table, rows: Rows) -> None:
    """Insert rows; those whose primary key exists are replaced."""
    if rows:
        connection.execute(_upsert(table, connection.dialect.name), rows)


def take(connection: Connection, table: Table, rows: Rows) -> None:
    """Insert rows; one whose primary key exists is replaced only if its ``token`` is the one before: nobody took it meanwhile."""
    if rows:
        connection.execute(_take(table, connection.dialect.name), rows)


# Statements are built once: building one costs more than running it.


@cache
def _missing(table: Table, dialect: str) -> Any:
    return _insert(table, dialect).on_conflict_do_nothing()


@cache
def _upsert(table: Table, dialect: str) -> Any:
    statement = _insert(table, dialect)
    return statement.on_conflict_do_update(**_replacing(table, statement))


@cache
def _take(table: Table, dialect: str) -> Any:
    statement = _insert(table, dialect)
    return statement.on_conflict_do_update(**_replacing(table, statement), where=table.c.token == statement.excluded.token - 1)


def _replacing(table: Table, statement: Any) -> dict[str, Any]:
    keys = [c.name for c in table.primary_key]
    return {"index_elements": keys, "set_": {c.name: statement.excluded[c.name] for c in table.c if c.name not in keys}}


def _insert(table: Table, dialect: str) -> Any:
    return (postgresql if dialect == "postgresql" else sqlite).insert(table)
