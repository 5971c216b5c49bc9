"""A file whose columns are not those of its table is refused: read on, it would give nulls or numbers that mean something else."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from skillyard.errors import SchemaMismatch

FOOTERS = 8
"""Footers opened side by side; the read that follows does not open them again."""


def refuse_drift(dataset: Any, where: pc.Expression | None, uri_of: Callable[[str], str]) -> None:
    """Check every file of a data set that ``where`` does not rule out by its day."""
    fragments = list(dataset.get_fragments(where))
    if len(fragments) > 1:
        with ThreadPoolExecutor(min(FOOTERS, len(fragments))) as pool:
            list(pool.map(lambda fragment: fragment.physical_schema, fragments))
    for fragment in fragments:
        check_file_schema(fragment.physical_schema, dataset.schema, uri_of(fragment.path))


def check_file_schema(found: pa.Schema, wanted: pa.Schema, uri: str) -> None:
    """Raise ``SchemaMismatch`` with the file and every difference, but for columns that came later and may be null."""
    if found.equals(wanted):
        return
    types = dict(zip(found.names, found.types, strict=True))
    problems = ["a column name occurs twice"] if len(types) < len(found.names) else []
    problems += [f"{name}: not a column of this table" for name in types.keys() - set(wanted.names)]
    for field in wanted:
        if field.name not in types and not field.nullable:
            problems.append(f"{field.name}: missing, and it may not be null")
        elif field.name in types and types[field.name] != field.type:
            problems.append(f"{field.name}: is {types[field.name]}, has to be {field.type}")
    if problems:
        raise SchemaMismatch(
            f"{uri} does not have the schema of its table: {'; '.join(sorted(problems))}. "
            "Write what it holds as a table of its own, or move the file away: nothing of it was read."
        )
