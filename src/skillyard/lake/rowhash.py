"""What makes two sets of rows the same: a hash that the order of rows, their cut into files and Arrow's layout do not change.

The hash of a set is the sum of the sha256 of its rows, in four lanes of 64 bits. Sums add up: the hash of a day is the sum of the
hashes of its files, so that files are merged and split again under a check that reads every row once. *Clock columns* take no part.
"""

from collections.abc import Iterable, Iterator
from hashlib import sha256

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from skillyard.lake.tables import Table

CLOCKS = frozenset(
    {
        "ingested_at",
        "ingested_on",
        "produced_at",
        "produced_on",
        "rejected_at",
        "rejected_on",
        "checked_at",
        "checked_on",
        "reconciled_at",
    }
)
"""When we did something: it differs when a task is tried again, although the rows mean the same. ``sent_at`` and ``usage_date`` of the
ledger are facts about a request, recorded once, and do take part."""
BATCH_ROWS = 8_192
SCHEMA_BYTES = 16
"""Of the hash of the columns' names and types, with which every row begins: rows of other columns are other rows."""
LANES = 4
NO_ROWS = "0" * 64

Bytes = npt.NDArray[np.uint8]


def row_hash(table: Table, rows: pa.Table) -> str:
    """Return the hash of the logical rows, 64 hexadecimal digits."""
    return add_hashes(batch_hash(table, batch) for batch in _slices(rows))


def batch_hash(table: Table, rows: pa.Table) -> str:
    """Return the hash of a few rows, all of them encoded at once."""
    names = sorted(set(rows.column_names) - CLOCKS)
    columns = [_plain(rows.column(name)) for name in names]
    schema = sha256("\0".join(f"{name}:{_kind(column.type)}" for name, column in zip(names, columns, strict=True)).encode())
    fixed: list[Bytes] = [np.broadcast_to(np.frombuffer(schema.digest(), np.uint8, SCHEMA_BYTES), (rows.num_rows, SCHEMA_BYTES))]
    texts: list[pa.Array] = []
    for column in columns:
        _add(column, fixed, texts)
    encoded = _joined(fixed, texts)
    digests = b"".join([sha256(row).digest() for row in encoded.to_pylist()])
    return _shown(np.frombuffer(digests, "<u8").reshape(-1, LANES).sum(axis=0, dtype=np.uint64))


def add_hashes(hashes: Iterable[str]) -> str:
    """Return the hash of all rows together, from the hashes of sets that make them up."""
    total = np.zeros(LANES, np.uint64)
    for one in hashes:
        total += np.frombuffer(bytes.fromhex(one), ">u8").astype(np.uint64)
    return _shown(total)


def _shown(lanes: npt.NDArray[np.uint64]) -> str:
    return lanes.astype(">u8").tobytes().hex()


def _slices(rows: pa.Table) -> Iterator[pa.Table]:
    for start in range(0, rows.num_rows, BATCH_ROWS):
        yield rows.slice(start, BATCH_ROWS)


def _plain(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """Return one array, a dictionary's values in its place."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
    if isinstance(column, pa.ChunkedArray):
        column = pa.concat_arrays(column.chunks)
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def _kind(kind: pa.DataType) -> str:
    """Return a type's name without what Arrow is free to choose: a dictionary, the name of a list's elements."""
    if pa.types.is_dictionary(kind):
        return _kind(kind.value_type)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return f"list<{_kind(kind.value_type)}>"
    if pa.types.is_struct(kind):
        return f"struct<{','.join(f'{sub.name}:{_kind(sub.type)}' for sub in kind)}>"
    return str(kind).removeprefix("large_")


def _add(column: pa.Array, fixed: list[Bytes], texts: list[pa.Array]) -> None:
    """Add a column to the parts of a row: whether there is a value, then the value or its length, its bytes last."""
    column = _plain(column)
    kind, is_there = column.type, column.is_valid().to_numpy(zero_copy_only=False)
    fixed.append(is_there.view(np.uint8).reshape(-1, 1))
    if pa.types.is_struct(kind):
        for child in column.flatten():
            _add(child, fixed, texts)
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
        _add_text(_elements(column), fixed, texts)
    elif pa.types.is_string(kind) or pa.types.is_binary(kind) or pa.types.is_large_string(kind) or pa.types.is_large_binary(kind):
        _add_text(pc.fill_null(column.cast(pa.large_binary()), b""), fixed, texts)
    elif not pa.types.is_null(kind):
        fixed.append(_values(column, is_there))


def _add_text(text: pa.Array, fixed: list[Bytes], texts: list[pa.Array]) -> None:
    lengths = pc.binary_length(text).to_numpy(zero_copy_only=False).astype("<u4")
    fixed.append(lengths.view(np.uint8).reshape(-1, 4))
    texts.append(text)


def _values(column: pa.Array, is_there: npt.NDArray[np.bool_]) -> Bytes:
    """Return the bytes of values of one width, zeros for a null whatever lies under it."""
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.uint8())
    width = column.type.bit_width // 8
    data = np.frombuffer(column.buffers()[1], np.uint8, len(column) * width, column.offset * width).reshape(-1, width)
    return data if is_there.all() else np.where(is_there[:, None], data, np.uint8(0))


def _elements(lists: pa.Array) -> pa.Array:
    """Return, for each list, the bytes of its elements one after the other."""
    fixed: list[Bytes] = []
    texts: list[pa.Array] = []
    _add(lists.flatten(), fixed, texts)
    encoded = _joined(fixed, texts)
    lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
    ends = np.concatenate([[0], np.cumsum(lengths)])
    offsets = np.frombuffer(encoded.buffers()[1], np.int64, len(encoded) + 1, encoded.offset * 8)
    return pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(lists), [None, pa.py_buffer(offsets[ends]), encoded.buffers()[2]])


def _joined(fixed: list[Bytes], texts: list[pa.Array]) -> pa.Array:
    """Return each row's parts as one value; what comes first has one width, so that no two rows have the same bytes by chance."""
    block = np.ascontiguousarray(np.concatenate(fixed, axis=1))
    n, width = block.shape
    offsets = np.arange(n + 1, dtype=np.int64) * width
    head = pa.LargeBinaryArray.from_buffers(pa.large_binary(), n, [None, pa.py_buffer(offsets), pa.py_buffer(block)])
    return pc.binary_join_element_wise(head, *texts, pa.scalar(b"", pa.large_binary())) if texts else head
