"""A local folder as a store of objects.

A write goes to a file named ``_tmp-…`` beside its target, is flushed to the disk, and takes the target's name in one step, so
nobody sees half an object. Overwrites and removals exclude each other by a lock on the root folder, which makes compare-and-replace
exact between processes of one machine. Folders shared over a network do not keep that promise: use S3 there.
"""

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname
from uuid import uuid4

from skillyard.errors import ConfigError, LakeNotWritable, ObjectMissing, SkillyardError, StorageError, StorageRefused
from skillyard.storage.base import ObjectInfo, check_key

TEMPORARY = "_tmp-"
MISSING = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR)
REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENOTDIR, errno.EEXIST, errno.EISDIR)


class LocalStorage:
    """Objects are files below one folder; the folder is made by the first write.

    An etag is the file's size and modification time in nanoseconds: listing a large inbox reads no file. Links to files are
    objects, links to folders are not followed.
    """

    def __init__(self, root: str) -> None:
        parts = urlsplit(root)
        if parts.netloc not in ("", "localhost"):
            raise ConfigError(f"{root!r} names the host {parts.netloc!r}: a local folder is file:///path, with three slashes.")
        self.root = root.rstrip("/")
        self.folder = Path(url2pathname(parts.path or "/"))
        self._base = f"{self.folder.as_uri()}/"

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Yield the objects whose key begins with ``prefix``, sorted by key."""
        above = prefix.rpartition("/")[0]
        if above:
            check_key(above)
        with _reading(self.uri(prefix)):
            yield from _walk(self.folder / above, f"{above}/" if above else "", prefix)

    def folders(self, prefix: str = "") -> Iterator[str]:
        """Yield the names of the folders directly below ``prefix``."""
        if prefix:
            check_key(prefix.rstrip("/"))
        with _reading(self.uri(prefix)):
            yield from (entry.name for entry in _entries(self.folder / prefix) if entry.is_dir(follow_symlinks=False))

    def head(self, key: str) -> ObjectInfo | None:
        """Return what is known of one object, None when it is not there."""
        path = self._path(key)
        with _reading(self.uri(key)):
            try:
                return _info(key, path.stat()) if path.is_file() else None
            except FileNotFoundError:
                return None

    def get(self, key: str) -> bytes:
        """Return its bytes, or raise ``ObjectMissing``."""
        with _reading(self.uri(key)):
            return self._path(key).read_bytes()

    def put(self, key: str, data: bytes) -> str:
        """Write it, over whatever is there; return the new etag."""
        path = self._path(key)
        with self._written(path, data) as (temporary, etag), self._locked():
            os.replace(temporary, path)
        return etag

    def put_if_absent(self, key: str, data: bytes) -> str | None:
        """Write it unless it exists; a hard link is the one step of which only one of many can succeed."""
        path = self._path(key)
        if path.exists():
            return None
        with self._written(path, data) as (temporary, etag):
            try:
                os.link(temporary, path)
            except FileExistsError:
                return None
        return etag

    def copy_if_absent(self, source: str, key: str, data: bytes | None = None) -> str | None:
        """Give what ``source`` holds a second name unless that exists; nothing is written, for no object is ever changed in place."""
        path = self._path(key)
        with _writing(self.uri(key)):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(self._path(source), path)
            except FileExistsError:
                return None
            except FileNotFoundError as error:
                raise ObjectMissing(f"{self.uri(source)} does not exist.") from error
            _flush_folder(path.parent)
            return _info("", path.stat()).etag

    def replace_if_match(self, key: str, data: bytes, etag: str | None) -> str | None:
        """Write it if its etag is still ``etag``; the lock keeps every other overwrite out between look and replace."""
        if etag is None:
            return self.put_if_absent(key, data)
        path = self._path(key)
        with self._written(path, data) as (temporary, new), self._locked():
            found = self.head(key)
            if found is None or found.etag != etag:
                return None
            os.replace(temporary, path)
        return new

    def delete(self, key: str) -> None:
        """Remove it; nothing happens when it is not there."""
        path = self._path(key)
        if not path.exists():
            return
        with _writing(self.uri(key)), self._locked():
            path.unlink(missing_ok=True)

    def uri(self, key: str) -> str:
        """Return the full URL of a key."""
        return (self.folder / key).as_uri()

    def key(self, uri: str) -> str:
        """Return the key of a full URL."""
        return unquote(uri.removeprefix(self._base))

    def _path(self, key: str) -> Path:
        return self.folder / check_key(key)

    @contextmanager
    def _written(self, path: Path, data: bytes) -> Iterator[tuple[Path, str]]:
        """Give a complete temporary file beside ``path`` and its etag; it is gone afterwards, the folder flushed."""
        temporary = path.with_name(f"{TEMPORARY}{uuid4().hex}")
        with _writing(self.uri(path.relative_to(self.folder).as_posix())):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                with temporary.open("xb") as file:
                    file.write(data)
                    file.flush()
                    # The kernel's own stamp moves in steps of milliseconds; the clock's tells two quick writes apart.
                    now = time.time_ns()
                    os.utime(file.fileno(), ns=(now, now))
                    os.fsync(file.fileno())
                    etag = _info("", os.fstat(file.fileno())).etag
                yield temporary, etag
            finally:
                temporary.unlink(missing_ok=True)
            _flush_folder(path.parent)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)


def _walk(folder: Path, base: str, prefix: str) -> Iterator[ObjectInfo]:
    for entry in _entries(folder):
        key = base + entry.name
        if entry.is_dir(follow_symlinks=False):
            if f"{key}/".startswith(prefix[: len(key) + 1]):
                yield from _walk(Path(entry.path), f"{key}/", prefix)
        elif key.startswith(prefix) and entry.is_file():
            try:
                yield _info(key, entry.stat())
            except FileNotFoundError:
                continue  # removed since the folder was read


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """Return a folder's entries such that walking them gives keys in order ('a-b' stands before 'a/b')."""
    try:
        with os.scandir(folder) as found:
            entries = [entry for entry in found if not entry.name.startswith(TEMPORARY)]
    except FileNotFoundError:
        return []
    return sorted(entries, key=lambda e: f"{e.name}/" if e.is_dir(follow_symlinks=False) else e.name)


def _info(key: str, stat: os.stat_result) -> ObjectInfo:
    return ObjectInfo(key, stat.st_size, f"{stat.st_size:x}-{stat.st_mtime_ns:x}", datetime.fromtimestamp(stat.st_mtime, UTC))


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _reading(uri: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in MISSING:
            raise ObjectMissing(f"{uri} does not exist or is no file.") from error
        if error.errno in REFUSED:
            raise StorageRefused(f"{uri} cannot be read: {error.strerror}. Give this user permission to read it.") from error
        raise StorageError(f"{uri} could not be read: {error.strerror}.") from error


@contextmanager
def _writing(uri: str) -> Iterator[None]:
    try:
        yield
    except SkillyardError:
        raise
    except OSError as error:
        message = f"{uri} cannot be written: {error.strerror} ({error.filename or 'no file named'})."
        if error.errno in REFUSED:
            raise LakeNotWritable(f"{message} Free space, give this user permission to write there, or choose another lake.") from error
        raise StorageError(message) from error
