"""New values in rows of an appended table: the one way in which such a row ever changes.

Each file that holds such a row is superseded by one with its new values, through the table's manifest: all of a day change at once,
earlier states can still be read, and the part of a publish that is tried again later is known whatever became of its rows.
"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from skillyard.lake.contents import find_contents
from skillyard.lake.lake import Lake
from skillyard.lake.manifest import Manifest, file_name
from skillyard.lake.parquet import ROW_HASH, encode
from skillyard.lake.read import READERS, read_file
from skillyard.lake.rows import row_hash
from skillyard.lake.superseding import superseding
from skillyard.lake.switch import Change, NewFile, switch
from skillyard.lake.tables import Table
from skillyard.lake.validate import validate

Values = Mapping[str, Mapping[str, Any]]
"""By key: the columns to change and what they become."""


def correct(lake: Lake, table: Table, day: date, values: Values) -> None:
    """Change rows of one day of an appended table with a single key; a key that the day does not hold is passed over.

    ``ValidationFailed`` when the new rows do not pass the table's suite: nothing changes.
    """
    (name,) = table.key
    is_meant = pc.field(name).isin(pa.array(values, table.schema.field(name).type))

    def holds(key: str) -> bool:
        return bool(read_file(lake, key, table.schema, table.partition, [name], is_meant).num_rows)

    def decide(current: Manifest) -> Change | None:
        keys = [key for key in find_contents(lake, table).keys if f"/dt={day}/" in key]
        with ThreadPoolExecutor(READERS) as pool:
            touched = [key for key, is_touched in zip(keys, pool.map(holds, keys), strict=True) if is_touched]
        if not touched:
            return None
        corrected = [_corrected(table, read_file(lake, key, table.schema, table.partition), values) for key in touched]
        validate(lake, table, pa.concat_tables(corrected).filter(is_meant))
        return superseding(lake, current, touched, dict(_new_file(table, day, rows, current) for rows in corrected))

    switch(lake, table, decide)


def _new_file(table: Table, day: date, rows: pa.Table, current: Manifest) -> tuple[str, NewFile]:
    hashed = row_hash(table, rows)
    data = encode(rows, **{ROW_HASH: hashed})
    return file_name(table.name, f"{day}", "corrected", data, current), NewFile(data, rows.num_rows, hashed)


def _corrected(table: Table, rows: pa.Table, values: Values) -> pa.Table:
    keys = rows.column(table.key[0]).to_pylist()
    changed = {column for of_row in values.values() for column in of_row}
    for position, field in enumerate(rows.schema):
        if field.name in changed:
            column = rows.column(position).to_pylist()
            column = [values.get(key, {}).get(field.name, value) for key, value in zip(keys, column, strict=True)]
            rows = rows.set_column(position, field, pa.array(column, field.type))
    return rows
