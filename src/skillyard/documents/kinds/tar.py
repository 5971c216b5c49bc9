"""TAR, plain or packed by gzip, bzip2 or xz: read once from front to back, its files become documents."""

import bz2
import gzip
import lzma
import tarfile
from collections.abc import Iterator
from io import BytesIO, RawIOBase
from typing import IO
from zlib import error as ZlibError

from skillyard.documents.kinds.content import Content, ReadOptions
from skillyard.documents.kinds.zip import PIECE_BYTES, is_content
from skillyard.documents.result import Refused
from skillyard.documents.spool import MAX_EXPANDED_BYTES, MAX_MEMBERS

BLOCK_BYTES = 512
MAX_STREAM_BYTES = MAX_EXPANDED_BYTES + MAX_MEMBERS * 4 * BLOCK_BYTES
DAMAGE = (tarfile.TarError, EOFError, ZlibError, lzma.LZMAError, OSError, ValueError)
OPENERS = ((b"\x1f\x8b", gzip.open), (b"BZh", bz2.open), (b"\xfd7zXZ\0", lzma.open))


def read_tar(data: bytes, options: ReadOptions) -> Content:
    """Put the files into the spool; links and devices are refused one by one. ``Refused``: archive_limit or corrupt."""
    spool = options.spool_for_members()
    n_seen = 0
    try:
        with unpacked(data) as stream, tarfile.open(mode="r|", fileobj=_Counted(stream)) as archive:
            while (info := archive.next()) is not None:
                archive.members = []  # type: ignore[attr-defined]  # it would keep every header it has seen
                n_seen += 1
                if n_seen > 2 * MAX_MEMBERS:
                    raise Refused("archive_limit", f"more than {2 * MAX_MEMBERS:,} entries")
                if info.isdir() or not is_content(info.name):
                    continue
                if not info.isfile():
                    spool.refuse(info.name, "unsupported_type", "a link or device in a tar archive")
                    continue
                spool.add(info.name, _pieces(archive, info))
    except DAMAGE as error:
        raise Refused("corrupt", f"a damaged tar archive: {error}") from error
    if not spool.members:
        raise Refused("empty", "an archive without a file")
    return Content(())


def is_tar(data: bytes) -> bool:
    """Return whether the bytes, unpacked where they are packed, begin with a header whose checksum is right."""
    try:
        with unpacked(data) as stream:
            head = stream.read(BLOCK_BYTES)
        tarfile.TarInfo.frombuf(head, "utf-8", "surrogateescape")
    except (*DAMAGE, MemoryError):
        return False
    return True


def unpacked(data: bytes) -> IO[bytes]:
    """Return the bytes as a stream, unpacked by what they begin with."""
    opener = next((opener for mark, opener in OPENERS if data.startswith(mark)), None)
    stream = BytesIO(data)
    return opener(stream, "rb") if opener else stream  # type: ignore[return-value]


def _pieces(archive: tarfile.TarFile, info: tarfile.TarInfo) -> Iterator[bytes]:
    file = archive.extractfile(info)
    while file is not None and (piece := file.read(PIECE_BYTES)):
        yield piece


class _Counted(RawIOBase):
    """A stream that ends in ``Refused`` when it is longer than any archive we read, whatever is skipped in it."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream, self._n_bytes = stream, 0

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        self._n_bytes += len(data)
        if self._n_bytes > MAX_STREAM_BYTES:
            raise Refused("archive_limit", f"unpacks to more than {MAX_STREAM_BYTES:,} bytes")
        return data
