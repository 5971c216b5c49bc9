"""Bytes that may be packed with gzip, as a stream that ends where they break off."""

import gzip
import zlib
from io import BytesIO
from typing import Any

MAX_UNPACKED_BYTES = 1024**3
PIECE_BYTES = 1 << 16
GZIP = b"\x1f\x8b"


class Unpacked:
    """The bytes as they come, packed or not, in as many members as there are, up to where it ends or breaks off."""

    def __init__(self, data: bytes) -> None:
        self._file: Any = gzip.GzipFile(fileobj=BytesIO(data)) if data.startswith(GZIP) else BytesIO(data)
        self.n_bytes, self.is_broken = 0, False

    def read(self, size: int = PIECE_BYTES) -> bytes:
        """Return some bytes; none at the end, at damage, and beyond the limit."""
        if self.is_broken or self.n_bytes > MAX_UNPACKED_BYTES:
            return b""
        try:
            piece: bytes = self._file.read1(min(size, PIECE_BYTES) if size > 0 else PIECE_BYTES)
        except (EOFError, OSError, zlib.error):
            self.is_broken = True
            return b""
        self.n_bytes += len(piece)
        return piece
