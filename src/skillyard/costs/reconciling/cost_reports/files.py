"""The files that reports come in: pages of JSON as an API answers, CSV (also gzipped) and Parquet as exports are."""

import csv
import gzip
import json
from collections.abc import Iterator, Mapping
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

from skillyard.errors import ConfigError

Row = Mapping[str, Any]
Page = tuple[str, Mapping[str, Any]]
"""Where it stands, and the object."""


def is_json(path: Path) -> bool:
    """Say whether a file is read as pages of JSON."""
    return path.name.endswith((".json", ".json.gz"))


def read_pages(path: Path) -> list[Page]:
    """Return the objects of a JSON file: one page, or a list of pages. Numbers stay as they are written."""
    try:
        value = json.loads(_text(path), parse_float=Decimal)
    except ValueError as error:
        raise ConfigError(f"{path} is not JSON: {error}.") from None
    pages = value if isinstance(value, list) else [value]
    if not pages or not all(isinstance(page, dict) for page in pages):
        raise ConfigError(f"{path}: a report in JSON is a page as the API answers it, or a list of such pages.")
    return [(path.name if value is page else f"{path.name}: page {n}", page) for n, page in enumerate(pages, 1)]


def read_rows(path: Path) -> tuple[list[str], Iterator[tuple[Row, str]]]:
    """Return the columns of a CSV or Parquet file, and its rows, each with its place."""
    return _parquet(path) if path.suffix == ".parquet" else _csv(path)


def _csv(path: Path) -> tuple[list[str], Iterator[tuple[Row, str]]]:
    rows = csv.DictReader(StringIO(_text(path), newline=""), strict=True)
    names = [name.strip() for name in rows.fieldnames or ()]
    rows.fieldnames = names

    def listed() -> Iterator[tuple[Row, str]]:
        try:
            for row in rows:
                where = f"{path.name}:{rows.line_num}"
                if None in row or None in row.values():
                    raise ConfigError(f"{where}: the row does not have {len(names)} fields.")
                yield {name: value.strip() for name, value in row.items()}, where
        except csv.Error as error:
            raise ConfigError(f"{path.name}:{rows.line_num}: {error}.") from None

    return names, listed()


def _parquet(path: Path) -> tuple[list[str], Iterator[tuple[Row, str]]]:
    import pyarrow as pa
    import pyarrow.dataset as ds

    try:
        file = ds.dataset(path, format="parquet")
    except (OSError, pa.ArrowException) as error:
        raise ConfigError(f"{path} cannot be read as Parquet: {error}.") from None

    def listed() -> Iterator[tuple[Row, str]]:
        number = 0
        for batch in file.to_batches():
            for row in batch.to_pylist():
                number += 1
                yield row, f"{path.name}: row {number}"

    return list(file.schema.names), listed()


def missing(names: list[str], wanted: tuple[str, ...], path: Path, what: str) -> ConfigError:
    """Return the error of a file without columns that it has to have."""
    gone = ", ".join(name for name in wanted if name not in names)
    return ConfigError(f"{path.name}:1: {gone} is missing, there is {', '.join(names)[:200] or 'nothing'}. {what}")


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
        return (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8-sig")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "it is damaged, or not UTF-8 text"
        raise ConfigError(
            f"{path} cannot be read: {reason}. A report is a .json, .csv or .parquet file (.json and .csv also gzipped)."
        ) from None
