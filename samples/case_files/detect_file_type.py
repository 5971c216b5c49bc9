"""Writes the made files of detect-file-type's cases; the others there are copies from the inbox."""

from pathlib import Path

FILES = Path(__file__).parents[2] / "include" / "skills" / "detect-file-type" / "evals" / "files"
SECTOR, END, FREE, TABLE = 512, 0xFFFFFFFE, 0xFFFFFFFF, 0xFFFFFFFD
STREAM_BYTES = 4096
"""A shorter stream would be kept apart."""
CALENDAR = (
    "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//Northwick harbour//EN\r\nBEGIN:VEVENT\r\nUID:1@example.org\r\nDTSTART:20260302T090000Z\r\n"
)
CALENDAR += "SUMMARY:Pier inspection\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"


def main() -> None:
    """Write each file."""
    for name, data in {
        "minutes-2003.pdf": old_office("WordDocument"),
        "offer-locked.docx": old_office("EncryptionInfo", "EncryptedPackage"),
        "pier-inspection": CALENDAR.encode(),
        "tide-gauge.csv": b'{"station": "Northwick east", "readings": [{"at": "2026-03-02T09:00", "cm": 412}]}\n',
        "holiday.jpg": b"RIFF" + (36).to_bytes(4, "little") + b"WEBPVP8L" + (24).to_bytes(4, "little") + b"/" + bytes(range(200, 223)),
        "fog-horn.bin": b"fLaC\0\0\0\x22" + bytes(range(1, 35)),
    }.items():
        (FILES / name).write_bytes(data)


def old_office(*streams: str) -> bytes:
    """Return a compound file of these streams, each of the shortest length there is. Source: [MS-CFB], learn.microsoft.com/openspecs."""
    n = STREAM_BYTES // SECTOR
    fat = [FREE] * (SECTOR // 4)
    entries = [entry("Root Entry", 5, FREE, 1, END, 0)]
    for number, name in enumerate(streams):
        start = number * n
        fat[start : start + n] = [*range(start + 1, start + n), END]
        entries.append(entry(name, 2, number + 2 if number + 1 < len(streams) else FREE, FREE, start, STREAM_BYTES))
    at = len(streams) * n
    fat[at], fat[at + 1] = END, TABLE
    head = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16) + b"\x3e\0\x03\0\xfe\xff\x09\0\x06\0" + bytes(10)
    head += numbers(1, at, 0, STREAM_BYTES, END, 0, END, 0, at + 1).ljust(SECTOR - len(head), b"\xff")
    body = b"".join(f"{name} {number}\n".encode().ljust(STREAM_BYTES, b".") for number, name in enumerate(streams))
    return head + body + b"".join(entries).ljust(SECTOR, b"\0") + numbers(*fat)


def entry(name: str, kind: int, following: int, child: int, start: int, size_bytes: int) -> bytes:
    """Return an entry of the directory."""
    title = name.encode("utf-16-le").ljust(64, b"\0") + bytes([2 * len(name) + 2, 0, kind, 1])
    return title + numbers(FREE, following, child, *[0] * 9, start, size_bytes, 0)


def numbers(*values: int) -> bytes:
    """Return numbers of four bytes each."""
    return b"".join(value.to_bytes(4, "little") for value in values)


if __name__ == "__main__":
    main()
