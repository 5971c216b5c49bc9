"""Writes the web archives of the cases of read-web-archive: ``python samples/case_files/read_web_archive.py``."""

import gzip
import zlib
from pathlib import Path

FILES = Path(__file__).resolve().parents[2] / "include" / "skills" / "read-web-archive" / "evals" / "files"
DAY = "2026-03-02T09:00:00Z"
PAGE = """<!doctype html><html><head><meta charset="utf-8"><title>{title}</title></head><body><nav><a href="/">Start</a></nav>
<article><h1>{title}</h1><p>{text}</p></article><footer>All rights reserved</footer></body></html>"""
OPENING = (
    "The swimming hall opens again on 9 March after the repair of its roof. Season tickets that lapsed in winter count for ten weeks "
    "longer, and the early lanes begin at six as before. Children under seven swim free until the summer holidays begin."
)
JAPANESE = """市立図書館は三月十日から開館時間を午後八時まで延長します。自習室の予約は窓口と電話で受け付けます。
返却ポストはこれまでどおり終日ご利用いただけます。"""


def main() -> None:
    """Write every file."""
    FILES.mkdir(parents=True, exist_ok=True)
    hall = [
        *crawl("Swimming hall opens again", OPENING, "utf-8"),
        record("request", "https://hall.example.org/", b"GET / HTTP/1.1\r\n\r\n"),
    ]
    members = b"".join(map(packed, hall))
    for name, data in (
        ("hall.warc.gz", members),
        ("hall-broken-off.warc.gz", members[: len(members) * 2 // 3]),
        ("packed-as-a-whole.warc.gz", packed(b"".join(hall))),
        ("toshokan.warc", b"".join(crawl("開館時間の延長", JAPANESE, "shift_jis"))),
        ("only-a-request.warc", hall[-1]),
        ("not-an-archive.warc", b"These are the minutes of a meeting, and no web archive.\n"),
    ):
        (FILES / name).write_bytes(data)


def crawl(title: str, text: str, charset: str) -> list[bytes]:
    """Return a page in gzip and chunks, a picture, a page that moved and a revisit."""
    page = PAGE.format(title=title, text=text).replace("utf-8", charset).encode(charset)
    body = packed(page)
    chunked = f"{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n"
    coded = "Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n"
    return [
        record("response", "https://hall.example.org/", http("200 OK", f"text/html; charset={charset}", coded) + chunked),
        record("response", "https://hall.example.org/mark.png", http("200 OK", "image/png") + b"\x89PNG\r\n\x1a\n not a whole one"),
        record("response", "https://hall.example.org/old", http("301 Moved Permanently", "text/plain", "Location: /\r\n") + b"Moved."),
        record("revisit", "https://hall.example.org/again", http("200 OK", "text/html")),
    ]


def http(status: str, mime_type: str, more: str = "") -> bytes:
    """Return the head of an HTTP response."""
    return f"HTTP/1.1 {status}\r\nContent-Type: {mime_type}\r\n{more}\r\n".encode()


def record(kind: str, url: str, block: bytes) -> bytes:
    """Return one record of an archive, uncompressed."""
    number = f"<urn:uuid:00000000-0000-4000-8000-{zlib.crc32(url.encode() + kind.encode()):012d}>"
    head = f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Target-URI: {url}\r\nWARC-Date: {DAY}\r\nWARC-Record-ID: {number}\r\n"
    kinds = "request" if kind == "request" else "response"
    return f"{head}Content-Type: application/http; msgtype={kinds}\r\nContent-Length: {len(block)}\r\n\r\n".encode() + block + b"\r\n\r\n"


def packed(data: bytes) -> bytes:
    """Return the bytes in gzip, the same each time."""
    return gzip.compress(data, mtime=0)


if __name__ == "__main__":
    main()
