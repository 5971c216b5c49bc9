"""Rows of unknown number, kept in a local file until it is known how to cut them."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa

PIECE_ROWS = 5_000


class Spool:
    """Rows written one by one and read back once, in their order; a context that removes nothing: its folder is the caller's."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._path, self._schema = path, schema
        self._held: list[tuple[Any, ...]] = []
        self.n_rows = 0

    def __enter__(self) -> "Spool":
        self._file = pa.OSFile(str(self._path), "wb")
        self._writer = pa.ipc.new_stream(self._file, self._schema)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._flush()
        self._writer.close()
        self._file.close()

    def add(self, row: tuple[Any, ...]) -> None:
        """Keep a row; its values stand in the schema's order."""
        self._held.append(row)
        self.n_rows += 1
        if len(self._held) == PIECE_ROWS:
            self._flush()

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """Yield what was written, after the context has ended."""
        with pa.OSFile(str(self._path), "rb") as file, pa.ipc.open_stream(file) as stream:
            yield from stream

    def _flush(self) -> None:
        if self._held:
            self._writer.write_batch(to_batch(self._held, self._schema))
            self._held = []


def to_batch(rows: Sequence[tuple[Any, ...]], schema: pa.Schema) -> pa.RecordBatch:
    """Return the rows as a batch."""
    columns = [pa.array(column, field.type) for column, field in zip(zip(*rows, strict=True), schema, strict=True)]
    return pa.record_batch(columns, schema=schema)


def to_tuples(batch: pa.RecordBatch) -> Iterator[tuple[Any, ...]]:
    """Yield a batch's rows."""
    return zip(*(column.to_pylist() for column in batch.columns), strict=True)
