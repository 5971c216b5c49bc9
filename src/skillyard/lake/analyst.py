"""A table as an analyst asks for it: by its name, with filters as they are written elsewhere, now or as of an earlier time."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from skillyard.lake.lake import Lake
from skillyard.lake.read import read as read_rows
from skillyard.settings import Settings

Where: TypeAlias = pc.Expression | Mapping[str, Any] | Sequence[tuple[str, str, Any]] | Sequence[Sequence[tuple[str, str, Any]]]


def read(
    table: str,
    columns: Sequence[str] | None = None,
    where: Where | None = None,
    as_of: datetime | None = None,
    lake: str | None = None,
) -> pa.Table:
    """Return the rows of a table; ``.to_pandas()`` of it has dates, ``Decimal`` money, UTC timestamps and lists.

    ``where`` is an expression of ``pyarrow.compute``, a mapping of columns to a value, a list of values or None (null), or filters as
    pandas and pyarrow take them: ``[("cost_usd", ">", Decimal("0.01"))]``, a list of such lists meaning "or". ``as_of`` gives the rows
    as they were committed at that time (with its offset from UTC); ``ConfigError`` says how far back that reaches. ``lake`` is a URL or
    path, ``SKILLYARD_LAKE`` by default. ``results/<skill>`` means its highest version.
    """
    return read_rows(Lake(lake or Settings.from_env().lake), table, columns, to_expression(where), as_of)


def to_expression(where: Where | None) -> pc.Expression | None:
    """Return the condition as Arrow has it."""
    if where is None or isinstance(where, pc.Expression):
        return where
    if not where:
        return None
    if not isinstance(where, Mapping):
        import pyarrow.parquet as pq

        return pq.filters_to_expression(list(where))
    found: pc.Expression | None = None
    for name, value in where.items():
        one = _is(pc.field(name), value)
        found = one if found is None else found & one
    return found


def _is(field: pc.Expression, value: Any) -> pc.Expression:
    if value is None:
        return field.is_null()
    return field.isin(list(value)) if isinstance(value, list | tuple | set | frozenset) else field == value
