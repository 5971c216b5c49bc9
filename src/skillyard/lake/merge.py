"""Several files of a table as one, sorted, in bounded memory: sorted runs on the disk, then a merge of their heads, batch by batch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from skillyard.lake.lake import Lake
from skillyard.lake.parquet import ROW_HASH, write_sorted
from skillyard.lake.read import scan_file
from skillyard.lake.rowhash import add_hashes, row_hash
from skillyard.lake.tables import Table

RUN_BYTES = 32 * 1024**2
"""Rows that are held to be sorted, as Arrow holds them."""
HEAD_BYTES = 2 * 1024**2
"""Rows of each run that are held while the runs are merged."""
ORDERS = {
    "documents": ("doc_id",),
    "pages": ("doc_id", "page_no"),
    "chunks": ("doc_id", "chunk_no"),
    "llm_calls": ("skill", "item_id"),
    "rejects": ("skill", "item_id"),
    "audits": ("skill", "item_id"),
    "evals": ("skill", "eval_id"),
}
"""What readers look for, by table; elsewhere the table's key."""


@dataclass(frozen=True, slots=True)
class MergedFile:
    """The new file, and the hash of its rows as they were read from the sources and as they are read back from it."""

    data: bytes
    n_rows: int
    source_hash: str
    row_hash: str


def order_of(table: Table) -> tuple[str, ...]:
    """Return the columns by which merged files of a table are sorted; none of them is ever null."""
    found = ORDERS.get(table.name, table.key)
    return tuple(name for name in found if not table.schema.field(name).nullable) or table.key


def merge_files(lake: Lake, table: Table, keys: Sequence[str]) -> MergedFile:
    """Return the rows of the files as one Parquet file."""
    with TemporaryDirectory(prefix="skillyard-merge-") as folder:
        hashes: list[str] = []
        runs = [
            _spill(Path(folder) / f"{number:04d}.parquet", run, order_of(table))
            for number, run in enumerate(_runs(lake, table, keys, hashes))
        ]
        source_hash = add_hashes(hashes)
        path, batches = Path(folder) / "merged.parquet", _merged([_row_groups(run) for run in runs], order_of(table))
        write_sorted(path, table.schema, batches, order_of(table), **{ROW_HASH: source_hash})
        read_back = [(row_hash(table, rows), rows.num_rows) for rows in _row_groups(path)]
        data = path.read_bytes()
    return MergedFile(data, sum(n_rows for _, n_rows in read_back), source_hash, add_hashes(hashed for hashed, _ in read_back))


def _runs(lake: Lake, table: Table, keys: Sequence[str], hashes: list[str]) -> Iterator[pa.Table]:
    """Yield the rows of the files in pieces that fit into memory, and add the hash of each."""
    held: list[pa.Table] = []
    for key in keys:
        for batch in scan_file(lake, key, table.schema, table.partition):
            rows = pa.Table.from_batches([batch])
            hashes.append(row_hash(table, rows))
            held.append(rows)
            if sum(one.nbytes for one in held) >= RUN_BYTES:
                yield pa.concat_tables(held)
                held = []
    if held:
        yield pa.concat_tables(held)


def _spill(path: Path, rows: pa.Table, order: Sequence[str]) -> Path:
    n_rows = max(1, rows.num_rows * HEAD_BYTES // max(1, rows.nbytes))
    ordered = rows.unify_dictionaries().sort_by([(name, "ascending") for name in order])
    pq.write_table(ordered, path, compression="lz4", row_group_size=n_rows, use_dictionary=False)
    return path


def _row_groups(path: Path) -> Iterator[pa.Table]:
    """Yield the row groups of a file."""
    with pq.ParquetFile(path) as file:
        for number in range(file.num_row_groups):
            yield file.read_row_group(number)


def _merged(runs: list[Iterator[pa.Table]], order: Sequence[str]) -> Iterator[pa.Table]:
    """Yield the rows of sorted runs in the order of the first column, those that it leaves equal by the rest of them.

    What is not beyond the last row of any head can go: no later piece of a run holds anything before it.
    """
    first = order[0]
    heads = [(head, run) for run in runs if (head := next(run, None)) is not None]
    while heads:
        bound = min(head.column(first)[-1].as_py() for head, _ in heads)
        ready, rest = [], []
        for head, run in heads:
            n = pc.sum(pc.less_equal(head.column(first), pa.scalar(bound, head.schema.field(first).type))).as_py()
            ready.append(head.slice(0, n))
            left: pa.Table | None = head.slice(n) if n < head.num_rows else next(run, None)
            if left is not None:
                rest.append((left, run))
        heads = rest
        yield pa.concat_tables(ready).unify_dictionaries().sort_by([(name, "ascending") for name in order])
