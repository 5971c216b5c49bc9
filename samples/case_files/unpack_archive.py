"""Writes the archives of unpack-archive's cases, from small files of the inbox and texts made here."""

import io
import tarfile
import zipfile
from pathlib import Path

import py7zr

ROOT = Path(__file__).parents[2]
FILES = ROOT / "include" / "skills" / "unpack-archive" / "evals" / "files"
INBOX = ROOT / "samples" / "inbox"
DAY = (2026, 3, 2, 9, 0, 0)
NOTE = b"Pallets 12 to 19 are in hall B. The driver signed for all of them.\n"


def main() -> None:
    """Write each archive."""
    letter = (INBOX / "other" / "address-correction-letter.txt").read_bytes()
    for name, data in {
        "delivery.zip": zipped({"delivery/note.txt": NOTE, "delivery/letter.txt": letter, "__MACOSX/._note.txt": b"mac", "empty.txt": b""}),
        "traversal.zip": zipped({"../../etc/crontab": b"* * * * * root true\n", "note.txt": NOTE, "./note.txt": letter}),
        "half-locked.zip": half_locked(),
        "locked.zip": locked(zipped({"note.txt": NOTE})),
        "bomb.zip": zipped({"zeros.bin": bytes(66 * 1024**2)}, zipfile.ZIP_BZIP2),
        "links.tar": tarred(),
        "umzug.7z": sevenzipped(
            {"Umzug/Gr\u00fc\u00dfe.txt": "Sch\u00f6ne Gr\u00fc\u00dfe aus K\u00f6ln!\n".encode(), "Umzug/Liste.csv": b"Nr;Teil\n1;Tisch\n"}
        ),
        "damaged.7z": damaged(sevenzipped({"first.txt": NOTE, "second.txt": letter})),
        "nothing.zip": zipped({}),
    }.items():
        (FILES / name).write_bytes(data)


def zipped(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return a zip archive."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in files.items():
            info = zipfile.ZipInfo(name, DAY)
            info.compress_type = method
            archive.writestr(info, data)
    return out.getvalue()


def locked(data: bytes) -> bytes:
    """Return the zip archive with the mark of encryption on every member."""
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        parts = data.split(mark)
        data = mark.join([parts[0], *(part[: at - 4] + bytes([part[at - 4] | 1]) + part[at - 3 :] for part in parts[1:])])
    return data


def half_locked() -> bytes:
    """Return a zip archive of which the second member is encrypted."""
    data = zipped({"open.txt": NOTE, "closed.txt": NOTE[::-1]})
    at = data.index(b"PK\x03\x04", 4), data.rindex(b"PK\x01\x02")
    for place in (at[0] + 6, at[1] + 8):
        data = data[:place] + bytes([data[place] | 1]) + data[place + 1 :]
    return data


def tarred() -> bytes:
    """Return a tar archive with a link and a device beside a file."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, kind in (("note.txt", tarfile.REGTYPE), ("passwords", tarfile.SYMTYPE), ("disk", tarfile.BLKTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd" if kind == tarfile.SYMTYPE else ""
            info.size = len(NOTE) if kind == tarfile.REGTYPE else 0
            archive.addfile(info, io.BytesIO(NOTE))
    return out.getvalue()


def sevenzipped(files: dict[str, bytes]) -> bytes:
    """Return a 7z archive without times, stored as it is: a compressor's version decides no byte."""
    out = io.BytesIO()
    with py7zr.SevenZipFile(out, "w", filters=[{"id": py7zr.FILTER_COPY}]) as archive:
        archive.set_encoded_header_mode(False)
        for name, data in files.items():
            archive.writestr(data, name)
            archive.header.files_info.files[-1].update(lastwritetime=133_000_000_000_000_000)
    return out.getvalue()


def damaged(data: bytes) -> bytes:
    """Return the 7z archive with one byte of its second member changed: the packed members lie behind a head of 32 bytes."""
    at = 32 + len(NOTE) + 10
    return data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]


if __name__ == "__main__":
    main()
