"""Arrow tables to Parquet bytes and back."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

ROW_HASH = "skillyard_row_hash"
GROUP_ROWS = 1 << 16
GROUP_BYTES = 32 * 1024**2


def encode(rows: pa.Table, **metadata: str) -> bytes:
    """Return zstd Parquet bytes; the fields' descriptions and ``metadata`` stand in the file's footer."""
    return encode_late(rows, lambda: metadata)


def encode_late(rows: pa.Table, metadata: Callable[[], dict[str, str]]) -> bytes:
    """Return the same, with metadata that is asked for when the rows are written: it may be computed meanwhile."""
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(sink, rows.schema, compression="zstd") as writer:
        writer.write_table(rows)
        writer.add_key_value_metadata(metadata())
    return bytes(sink.getvalue())


def write_sorted(path: Path, schema: pa.Schema, batches: Iterable[pa.Table], order: Sequence[str], **metadata: str) -> None:
    """Write rows that come sorted by ``order``, with what lets a reader skip: small row groups, an index of their pages."""
    sorting = pq.SortingColumn.from_ordering(schema, [(name, "ascending") for name in order])
    with pq.ParquetWriter(path, schema, compression="zstd", write_page_index=True, sorting_columns=sorting) as writer:
        for group in _groups(batches):
            writer.write_table(group, row_group_size=group.num_rows)
        writer.add_key_value_metadata(metadata)


def decode(data: bytes) -> pa.Table:
    """Return the table in Parquet bytes."""
    return pq.read_table(pa.BufferReader(data))


def stored_hash(data: bytes) -> str:
    """Return the row hash in a file's footer, empty when it has none."""
    return stored_marks(data).get(ROW_HASH, "")


def stored_marks(data: bytes) -> dict[str, str]:
    """Return what was written as metadata into a file's footer, its schema left out."""
    return marks_of(pq.read_metadata(pa.BufferReader(data)))


def marks_of(footer: pq.FileMetaData) -> dict[str, str]:
    """Return the same of a footer that was read."""
    return {name.decode(): value.decode() for name, value in (footer.metadata or {}).items() if name != b"ARROW:schema"}


def _groups(batches: Iterable[pa.Table]) -> Iterable[pa.Table]:
    held: list[pa.Table] = []
    for batch in batches:
        held.append(batch)
        if sum(one.num_rows for one in held) >= GROUP_ROWS or sum(one.nbytes for one in held) >= GROUP_BYTES:
            yield pa.concat_tables(held)
            held = []
    if held:
        yield pa.concat_tables(held)
