"""Days of a table as one file for another tool: Parquet as it is, or CSV with exact decimals and ISO times."""

import csv
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa

from skillyard.errors import ConfigError
from skillyard.lake.parquet import write_sorted
from skillyard.lake.tables import Table

SUFFIXES = (".parquet", ".csv")


def check_export(path: Path) -> None:
    """Raise ConfigError for a file that cannot be written."""
    if path.suffix not in SUFFIXES:
        raise ConfigError(f"{path} ends in {path.suffix or 'nothing'}: the file's name has to end in {' or '.join(SUFFIXES)}.")
    if not path.parent.is_dir():
        raise ConfigError(f"{path} cannot be written: there is no folder {path.parent}.")


def write_export(path: Path, table: Table, batches: Iterable[pa.RecordBatch]) -> None:
    """Write the batches, which come oldest day first, as one file that takes its place when it is whole."""
    check_export(path)
    with _replacing(path) as partial:
        if path.suffix == ".csv":
            _write_csv(partial, table.schema, batches)
        else:
            write_sorted(partial, table.schema, (pa.Table.from_batches([batch], table.schema) for batch in batches), [table.partition])


def _write_csv(path: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        rows = csv.writer(stream, lineterminator="\n")
        rows.writerow(schema.names)
        for batch in batches:
            rows.writerows(zip(*(_texts(column) for column in batch.columns), strict=True))


def _texts(column: pa.Array) -> list[Any]:
    """Return a column's values as text, each different one made once; a null is nothing. A decimal shows that it is one: 7.0."""
    encoded = column.dictionary_encode()
    shown = [_text(value) for value in encoded.dictionary.to_pylist()]
    return [None if index is None else shown[index] for index in encoded.indices.to_pylist()]


def _text(value: Any) -> Any:
    if isinstance(value, Decimal):
        whole, _, part = f"{value:f}".partition(".")
        return f"{whole}.{part.rstrip('0') or '0'}"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%SZ")
    return value.isoformat() if isinstance(value, date) else value


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """Give a path beside the file, which takes its place unless something fails."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
