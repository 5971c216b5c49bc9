"""What is known of the inbox: one row per address, sorted by key, so that a listing can be walked beside it.

``_inbox/<name>.parquet`` is a snapshot made of the table ``documents``, which stays the truth: its footer names the files that went
into it. What was published since is merged in while it is read; when one of its files is gone (compaction), everything is read anew.
It also keeps the change marks of objects that were read and found to hold what they held: else every run would read them again.
"""

import heapq
import json
import tempfile
from collections.abc import Iterable, Iterator
from hashlib import sha256
from itertools import groupby, islice
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from skillyard.lake.contents import find_contents
from skillyard.lake.lake import Lake
from skillyard.lake.read import scan_file
from skillyard.lake.stream import read_stream, stream_metadata, write_stream
from skillyard.lake.tables import DOCUMENTS
from skillyard.running.inbox_diff import Known
from skillyard.running.inbox_spool import PIECE_ROWS, Spool, to_batch, to_tuples
from skillyard.storage import Storage, open_storage

RUN_ROWS = 100_000
"""Rows sorted in memory at a time."""
FILES = "files"

KNOWN_SCHEMA = pa.schema(
    [
        ("key", pa.string()),
        ("at_us", pa.int64()),
        ("etag", pa.string()),
        ("size_bytes", pa.int64()),
        ("doc_id", pa.string()),
        ("status", pa.string()),
        ("kind", pa.string()),
        ("mime_type", pa.string()),
        ("parent_doc_id", pa.string()),
        ("member_uri", pa.string()),
    ]
)
RUN_SCHEMA = KNOWN_SCHEMA.append(pa.field("is_hint", pa.bool_()))
COLUMNS = ["uri", "ingested_at", "etag", "size_bytes", "doc_id", "status", "kind", "mime_type", "parent_doc_id"]


class Seen(NamedTuple):
    """An object that was read and found to hold the bytes it held."""

    uri: str
    etag: str
    doc_id: str
    at_us: int


class _Said(NamedTuple):
    """One thing said of a key. A hint counts only while the newest truth has the same bytes."""

    key: str
    at_us: int
    is_hint: bool
    known: Known


def known_objects(lake: Lake, inbox: str, seen: Iterable[Seen] = ()) -> Iterator[Known]:
    """Yield the newest that is known of every address in the inbox and not deleted, sorted by key, with flat memory."""
    storage, key = open_storage(inbox), snapshot_key(inbox)
    now, used = set(find_contents(lake, DOCUMENTS).keys), _files(lake, key)
    is_whole = used is not None and used <= now
    before = _stored(lake, key, is_hint=not is_whole) if used is not None else iter(())
    added = sorted(now - used) if used is not None and is_whole else sorted(now)
    with tempfile.TemporaryDirectory(prefix="skillyard-") as folder:
        said = _sorted_runs(_read(lake, storage, added), Path(folder) / "said")
        hints = _sorted_runs((_hint(storage, one) for one in seen), Path(folder) / "hints")
        yield from _newest(heapq.merge(before, *said, *hints, key=lambda one: (one.key, one.at_us)))


def keep_snapshot(lake: Lake, inbox: str, seen: Iterable[Seen]) -> None:
    """Write the snapshot as the table stands now, with what was seen since."""
    files = sorted(find_contents(lake, DOCUMENTS).keys)
    rows = known_objects(lake, inbox, seen)
    write_stream(lake, snapshot_key(inbox), KNOWN_SCHEMA, _batches(rows), {FILES: json.dumps(files)})


def snapshot_key(inbox: str) -> str:
    """Return where the snapshot of an inbox is."""
    return f"_inbox/{sha256(open_storage(inbox).root.encode()).hexdigest()[:16]}.parquet"


def _files(lake: Lake, key: str) -> set[str] | None:
    """Return the files that went into the snapshot, None when there is none."""
    return set(json.loads(stream_metadata(lake, key)[FILES])) if lake.has(key) else None


def _stored(lake: Lake, key: str, is_hint: bool) -> Iterator[_Said]:
    for batch in read_stream(lake, key):
        yield from (_Said(known.key, known.at_us, is_hint, known) for known in map(Known._make, to_tuples(batch)))


def _read(lake: Lake, storage: Storage, files: Iterable[str]) -> Iterator[_Said]:
    """Yield what files of ``documents`` say of this inbox."""
    base = storage.uri("x")[:-1]
    for file in files:
        for batch in scan_file(lake, file, DOCUMENTS.schema, DOCUMENTS.partition, COLUMNS, pc.starts_with(pc.field("uri"), base)):
            batch = batch.set_column(1, "at_us", batch["ingested_at"].cast(pa.int64()))
            for uri, at_us, etag, size_bytes, doc_id, status, kind, mime_type, parent in to_tuples(batch):
                key = _key_of(storage, uri)
                member_uri = uri if parent is not None else None
                yield _Said(key, at_us, False, Known(key, at_us, etag, size_bytes, doc_id, status, kind, mime_type, parent, member_uri))


def _hint(storage: Storage, one: Seen) -> _Said:
    key = _key_of(storage, one.uri)
    return _Said(key, one.at_us, True, Known(key, one.at_us, one.etag, 0, one.doc_id, "", "", "", None, None))


def _key_of(storage: Storage, uri: str) -> str:
    """Return the key of an address; below an archive what follows ``!/`` is left as it is."""
    archive, mark, member = uri.partition("!/")
    return storage.key(archive) + mark + member


def _sorted_runs(said: Iterable[_Said], stem: Path) -> list[Iterator[_Said]]:
    """Sort piece by piece, each piece into a file of its own, and return a stream for each."""
    rest, runs = iter(said), list[Iterator[_Said]]()
    while piece := sorted(islice(rest, RUN_ROWS), key=lambda one: (one.key, one.at_us)):
        with Spool(stem.with_name(f"{stem.name}-{len(runs):04d}"), RUN_SCHEMA) as spool:
            for one in piece:
                spool.add((*one.known, one.is_hint))
        runs.append(_run(spool))
    return runs


def _run(spool: Spool) -> Iterator[_Said]:
    for batch in spool:
        for *row, is_hint in to_tuples(batch):
            known = Known._make(row)
            yield _Said(known.key, known.at_us, is_hint, known)


def _newest(said: Iterable[_Said]) -> Iterator[Known]:
    for _, group in groupby(said, key=lambda one: one.key):
        everything = list(group)
        newest = next((one.known for one in reversed(everything) if not one.is_hint), None)
        if newest is None or newest.status == "deleted":
            continue
        hints = (one.known for one in reversed(everything) if one.is_hint and one.known.doc_id == newest.doc_id)
        hint = next(hints, None)
        if hint is not None and hint.at_us > newest.at_us:
            newest = newest._replace(at_us=hint.at_us, etag=hint.etag)
        yield newest


def _batches(rows: Iterable[Known]) -> Iterator[pa.RecordBatch]:
    rest = iter(rows)
    while piece := list(islice(rest, PIECE_ROWS)):
        yield to_batch(piece, KNOWN_SCHEMA)
