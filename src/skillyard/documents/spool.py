"""Members of an archive on their way from the worker that unpacks it to the pool: one file, no names.

The worker appends every member's bytes to one file that the pool has named; the pool opens that file, removes its name and reads
members from it by offset. So no name in an archive ever meets a file system, and the room is free again with the last reader.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from skillyard.documents.result import MAX_DOCUMENT_BYTES, Member, Refused

MAX_MEMBERS = 10_000
MAX_EXPANDED_BYTES = 1024**3
MAX_PATH_CHARS = 500
OF_THE_WHOLE = ("archive_limit", "crashed")
"""Kinds of errors that end the archive, not one of its members."""


class SpoolWriter:
    """Takes one archive's members; ``Refused`` (archive_limit) when they are too many or too large together."""

    def __init__(self, path: Path, max_members: int = MAX_MEMBERS, max_bytes: int = MAX_EXPANDED_BYTES) -> None:
        self._path, self._max_members, self._max_bytes = path, max_members, max_bytes
        self._file: BinaryIO | None = None
        self._n_bytes = 0
        self._members: list[Member] = []
        self._taken: dict[str, int] = {}

    @property
    def members(self) -> tuple[Member, ...]:
        """All that were added."""
        return tuple(self._members)

    def add(self, path: str, pieces: Iterable[bytes]) -> None:
        """Keep a member; one that is too large by itself becomes a reject of its own, and so does one whose bytes end in ``Refused``."""
        label, start = self._label(path), self._n_bytes
        try:
            for piece in pieces:
                self._append(piece)
                if self._n_bytes - start > MAX_DOCUMENT_BYTES:
                    raise Refused("too_large", f"more than {MAX_DOCUMENT_BYTES:,} bytes")
        except Refused as error:
            if error.error_kind in OF_THE_WHOLE:
                raise
            self._members.append(Member(label, start, 0, error.error_kind, error.found))
            return
        self._members.append(Member(label, start, self._n_bytes - start))

    def refuse(self, path: str, error_kind: str, found: str) -> None:
        """Keep that there is a member which cannot be taken out."""
        self._members.append(Member(self._label(path), self._n_bytes, 0, error_kind, found))

    def close(self) -> None:
        """Hand the bytes over to whoever opens the file."""
        if self._file is not None:
            self._file.close()

    def _append(self, piece: bytes) -> None:
        self._n_bytes += len(piece)
        if self._n_bytes > self._max_bytes:
            raise Refused("archive_limit", f"unpacks to more than {self._max_bytes:,} bytes")
        self._keep(piece)

    def _keep(self, piece: bytes) -> None:
        try:
            if self._file is None:
                self._file = self._path.open("xb")
            self._file.write(piece)
        except OSError as error:
            raise Refused("crashed", f"there is no room for what lies in it: {error}") from error

    def _label(self, path: str) -> str:
        """Return the path without what could lead out of a folder, and with a number where another member has it already."""
        if len(self._members) >= self._max_members:
            raise Refused("archive_limit", f"more than {self._max_members:,} members")
        parts = [part for part in path.replace("\\", "/").split("/") if part not in ("", ".", "..")]
        label = "".join(ch for ch in "/".join(parts) if ch.isprintable())[-MAX_PATH_CHARS:] or "unnamed"
        times = self._taken[label] = self._taken.get(label, 0) + 1
        return self._label(f"{label}#{times}") if times > 1 else label


class SpoolFile:
    """The bytes that a ``SpoolWriter`` in another process has written; its file has no name any more."""

    def __init__(self, path: Path) -> None:
        """Open it; empty when nothing was written."""
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CREAT, 0o600)
        path.unlink()

    def read(self, offset: int, size_bytes: int) -> bytes:
        """Return these bytes; ``ValueError`` when the file ends before them."""
        data = os.pread(self._descriptor, size_bytes, offset)
        if len(data) != size_bytes:
            raise ValueError(f"{len(data)} bytes at {offset} instead of {size_bytes}")
        return data

    def __del__(self) -> None:
        os.close(self._descriptor)
