"""Nested columns as flat ones, so that a rule about ``lines.amount`` is checked like a rule about any column.

A path is property names joined by dots; a list on the way means all of its items, as in the checks of a skill. ``len(tags)`` is the
number of items of a list. Columns below the same list make one *frame*, a row per item, beside the columns of the table itself.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from skillyard.errors import ConfigError

ROOT = ""
"""The frame of the table's own rows."""


@dataclass(frozen=True, slots=True)
class Column:
    """The values at a path, and what they are items of."""

    frame: str
    """The path of the innermost list on the way."""
    rows: pa.Array | None
    """For each value the number of its row in the table; None where that is its own number."""
    values: pa.Array


def column_at(rows: pa.Table, path: str) -> Column:
    """Return the values at a path; ``ConfigError`` when the table has no such column."""
    counted = re.fullmatch(r"len\((.+)\)", path)
    walked = counted[1] if counted else path
    names = walked.split(".")
    frame, numbers, values = ROOT, None, _whole(rows, names[0], path)
    for depth, name in enumerate(names, 1):
        values = _child(values, name, path) if depth > 1 else values
        while pa.types.is_list(values.type) and not (counted and depth == len(names)):
            parents = pc.list_parent_indices(values)
            numbers = parents if numbers is None else numbers.take(parents)
            frame, values = ".".join(names[:depth]), pc.list_flatten(values)
    if counted:
        values = pc.list_value_length(values)
    return Column(frame, numbers, values.dictionary_decode() if pa.types.is_dictionary(values.type) else values)


def frame_of(rows: pa.Table, paths: Iterable[str]) -> str:
    """Return the frame in which columns can be looked at together; ``ConfigError`` when they are items of different lists."""
    found = {column_at(rows.slice(0, 0), path).frame for path in paths} - {ROOT}
    if len(found) > 1:
        raise ConfigError(f"{', '.join(sorted(found))}: one expectation cannot look at the items of different lists.")
    return found.pop() if found else ROOT


def flatten(rows: pa.Table, frame: str, paths: Iterable[str]) -> pa.Table:
    """Return the columns at the paths as one flat table, a row per item of the frame's list; its rows' own columns are repeated."""
    columns = {path: column_at(rows, path) for path in paths}
    if frame == ROOT:
        return pa.table({path: column.values for path, column in columns.items()})
    numbers = next(column.rows for column in columns.values() if column.frame == frame)
    return pa.table({path: c.values if c.frame == frame else c.values.take(numbers) for path, c in columns.items()})


def _whole(rows: pa.Table, name: str, path: str) -> pa.Array:
    if name not in rows.column_names:
        raise ConfigError(f"an expectation looks at {path!r}, which is no column. There are: {', '.join(rows.column_names)}.")
    column = rows.column(name)
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _child(values: pa.Array, name: str, path: str) -> pa.Array:
    known = [field.name for field in values.type] if pa.types.is_struct(values.type) else []
    if name not in known:
        raise ConfigError(f"an expectation looks at {path!r}, but there is no {name!r}. There are: {', '.join(known) or 'no properties'}.")
    return pc.struct_field(values, name)
