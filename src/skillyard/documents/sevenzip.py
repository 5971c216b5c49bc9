"""7z archives, read once from front to back by py7zr, each member's bytes handed on as they come; nothing is written to a disk."""

from collections.abc import Callable
from io import BytesIO
from pathlib import PurePosixPath
from typing import Any

from skillyard.documents.kinds.zip import MAX_RATIO, RATIO_MATTERS_FROM_BYTES, is_content
from skillyard.documents.result import MAX_DOCUMENT_BYTES, Refused

MARK = b"7z\xbc\xaf\x27\x1c"

Take = Callable[[str, bytes], object]
"""Is given a member's path and a piece of its bytes."""
Skip = Callable[[str, str, str], object]
"""Is given the path of a member that cannot be taken out, the error_kind and what was found."""


def read_sevenzip(data: bytes, take: Take, skip: Skip, max_members: int, max_bytes: int) -> list[str]:
    """Hand on every member's bytes and return the paths of those that are whole; behind the first damage all is corrupt.

    ``Refused``: archive_limit by what the archive declares, corrupt, empty, or password_required.
    """
    from py7zr import SevenZipFile
    from py7zr.exceptions import PasswordRequired

    try:
        with SevenZipFile(BytesIO(data)) as archive:
            if archive.needs_password():
                raise Refused("password_required", "an encrypted 7z archive")
            targets = _targets(archive, len(data), skip, max_members, max_bytes)
            return _unpack(archive, targets, take, skip)
    except (Refused, MemoryError, ImportError):
        raise
    except PasswordRequired as error:
        raise Refused("password_required", "an encrypted 7z archive") from error
    except Exception as error:  # the library raises all sorts for damaged bytes
        raise Refused("corrupt", f"a damaged 7z archive: {type(error).__name__}: {error}"[:300]) from error


def _targets(archive: Any, size_bytes: int, skip: Skip, max_members: int, max_bytes: int) -> list[str]:
    """Check what the archive declares, and return the paths of what can be taken out, each once."""
    infos = [info for info in archive.list() if not info.is_directory and is_content(info.filename)]
    if not infos:
        raise Refused("empty", "an archive without a file")
    expanded = sum(info.uncompressed for info in infos)
    if len(infos) > max_members:
        raise Refused("archive_limit", f"{len(infos):,} members, allowed are {max_members:,}")
    if expanded > max_bytes:
        raise Refused("archive_limit", f"unpacks to {expanded:,} bytes, allowed are {max_bytes:,}")
    if expanded > RATIO_MATTERS_FROM_BYTES and expanded > size_bytes * MAX_RATIO:
        raise Refused("archive_limit", f"{size_bytes:,} bytes unpack to {expanded:,}, allowed is {MAX_RATIO} times as much")
    targets: dict[str, None] = {}
    for info in infos:
        path = info.filename
        if info.is_symlink or not info.is_file:
            skip(path, "unsupported_type", "a link or device in a 7z archive")
        elif path in targets:
            skip(path, "unsupported_type", "a second member of the same path")
        elif info.uncompressed > MAX_DOCUMENT_BYTES:
            skip(path, "too_large", f"more than {MAX_DOCUMENT_BYTES:,} bytes")
        elif path.startswith(("/", "\\")) or ".." in path.replace("\\", "/").split("/"):
            skip(path, "unsupported_type", "a path that leads out of the archive")
        else:
            targets[path] = None
    return list(targets)


def _unpack(archive: Any, targets: list[str], take: Take, skip: Skip) -> list[str]:
    begun: list[str] = []
    try:
        archive.extract(targets=targets, factory=_factory(take, begun))
    except (Refused, MemoryError, ImportError):
        raise
    except Exception as error:
        begun = begun[:-1]  # its checksum is what is wrong, or its bytes end
        if not begun:
            raise
        whole = set(begun)
        for path in (path for path in targets if PurePosixPath(path).as_posix() not in whole):
            skip(path, "corrupt", f"a damaged member, or one behind it: {type(error).__name__}: {error}")
    return begun


def _factory(take: Take, begun: list[str]) -> Any:
    """Return what makes py7zr hand on what it unpacks."""
    from py7zr import Py7zIO, WriterFactory

    class Writer(Py7zIO):
        def __init__(self, path: str) -> None:
            self._path, self._n_bytes = path, 0

        def write(self, s: bytes | bytearray) -> int:
            self._n_bytes += len(s)
            take(self._path, bytes(s))
            return len(s)

        def read(self, size: int | None = None) -> bytes:
            return b""

        def seek(self, offset: int, whence: int = 0) -> int:
            return 0

        def flush(self) -> None:
            return None

        def size(self) -> int:
            return self._n_bytes

    class Factory(WriterFactory):
        def create(self, filename: str) -> Py7zIO:
            begun.append(filename)
            take(filename, b"")
            return Writer(filename)

    return Factory()
