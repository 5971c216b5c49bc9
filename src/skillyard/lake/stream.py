"""Working tables too long to be held: written from a stream of batches and read back as one, a row group at a time."""

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from skillyard.lake.lake import Lake

GROUP_ROWS = 64_000


def write_stream(lake: Lake, key: str, schema: pa.Schema, batches: Iterable[pa.RecordBatch], metadata: Mapping[str, str]) -> None:
    """Write the batches as one object, over what was there; ``metadata`` stands in the file's footer. Only its bytes are held."""
    with tempfile.TemporaryDirectory(prefix="skillyard-") as folder:
        path = Path(folder) / "rows.parquet"
        with pq.ParquetWriter(path, schema, compression="zstd") as writer:
            for batch in batches:
                writer.write_batch(batch, row_group_size=GROUP_ROWS)
            writer.add_key_value_metadata(dict(metadata))
        lake.storage.put(key, path.read_bytes())


def read_stream(lake: Lake, key: str, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
    """Yield an object's rows in their order, a row group in memory at a time."""
    with lake.filesystem.open_input_file(key) as file:
        yield from pq.ParquetFile(file).iter_batches(GROUP_ROWS, columns=columns)


def stream_metadata(lake: Lake, key: str) -> dict[str, str]:
    """Return what stands in an object's footer, without reading its rows."""
    with lake.filesystem.open_input_file(key) as file:
        found = pq.ParquetFile(file).metadata.metadata or {}
    return {name.decode(): value.decode() for name, value in found.items() if not name.startswith(b"ARROW")}
