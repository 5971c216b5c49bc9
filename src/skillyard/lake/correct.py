"""New values in rows of an appended table: the one way in which such a row ever changes.

Each object that holds such a row is rewritten in its place (If-Match): every reader, a raw one too, sees its old rows or its new ones,
never a row twice. The objects follow one after the other; whoever was interrupted does the same again.
"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from skillyard.errors import StorageError
from skillyard.lake.lake import Lake
from skillyard.lake.parquet import ROW_HASH, decode, encode
from skillyard.lake.publish import REPLACE_TRIES
from skillyard.lake.read import READERS, read_file
from skillyard.lake.rows import row_hash
from skillyard.lake.tables import Table
from skillyard.lake.validate import validate

Values = Mapping[str, Mapping[str, Any]]
"""By key: the columns to change and what they become."""


def correct(lake: Lake, table: Table, day: date, values: Values) -> None:
    """Change rows of one day of an appended table with a single key; a key that the day does not hold is passed over.

    ``ValidationFailed`` when the new rows of an object do not pass the table's suite: it stays as it was.
    """
    (name,) = table.key
    keys = [found.key for found in lake.storage.list(f"{table.name}/dt={day}/") if found.key.endswith(".parquet")]
    is_meant = pc.field(name).isin(pa.array(values, table.schema.field(name).type))

    def holds(key: str) -> bool:
        return bool(read_file(lake, key, table.schema, table.partition, [name], is_meant).num_rows)

    with ThreadPoolExecutor(READERS) as pool:
        touched = [key for key, is_touched in zip(keys, pool.map(holds, keys), strict=True) if is_touched]
    for key in touched:
        _rewrite(lake, table, key, values)


def _rewrite(lake: Lake, table: Table, key: str, values: Values) -> None:
    for _ in range(REPLACE_TRIES):
        found = lake.storage.head(key)
        rows = decode(lake.storage.get(key)).replace_schema_metadata(None)
        corrected = _corrected(table, rows, values)
        validate(lake, table, corrected.filter(pc.field(table.key[0]).isin(pa.array(values))))
        if lake.storage.replace_if_match(key, encode(corrected, **{ROW_HASH: row_hash(table, corrected)}), found.etag if found else None):
            return
    raise StorageError(f"{lake.storage.uri(key)} was replaced by others {REPLACE_TRIES} times while this run tried to: try again.")


def _corrected(table: Table, rows: pa.Table, values: Values) -> pa.Table:
    keys = rows.column(table.key[0]).to_pylist()
    changed = {column for of_row in values.values() for column in of_row}
    for position, field in enumerate(rows.schema):
        if field.name in changed:
            column = rows.column(position).to_pylist()
            column = [values.get(key, {}).get(field.name, value) for key, value in zip(keys, column, strict=True)]
            rows = rows.set_column(position, field, pa.array(column, field.type))
    return rows
