"""What lies in an archive: every member read through once and hashed, none kept."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from skillyard.documents.kinds import ReadOptions
from skillyard.documents.kinds.tar import read_tar
from skillyard.documents.kinds.zip import read_zip
from skillyard.documents.result import Member, Refused
from skillyard.documents.sevenzip import MARK, read_sevenzip
from skillyard.documents.sniff import sniff
from skillyard.documents.spool import MAX_EXPANDED_BYTES, MAX_MEMBERS, SpoolWriter
from skillyard.skills import Source

MAX_FOUND_CHARS = 200


def handle(source: Source, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the archive's members, and what cannot be taken out."""
    max_members, max_bytes = min(parameters["max_members"], MAX_MEMBERS), min(parameters["max_bytes"], MAX_EXPANDED_BYTES)
    hashes = Hashes(max(max_members, 0), max(max_bytes, 0))
    archive_format = _read(source.data, source.name, hashes)
    taken = [member for member in hashes.members if member.error_kind is None]
    return {
        "format": archive_format,
        "members": [{"path": m.path, "n_bytes": m.size_bytes, "sha256": hashes.digests[m.path]} for m in taken],
        "skipped": [
            {"path": m.path, "reason": m.error_kind, "found": (m.found or "")[:MAX_FOUND_CHARS]} for m in hashes.members if m.error_kind
        ],
        "n_members": len(taken),
        "n_bytes": sum(m.size_bytes for m in taken),
    }


class Hashes(SpoolWriter):
    """Takes members as ingestion's spool does, within the same limits, and keeps their hashes in place of their bytes."""

    def __init__(self, max_members: int, max_bytes: int) -> None:
        super().__init__(Path(), max_members, max_bytes)
        self.max_members, self.max_bytes = max_members, max_bytes
        self.digests: dict[str, str] = {}

    def add(self, path: str, pieces: Iterable[bytes]) -> None:
        """Hash a member."""
        digest = sha256()
        super().add(path, _fed(digest, pieces))
        self.digests[self._members[-1].path] = digest.hexdigest()

    def put(self, path: str, n_bytes: int, digest: str) -> None:
        """Keep a member that was hashed already."""
        self._members.append(Member(self._label(path), 0, n_bytes))
        self.digests[self._members[-1].path] = digest

    def count(self, n_bytes: int) -> None:
        """Count what was unpacked; ``Refused`` (archive_limit) when it is too much."""
        self._n_bytes += n_bytes
        if self._n_bytes > self.max_bytes:
            raise Refused("archive_limit", f"unpacks to more than {self.max_bytes:,} bytes")

    def _append(self, piece: bytes) -> None:
        self.count(len(piece))


def _fed(digest: Any, pieces: Iterable[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        digest.update(piece)
        yield piece


def _read(data: bytes, name: str, hashes: Hashes) -> str:
    """Put the members into the hashes and return what the archive is."""
    if data.startswith(MARK):
        _read_7z(data, hashes)
        return "7z"
    kind = sniff(data, name).kind
    if kind not in ("zip", "tar"):
        raise Refused("unsupported_type", f"the content is {kind}, no archive")
    try:
        (read_zip if kind == "zip" else read_tar)(data, ReadOptions(spool=hashes))
    except NotImplementedError as error:
        raise Refused("corrupt", f"a damaged zip archive, or one of a later kind: {error}") from error
    return kind


def _read_7z(data: bytes, hashes: Hashes) -> None:
    digests: dict[str, Any] = {}
    sizes: Counter[str] = Counter()

    def take(path: str, piece: bytes) -> None:
        digests.setdefault(path, sha256()).update(piece)
        sizes[path] += len(piece)
        hashes.count(len(piece))

    for path in read_sevenzip(data, take, hashes.refuse, hashes.max_members, hashes.max_bytes):
        hashes.put(path, sizes[path], digests[path].hexdigest())
