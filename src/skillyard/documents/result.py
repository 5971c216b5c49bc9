"""What parsing a document gives: its pages, or why there are none."""

from dataclasses import dataclass, field
from hashlib import sha256
from typing import Protocol

ERROR_KINDS = {
    "password_required": "encrypted: put its password into the file that SKILLYARD_PASSWORDS names and retry, or put it in without one",
    "corrupt": "not readable as what it is: export it again from its source",
    "unsupported_type": "not a document we read: convert it to PDF, Office 2007 or later, HTML, mail, text, PNG, JPEG, TIFF, ZIP or TAR",
    "empty": "no bytes, or nothing but white space",
    "too_large": "larger than we read, as it is or once unpacked, or of too many pages: split it",
    "archive_limit": "an archive too deep, of too many members or too large once unpacked: unpack it and put in what is wanted",
    "timed_out": "the parser did not finish within its deadline",
    "out_of_memory": "the parser needed more memory than it is given",
    "crashed": "the parser's process died on it",
}
"""Every way in which a document can be refused, and what it means."""

MAX_DOCUMENT_BYTES = 256 * 1024**2
ARCHIVES = frozenset({"zip", "tar"})

Grid = tuple[tuple[str, ...], ...]
"""A table: rows of cells."""


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading, and where it begins in its page's text."""

    level: int
    text: str
    offset: int


@dataclass(frozen=True, slots=True)
class ParsedPage:
    """One page; ``text`` is empty unless ``status`` is ``text``. The fields are columns of ``pages``, see there."""

    page_no: int
    text: str
    n_chars: int
    language: str | None
    status: str
    parser: str
    rescue_level: int = 0
    ocr_confidence: float | None = None
    header: str | None = None
    footer: str | None = None
    headings: tuple[Heading, ...] = ()
    tables: tuple[Grid, ...] = ()


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a document's text from an offset in one page's text to an offset in the same or a later one's."""

    chunk_id: str
    chunk_no: int
    page_no: int
    start_offset: int
    last_page_no: int
    end_offset: int
    text: str
    n_tokens: int
    heading: str | None
    language: str | None


class Spool(Protocol):
    """Where the bytes of an archive's members lie until they are read."""

    def read(self, offset: int, size_bytes: int) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Member:
    """A file in an archive or attached to a message; one that cannot be taken out has an ``error_kind`` and no bytes."""

    path: str
    """In the archive: a label, of which no two are equal. Nothing is ever written under it."""
    offset: int
    size_bytes: int
    error_kind: str | None = None
    found: str | None = None
    spool: Spool | None = field(default=None, repr=False, compare=False)

    def load(self) -> bytes:
        """Return its bytes."""
        if self.spool is None:
            raise ValueError(f"{self.path} has no bytes here.")
        return self.spool.read(self.offset, self.size_bytes)


@dataclass(frozen=True, slots=True)
class Parsed:
    """A document that was read. An archive has no page; anything else at least one, of which all may be without text."""

    doc_id: str
    kind: str
    mime_type: str
    title: str | None
    language: str | None
    pages: tuple[ParsedPage, ...]
    metadata: tuple[tuple[str, str], ...] = ()
    """What else the document says of itself: author, subject, created, producer …"""
    chunks: tuple[Chunk, ...] = ()
    minhash: str | None = None
    """Hex; what near duplicates are found by. None for a document of too little text."""
    members: tuple[Member, ...] = ()
    """Documents in their own right that lie in this one."""

    @property
    def is_archive(self) -> bool:
        """It is nothing but a container of its members."""
        return self.kind in ARCHIVES


@dataclass(frozen=True, slots=True)
class Rejected:
    """A document that could not be read; ``error_kind`` is a key of ``ERROR_KINDS``."""

    doc_id: str
    kind: str
    mime_type: str
    error_kind: str
    error_message: str


class Refused(Exception):
    """Raised by a reader that knows why it cannot read a document; becomes a ``Rejected``."""

    def __init__(self, error_kind: str, found: str) -> None:
        self.error_kind, self.found = error_kind, found
        super().__init__(error_kind, found)


def reject(doc_id: str, kind: str, mime_type: str, error_kind: str, found: str) -> Rejected:
    """Return a reject whose message says what was found and what that means."""
    return Rejected(doc_id, kind, mime_type, error_kind, f"{found[:500].strip().rstrip('.')} ({ERROR_KINDS[error_kind]}).")


def doc_id_of(data: bytes) -> str:
    """Return the document's id: the sha256 of its bytes."""
    return sha256(data).hexdigest()
