"""Arrow tables to Parquet bytes and back."""

import pyarrow as pa
import pyarrow.parquet as pq

ROW_HASH = "skillyard_row_hash"


def encode(rows: pa.Table, **metadata: str) -> bytes:
    """Return zstd Parquet bytes; the fields' descriptions and ``metadata`` stand in the file's footer."""
    sink = pa.BufferOutputStream()
    kept = rows.schema.metadata or {}
    pq.write_table(rows.replace_schema_metadata({**kept, **metadata}), sink, compression="zstd")
    return bytes(sink.getvalue())


def decode(data: bytes) -> pa.Table:
    """Return the table in Parquet bytes."""
    return pq.read_table(pa.BufferReader(data))


def stored_hash(data: bytes) -> str:
    """Return the row hash in a file's footer, empty when it has none."""
    found: bytes = (pq.read_schema(pa.BufferReader(data)).metadata or {}).get(ROW_HASH.encode(), b"")
    return found.decode()
