"""A message as a value, the same for EML and MSG: who wrote it to whom, when, in reply to what, and what came with it."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC
from email.header import decode_header
from email.utils import getaddresses, parsedate_to_datetime
from hashlib import sha256
from typing import Any

from skillyard.documents.decoding import clean, decode
from skillyard.documents.kinds.mail import Attachment
from skillyard.documents.result import Refused

MAX_CHARS, MAX_PEOPLE, MAX_ATTACHMENTS, MAX_HEADER_CHARS = 2_000_000, 2_000, 1_000, 100_000
ID = re.compile(r"<[^<>\s]{1,990}>")
ADDRESS = re.compile(r"[^\s@<>]+@[^\s@<>]+")


@dataclass(frozen=True, slots=True)
class Person:
    """A sender or recipient; at least one of both is there."""

    name: str | None
    address: str | None


@dataclass(frozen=True, slots=True)
class Letter:
    """A message as its reader found it; ``sent_at`` is ISO 8601 with an offset."""

    sender: Person | None
    to: tuple[Person, ...]
    cc: tuple[Person, ...]
    subject: str
    sent_at: str | None
    message_id: str | None
    in_reply_to: str | None
    text: str
    attachments: tuple[tuple[Attachment, str | None], ...]
    """With the MIME type that the message states."""

    def value(self) -> dict[str, Any]:
        """Return what parse-email and parse-outlook-message answer."""
        text, people = clean(self.text), {"to": self.to, "cc": self.cc}
        lists = {name: [_person(one) for one in found[:MAX_PEOPLE]] for name, found in people.items()}
        return {
            "from": _person(self.sender) if self.sender else None,
            **lists,
            "subject": clean(self.subject) or None,
            "sent_at": self.sent_at,
            "message_id": self.message_id,
            "in_reply_to": self.in_reply_to,
            "text": text[:MAX_CHARS],
            "attachments": [_attachment(one, mime_type) for one, mime_type in self.attachments[:MAX_ATTACHMENTS]],
            "is_cut": len(text) > MAX_CHARS or max(map(len, people.values())) > MAX_PEOPLE or len(self.attachments) > MAX_ATTACHMENTS,
        }


def words_of(raw: str) -> str:
    """Return a header's text on one line: encoded words decoded, and bytes that say nothing of their charset by what they look like."""
    raw = " ".join(raw[:MAX_HEADER_CHARS].split())
    if not raw.isascii() or "\x1b" in raw:
        data = raw.encode("utf-8", "surrogateescape")
        raw = decode(data) or data.decode("latin-1")
    if "=?" not in raw:
        return clean(raw)
    try:
        return clean("".join(_word(piece, charset) for piece, charset in decode_header(raw)))
    except Exception:  # an encoded word that is none
        return clean(raw)


def people_of(raw: str) -> tuple[Person, ...]:
    """Return everybody whom an address header names, in its order."""
    line = " ".join(raw[:MAX_HEADER_CHARS].split())
    try:
        pairs = getaddresses([line])
    except Exception:  # comments nested without an end, say
        pairs = []
    found = [Person(words_of(name) or None, address if ADDRESS.fullmatch(address) else None) for name, address in pairs if name or address]
    named = [one for one in found if one.name or one.address]
    whole = words_of(line).strip(" ;")
    if named or not whole or whole.endswith(":"):
        return tuple(named)
    return (Person(whole, None),)


def time_of(raw: str) -> str | None:
    """Return a date header as ISO 8601 with its offset, UTC where it states none; None where it is no date."""
    try:
        sent = parsedate_to_datetime(" ".join(raw.split())[:200])
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    return (sent if sent.tzinfo else sent.replace(tzinfo=UTC)).isoformat(timespec="seconds")


def first_id(raw: str) -> str | None:
    """Return the first message id of a header, with its angle brackets."""
    found = ID.search(raw[:MAX_HEADER_CHARS])
    return found.group() if found else None


def answered_id(in_reply_to: str, references: str) -> str | None:
    """Return the id of the message that this one answers: as stated, else the last of its thread."""
    thread = ID.findall(references[-MAX_HEADER_CHARS:])
    return first_id(in_reply_to) or (thread[-1] if thread else None)


def joined(texts: Iterable[str]) -> str:
    """Return the texts of a message's parts, with an empty line between them."""
    return "\n\n".join(text for text in texts if text.strip())


def _word(piece: bytes | str, charset: str | None) -> str:
    if isinstance(piece, str):
        return piece
    if charset is None:
        return piece.decode("raw-unicode-escape")
    try:
        return piece.decode(charset)
    except (UnicodeDecodeError, LookupError):
        return decode(piece) or piece.decode("latin-1")


def _person(one: Person) -> dict[str, str | None]:
    return {"name": one.name, "address": one.address}


def _attachment(one: Attachment, mime_type: str | None) -> dict[str, Any]:
    try:
        data: bytes | None = one.load()
    except Refused:
        data = None
    size, digest = (len(data), sha256(data).hexdigest()) if data is not None else (None, None)
    return {"name": words_of(one.name)[-500:], "mime_type": mime_type, "n_bytes": size, "sha256": digest}
