"""The one way in which a manifest changes: files are staged, the manifest is switched if nobody else was faster, the rest is settled."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pyarrow as pa

from skillyard.errors import SchemaMismatch, StorageError
from skillyard.lake.lake import Lake
from skillyard.lake.manifest import SWITCH_TRIES, File, Manifest, Part, absorbed_parts, day_of, dump, load_manifest, manifest_key, places
from skillyard.lake.settle import forget, settle
from skillyard.lake.tables import Table

TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class NewFile:
    """A file to add."""

    data: bytes
    n_rows: int
    row_hash: str


@dataclass(frozen=True, slots=True)
class Change:
    """What a writer wants: files to add, files to leave out (with what is known of them), the part it commits, if it is one."""

    added: Mapping[str, NewFile]
    removed: Mapping[str, File]
    part: tuple[str, Part] | None = None
    parts_absorbed: Mapping[str, str] = field(default_factory=dict)
    """Appended tables: the row hashes of those removed files that a publish may be tried again for, by key."""
    forgotten: frozenset[str] = frozenset()
    """Superseded files that may be deleted now."""


def switch(lake: Lake, table: Table, decide: Callable[[Manifest], Change | None]) -> Manifest:
    """Apply the change that ``decide`` makes of the current state, deciding anew whenever someone else was faster.

    Whatever an earlier change left undone is finished first. Returns the manifest that holds then; nothing is written when the
    decision is None.
    """
    key, tried = manifest_key(table.name), set[str]()
    for _ in range(SWITCH_TRIES):
        found, etag = load_manifest(lake, table.name)
        current = found or Manifest(table.schema)
        settle(lake, table.name, current, etag, {})
        change = _effective(decide(current))
        if change is None:
            forget(lake, tried - set(current.files))
            return current
        tried |= set(change.added)
        for name, file in change.added.items():
            lake.storage.put(places(name)[1], file.data)
        target = _apply(lake, table, current, change)
        new_etag = lake.storage.replace_if_match(key, dump(target), etag)
        if new_etag is not None:
            settle(lake, table.name, target, new_etag, {name: file.data for name, file in change.added.items()})
            forget(lake, tried - set(target.files))
            return target
    raise StorageError(f"{lake.storage.uri(key)} was switched by others {SWITCH_TRIES} times while this run tried to: try again.")


def _effective(change: Change | None) -> Change | None:
    """Leave out files that would take their own places, as when the same is done again: they are neither new nor superseded."""
    same = change.added.keys() & change.removed.keys() if change else set()
    if change is None or not same:
        return change
    added = {key: file for key, file in change.added.items() if key not in same}
    removed = {key: file for key, file in change.removed.items() if key not in same}
    return replace(change, added=added, removed=removed) if added or removed or change.part else None


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
    return pa.schema([f if f.name in shared else f.with_nullable(True) for f in merged], table.schema.metadata)


def _apply(lake: Lake, table: Table, current: Manifest, change: Change) -> Manifest:
    times = (datetime.now(UTC), current.switched_at + TICK, *(file.added_at + TICK for file in change.removed.values()))
    at = max(times)
    kept = {key: file for key, file in current.files.items() if key not in change.removed}
    forgotten = [file.removed_at for key, file in current.removed.items() if key in change.forgotten and file.removed_at]
    return replace(
        current,
        schema=merged_schema(table, current),
        files=kept | {key: File(new.n_rows, new.row_hash, at) for key, new in change.added.items()},
        removed={key: file for key, file in current.removed.items() if key not in change.forgotten}
        | {key: replace(file, removed_at=at) for key, file in change.removed.items()},
        absorbed=dict(current.absorbed) | _note_absorbed(lake, table.name, current, change.parts_absorbed),
        parts=dict(current.parts) | dict([change.part] if change.part else []),
        staged=tuple(sorted(change.added)),
        superseded=tuple(sorted(change.removed)),
        switched_at=at,
        kept_since=max([current.kept_since, *forgotten]),
    )


def _note_absorbed(lake: Lake, table: str, current: Manifest, parts: Mapping[str, str]) -> dict[str, str]:
    """Write, for each day, the parts absorbed so far and now; the object is of no account before a manifest names it."""
    noted = {}
    for day in sorted({day_of(key) for key in parts}):
        of_day = {key: row_hash for key, row_hash in parts.items() if day_of(key) == day}
        data = json.dumps(dict(absorbed_parts(lake, current, day)) | of_day, sort_keys=True, indent=1).encode()
        noted[day] = f"{table}/_absorbed/{day}-{hashlib.sha256(data).hexdigest()[:12]}.json"
        lake.storage.put(noted[day], data)
    return noted
