"""The manifest of a table: what its files are, switched as a whole.

Of a table of results the manifest names every file. An appended table has one once files of it were merged or corrected: it names those
files, every other object in the table's folder belongs to it too, unless it was *absorbed* (its rows stand in a named file since).

A change first writes its new files under ``_staged/``, where no reader looks; then it switches ``_manifest.json`` (If-Match), which is the
commit; then it copies the staged files to their places and moves the superseded ones to ``_superseded/``. The manifest lists what the
last switch left to do, so whoever comes next finishes it after a crash (``settle.py``). A raw read of the folder shows the old rows until
the files are placed, and rows twice between placing and moving: nothing else, and nothing at all when rows were only added.
Names end in a hash of the file's bytes: a name never stands for two contents.
"""

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from skillyard.errors import StorageError
from skillyard.lake.lake import Lake

SWITCH_TRIES = 20
BEGINNING = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class File:
    """What is known of one file. Times are those of the switches: they only ever grow, whatever the writers' clocks say."""

    n_rows: int
    row_hash: str
    added_at: datetime
    removed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """A part that is committed: the hash of its rows, and how many of them went into which file then."""

    row_hash: str
    files: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Manifest:
    """The state of one table. Keys are relative to the lake's root."""

    schema: pa.Schema
    files: Mapping[str, File] = field(default_factory=dict)
    parts: Mapping[str, Part] = field(default_factory=dict)
    """Every part of a table of results."""
    removed: Mapping[str, File] = field(default_factory=dict)
    """Superseded files that ``_superseded/`` still holds."""
    absorbed: Mapping[str, str] = field(default_factory=dict)
    """By day of an appended table: the JSON object that has the row hash of every part that stands in a named file since."""
    staged: tuple[str, ...] = ()
    """Files of the last switch that may still have to be copied to their places."""
    superseded: tuple[str, ...] = ()
    """Files that the last switch left out and that may still have to be moved away."""
    switched_at: datetime = BEGINNING
    kept_since: datetime = BEGINNING
    """From here on every state can be read: no file that was removed later has been deleted."""


def manifest_key(table: str) -> str:
    """Return where a table's manifest lies."""
    return f"{table}/_manifest.json"


def places(key: str) -> tuple[str, str, str]:
    """Return where a file of a manifest can be: its place, or before it came there, or after it left."""
    return key, f"_staged/{key}", f"_superseded/{key}"


def day_of(key: str) -> str:
    """Return the day in a file's path."""
    return key.rpartition("/dt=")[2].partition("/")[0]


def load_manifest(lake: Lake, table: str) -> tuple[Manifest | None, str | None]:
    """Return a table's manifest and its etag, None and None when it has none."""
    key = manifest_key(table)
    for _ in range(SWITCH_TRIES):
        before = lake.storage.head(key)
        if before is None:
            return None, None
        data = lake.storage.get(key)
        after = lake.storage.head(key)
        if after is not None and after.etag == before.etag:
            return _parse(data), before.etag
    raise StorageError(f"{lake.storage.uri(key)} changed {SWITCH_TRIES} times while it was read: try again.")


def absorbed_parts(lake: Lake, manifest: Manifest | None, day: str) -> Mapping[str, str]:
    """Return, by key, the row hash of each part of a day of an appended table that stands in another file since."""
    found: dict[str, str] = lake.read_json(manifest.absorbed[day]) if manifest and day in manifest.absorbed else {}
    return found


def file_name(table: str, day: str, label: str, data: bytes, current: Manifest) -> str:
    """Return the key of a new file: no other content has its name, and no file that was superseded since had it either.

    Rows that go and come back as they were would else meet their own past: whoever still moves the old file away, the new one.
    """
    digest = hashlib.sha256(data)
    while (key := f"{table}/dt={day}/{label}-{digest.hexdigest()[:12]}.parquet") in current.removed:
        digest.update(f"{current.removed[key].removed_at}".encode())
    return key


def dump(manifest: Manifest) -> bytes:
    """Return the manifest as JSON."""
    value = {
        "format": 2,
        "schema": base64.b64encode(manifest.schema.serialize().to_pybytes()).decode(),
        "files": {key: _dump_file(file) for key, file in manifest.files.items()},
        "removed": {key: _dump_file(file) for key, file in manifest.removed.items()},
        "absorbed": manifest.absorbed,
        "parts": {name: {"row_hash": part.row_hash, "files": part.files} for name, part in manifest.parts.items()},
        "staged": manifest.staged,
        "superseded": manifest.superseded,
        "switched_at": manifest.switched_at.isoformat(),
        "kept_since": manifest.kept_since.isoformat(),
    }
    return json.dumps(value, sort_keys=True, indent=1).encode()


def _dump_file(file: File) -> dict[str, Any]:
    removed = {"removed_at": file.removed_at.isoformat()} if file.removed_at else {}
    return {"n_rows": file.n_rows, "row_hash": file.row_hash, "added_at": file.added_at.isoformat(), **removed}


def _load_file(value: Mapping[str, Any]) -> File:
    removed_at = datetime.fromisoformat(value["removed_at"]) if "removed_at" in value else None
    return File(value["n_rows"], value["row_hash"], datetime.fromisoformat(value["added_at"]), removed_at)


def _parse(data: bytes) -> Manifest:
    value = json.loads(data)
    return Manifest(
        schema=pa.ipc.read_schema(pa.py_buffer(base64.b64decode(value["schema"]))),
        files={key: _load_file(file) for key, file in value["files"].items()},
        removed={key: _load_file(file) for key, file in value["removed"].items()},
        absorbed=value["absorbed"],
        parts={name: Part(part["row_hash"], part["files"]) for name, part in value["parts"].items()},
        staged=tuple(value["staged"]),
        superseded=tuple(value["superseded"]),
        switched_at=datetime.fromisoformat(value["switched_at"]),
        kept_since=datetime.fromisoformat(value["kept_since"]),
    )
