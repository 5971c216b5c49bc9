"""The manifest of a table of results: which files make the table, switched as a whole.

A publish first writes its new files under ``_staged/``, where no reader looks; then it switches ``_manifest.json`` (If-Match), which is the
commit; then it copies the staged files to their places and moves the superseded ones to ``_superseded/``. The manifest lists what
the last switch left to do, so whoever publishes next finishes it after a crash. A raw read of the folder shows the old rows until the
files are placed, and a replaced row twice between placing and moving: nothing else, and nothing at all when rows were only added.
Names end in a hash of the file's bytes: a name never stands for two contents.
"""

import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import pyarrow as pa

from skillyard.errors import ObjectMissing, SchemaMismatch, StorageError
from skillyard.lake.lake import Lake
from skillyard.lake.parquet import ROW_HASH, encode
from skillyard.lake.rows import by_day, row_hash
from skillyard.lake.tables import Table

SWITCH_TRIES = 20


@dataclass(frozen=True, slots=True)
class Part:
    """A part that is committed: the hash of its rows, and how many of them went into which file then."""

    row_hash: str
    files: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Manifest:
    """The state of one table. Keys are relative to the lake's root."""

    schema: pa.Schema
    files: Mapping[str, int]
    """Rows in each file of the table."""
    parts: Mapping[str, Part]
    staged: tuple[str, ...] = ()
    """Files of the last switch that may still have to be copied to their places."""
    superseded: tuple[str, ...] = ()
    """Files that the last switch left out and that may still have to be moved away."""


@dataclass(frozen=True, slots=True)
class Change:
    """What a publish wants: files to add (their bytes), files to leave out, the part it commits, if it is one."""

    added: Mapping[str, tuple[bytes, int]]
    removed: frozenset[str]
    part: tuple[str, Part] | None = None


def places(key: str) -> tuple[str, str, str]:
    """Return where a file of a manifest can be: its place, or before it came there, or after it left."""
    return key, f"_staged/{key}", f"_superseded/{key}"


def load_manifest(lake: Lake, table: str) -> tuple[Manifest | None, str | None]:
    """Return a table's manifest and its etag, None and None when it has none."""
    key = f"{table}/_manifest.json"
    for _ in range(SWITCH_TRIES):
        before = lake.storage.head(key)
        if before is None:
            return None, None
        data = lake.storage.get(key)
        after = lake.storage.head(key)
        if after is not None and after.etag == before.etag:
            return _parse(data), before.etag
    raise StorageError(f"{lake.storage.uri(key)} changed {SWITCH_TRIES} times while it was read: try again.")


def switch(lake: Lake, table: Table, decide: Callable[[Manifest], Change | None]) -> Manifest:
    """Apply the change that ``decide`` makes of the current state, deciding anew whenever someone else was faster.

    Whatever an earlier publish left undone is finished first. Returns the manifest that holds then; nothing is written when the
    decision is None.
    """
    key, tried = f"{table.name}/_manifest.json", set[str]()
    for _ in range(SWITCH_TRIES):
        found, etag = load_manifest(lake, table.name)
        current = found or Manifest(table.schema, {}, {})
        settle(lake, current)
        change = decide(current)
        if change is None:
            _forget(lake, tried - set(current.files))
            return current
        tried |= set(change.added)
        for name, (data, _) in change.added.items():
            lake.storage.put(places(name)[1], data)
        target = _apply(table, current, change)
        new_etag = lake.storage.replace_if_match(key, _dump(target), etag)
        if new_etag is not None:
            settle(lake, target)
            _withdraw(lake, table, target, new_etag)
            _forget(lake, tried - set(target.files))
            return target
    raise StorageError(f"{lake.storage.uri(key)} was switched by others {SWITCH_TRIES} times while this run tried to: try again.")


def settle(lake: Lake, manifest: Manifest) -> None:
    """Finish what the last switch left to do; nothing happens where it is done."""
    for key in manifest.staged:
        place, staged, _ = places(key)
        try:
            lake.storage.put_if_absent(place, lake.storage.get(staged))
            lake.storage.delete(staged)
        except ObjectMissing:
            continue  # placed before
    for key in manifest.superseded:
        _move_away(lake, key)


def new_files(table: Table, rows: pa.Table, label: str) -> dict[str, tuple[bytes, int]]:
    """Return the bytes and row counts of new files for the rows, one for each day, under names that no other content has."""
    files = {}
    for day, of_day in by_day(table, rows):
        data = encode(of_day, **{ROW_HASH: row_hash(table, of_day)})
        files[f"{table.name}/dt={day}/part-{label}-{hashlib.sha256(data).hexdigest()[:12]}.parquet"] = data, of_day.num_rows
    return files


def _withdraw(lake: Lake, table: Table, mine: Manifest, etag: str) -> None:
    """Take away what we placed late: someone who published in the meantime may have superseded it already."""
    now = lake.storage.head(f"{table.name}/_manifest.json")
    if now is not None and now.etag != etag:
        newest, _ = load_manifest(lake, table.name)
        for key in mine.staged:
            if newest is not None and key not in newest.files:
                _move_away(lake, key)


def _forget(lake: Lake, keys: set[str]) -> None:
    """Remove what was staged for a change that another publisher's switch made void."""
    for key in keys:
        lake.storage.delete(places(key)[1])


def _move_away(lake: Lake, key: str) -> None:
    try:
        lake.storage.put(places(key)[2], lake.storage.get(key))
    except ObjectMissing:
        return
    lake.storage.delete(key)


def merged_schema(table: Table, current: Manifest) -> pa.Schema:
    """Return the columns of the table's schema and of what it holds; a column that one of them lacks may be null."""
    try:
        merged = pa.unify_schemas([table.schema, current.schema])
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise SchemaMismatch(
            f"{table.name} holds other types than its schema has now: {error}. Raise output.major in skill.yaml: a type that "
            "changes is a new table."
        ) from error
    shared = set(table.schema.names) & set(current.schema.names)
    return pa.schema([field if field.name in shared else field.with_nullable(True) for field in merged], table.schema.metadata)


def _apply(table: Table, current: Manifest, change: Change) -> Manifest:
    kept = {key: n for key, n in current.files.items() if key not in change.removed}
    return replace(
        current,
        schema=merged_schema(table, current),
        files=kept | {key: n for key, (_, n) in change.added.items()},
        parts=dict(current.parts) | dict([change.part] if change.part else []),
        staged=tuple(sorted(change.added)),
        superseded=tuple(sorted(change.removed)),
    )


def _dump(manifest: Manifest) -> bytes:
    value = {
        "format": 1,
        "schema": base64.b64encode(manifest.schema.serialize().to_pybytes()).decode(),
        "files": manifest.files,
        "parts": {name: {"row_hash": part.row_hash, "files": part.files} for name, part in manifest.parts.items()},
        "staged": manifest.staged,
        "superseded": manifest.superseded,
    }
    return json.dumps(value, sort_keys=True, indent=1).encode()


def _parse(data: bytes) -> Manifest:
    value = json.loads(data)
    return Manifest(
        schema=pa.ipc.read_schema(pa.py_buffer(base64.b64decode(value["schema"]))),
        files=value["files"],
        parts={name: Part(part["row_hash"], part["files"]) for name, part in value["parts"].items()},
        staged=tuple(value["staged"]),
        superseded=tuple(value["superseded"]),
    )
