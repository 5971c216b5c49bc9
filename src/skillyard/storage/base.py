"""What a store of objects can do, and the one function that opens it from a URL."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from skillyard.errors import ConfigError
from skillyard.settings import as_url


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """One object; ``key`` is relative to the root and ``/``-separated on every platform."""

    key: str
    size_bytes: int
    etag: str
    """Changes whenever the bytes do; the same in ``list``, ``head`` and what a write returns."""
    modified_at: datetime


class Storage(Protocol):
    """Whole objects by key. Every write is atomic: a reader sees the old bytes, the new ones, or nothing.

    Refused access raises ``StorageRefused`` for reads and ``LakeNotWritable`` for writes; what may pass by itself is a
    ``StorageError``.
    """

    root: str

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Yield the objects whose key begins with ``prefix``, sorted by key; nothing when there are none."""
        ...

    def folders(self, prefix: str = "") -> Iterator[str]:
        """Yield the names that stand between ``prefix`` (empty, or ending in ``/``) and a further ``/``, sorted."""
        ...

    def head(self, key: str) -> ObjectInfo | None:
        """Return what is known of one object, None when it is not there."""
        ...

    def get(self, key: str) -> bytes:
        """Return its bytes, or raise ``ObjectMissing``."""
        ...

    def put(self, key: str, data: bytes) -> str:
        """Write it, over whatever is there; return the new etag."""
        ...

    def put_if_absent(self, key: str, data: bytes) -> str | None:
        """Write it unless it exists (of many at once, one wins); return the etag, or None when it exists."""
        ...

    def copy_if_absent(self, source: str, key: str, data: bytes | None = None) -> str | None:
        """Write what ``source`` holds (``data``, where the caller has it at hand) unless the key exists; ``ObjectMissing`` without it."""
        ...

    def replace_if_match(self, key: str, data: bytes, etag: str | None) -> str | None:
        """Write it if its etag is still ``etag`` (None: if it does not exist); return the new etag, None on a mismatch."""
        ...

    def delete(self, key: str) -> None:
        """Remove it; nothing happens when it is not there."""
        ...

    def uri(self, key: str) -> str:
        """Return the full URL of a key."""
        ...

    def key(self, uri: str) -> str:
        """Return the key of a full URL."""
        ...


def open_storage(root_url: str) -> Storage:
    """Return the store at a root URL (or plain path) without touching it yet.

    On S3, credentials, region and endpoint come from the standard ``AWS_*`` variables or the machine's role.
    """
    url = as_url(root_url)
    if url.startswith("s3://"):
        from skillyard.storage.s3 import S3Storage

        return S3Storage(url)
    from skillyard.storage.local import LocalStorage

    return LocalStorage(url)


def check_key(key: str) -> str:
    """Return the key if it stays below the root: no empty, ``.`` or ``..`` part, no NUL."""
    if "\0" in key or any(part in ("", ".", "..") for part in key.split("/")):
        raise ConfigError(f"{key!r} is not an object key: parts between slashes have to be names, never empty, '.' or '..'.")
    return key
