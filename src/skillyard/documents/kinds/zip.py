"""ZIP: its members become documents. Nothing is believed that the archive says of itself."""

from collections.abc import Iterator
from io import BytesIO
from lzma import LZMAError
from zipfile import BadZipFile, ZipFile, ZipInfo
from zlib import error as ZlibError

from skillyard.documents.kinds.content import Content, ReadOptions
from skillyard.documents.result import Refused
from skillyard.documents.spool import MAX_EXPANDED_BYTES, MAX_MEMBERS, SpoolWriter

PIECE_BYTES = 1 << 20
DIRECTORY_MARK = b"PK\x01\x02"
MAX_RATIO = 200
RATIO_MATTERS_FROM_BYTES = 64 * 1024**2
ENCRYPTED_FLAG, AES_METHOD = 0x1, 99
DAMAGE = (BadZipFile, ZlibError, LZMAError, EOFError, OSError, ValueError)


def read_zip(data: bytes, options: ReadOptions) -> Content:
    """Put the members into the spool. ``Refused``: archive_limit, corrupt, or password_required when nothing opens without one."""
    spool = options.spool_for_members()
    if data.count(DIRECTORY_MARK) > 10 * MAX_MEMBERS:  # archives within it, stored as they are, count too
        raise Refused("archive_limit", f"more than {10 * MAX_MEMBERS:,} directory entries")
    try:
        with ZipFile(BytesIO(data)) as archive:
            members = [info for info in archive.infolist() if not info.is_dir() and is_content(info.filename)]
            _check(members, len(data))
            passwords = [password.encode() for password in options.passwords]
            for info in members:
                _take_out(archive, info, passwords, spool)
    except (NotImplementedError, *DAMAGE) as error:  # a version of the format that there is none of, say
        raise Refused("corrupt", f"a damaged zip archive: {error}") from error
    if not spool.members:
        raise Refused("empty", "an archive without a file")
    if all(member.error_kind == "password_required" for member in spool.members):
        raise Refused("password_required", f"an encrypted zip archive: {spool.members[0].found}")
    return Content(())


def is_content(path: str) -> bool:
    """Return whether a member is somebody's file, not what an operating system left there."""
    parts = path.replace("\\", "/").split("/")
    return "__MACOSX" not in parts[:-1] and parts[-1] not in (".DS_Store", "Thumbs.db", "desktop.ini")


def _check(members: list[ZipInfo], size_bytes: int) -> None:
    expanded = sum(info.file_size for info in members)
    if len(members) > MAX_MEMBERS:
        raise Refused("archive_limit", f"{len(members):,} members, allowed are {MAX_MEMBERS:,}")
    if expanded > MAX_EXPANDED_BYTES:
        raise Refused("archive_limit", f"unpacks to {expanded:,} bytes, allowed are {MAX_EXPANDED_BYTES:,}")
    if expanded > RATIO_MATTERS_FROM_BYTES and expanded > size_bytes * MAX_RATIO:
        raise Refused("archive_limit", f"{size_bytes:,} bytes unpack to {expanded:,}, allowed is {MAX_RATIO} times as much")


def _take_out(archive: ZipFile, info: ZipInfo, passwords: list[bytes], spool: SpoolWriter) -> None:
    if info.compress_type == AES_METHOD:
        spool.refuse(info.filename, "password_required", "encrypted with AES, which is not read with a password either")
        return
    password = None
    if info.flag_bits & ENCRYPTED_FLAG:
        password = next((known for known in passwords if _opens(archive, info, known)), None)
        if password is None:
            spool.refuse(info.filename, "password_required", "an encrypted member of a zip archive")
            return
        passwords.remove(password)
        passwords.insert(0, password)
    spool.add(info.filename, _pieces(archive, info, password))


def _opens(archive: ZipFile, info: ZipInfo, password: bytes) -> bool:
    """Return whether the member is whole with this password: its checksum says so, the archive's own test lets 1 in 256 pass."""
    try:
        for _ in _pieces(archive, info, password):
            pass
    except Refused:
        return False
    return True


def _pieces(archive: ZipFile, info: ZipInfo, password: bytes | None) -> Iterator[bytes]:
    """Yield a member's bytes; ``Refused`` where they are damaged. They never are more than it declares: its checksum fails there."""
    try:
        with archive.open(info, pwd=password) as file:
            while piece := file.read(PIECE_BYTES):
                yield piece
    except NotImplementedError as error:
        raise Refused("unsupported_type", f"packed in a way that is not read: {error}") from error
    except (RuntimeError, *DAMAGE) as error:
        raise Refused("corrupt", f"a damaged member: {error}") from error
