"""Office documents are zip archives: what they claim to hold, and really hold, is checked before a reader unpacks them."""

from io import BytesIO
from xml.parsers.expat import ExpatError, ParserCreate
from zipfile import BadZipFile, ZipFile, ZipInfo
from zlib import error as ZlibError

from skillyard.documents.result import Refused

MAX_EXPANDED_BYTES = 512 * 1024**2
MAX_RATIO = 150
"""Real office documents expand up to about 40 times; deflate can do 1,030."""
RATIO_MATTERS_FROM_BYTES = 32 * 1024**2
MAX_MEMBERS = 20_000
ENCRYPTED_FLAG = 0x1
MAIN_PARTS = ("word/document.xml", "xl/workbook.xml", "ppt/presentation.xml")
"""The libraries take broken XML for an empty document: we do not."""


def check_archive(data: bytes) -> None:
    """Return when the archive is whole and of sane size; else ``Refused``: too_large, password_required or corrupt.

    A member that unpacks to more than it declares fails its checksum here, at the declared size, before any reader sees it.
    """
    try:
        with ZipFile(BytesIO(data)) as archive:
            _check_sizes(archive.infolist(), len(data))
            for member in archive.infolist():
                if member.filename.endswith((".xml", ".rels")):
                    _read_through(archive, member)
    except (BadZipFile, ZlibError, ExpatError, EOFError, NotImplementedError, OSError, ValueError) as error:
        raise Refused("corrupt", f"the zip archive inside, or its main part, is damaged: {error}") from error


def _check_sizes(members: list[ZipInfo], size_bytes: int) -> None:
    expanded = sum(member.file_size for member in members)
    if any(member.flag_bits & ENCRYPTED_FLAG for member in members):
        raise Refused("password_required", "the zip archive inside is encrypted")
    if len(members) > MAX_MEMBERS:
        raise Refused("too_large", f"{len(members):,} members, allowed are {MAX_MEMBERS:,}")
    if expanded > MAX_EXPANDED_BYTES:
        raise Refused("too_large", f"unpacks to {expanded:,} bytes, allowed are {MAX_EXPANDED_BYTES:,}")
    if expanded > RATIO_MATTERS_FROM_BYTES and expanded > size_bytes * MAX_RATIO:
        raise Refused("too_large", f"{size_bytes:,} bytes unpack to {expanded:,}, allowed is {MAX_RATIO} times as much")


def _read_through(archive: ZipFile, member: ZipInfo) -> None:
    with archive.open(member) as file:
        if member.filename in MAIN_PARTS:
            ParserCreate().ParseFile(file)
        while file.read(1 << 20):
            pass
