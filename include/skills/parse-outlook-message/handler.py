"""An Outlook message: its properties, its text, and what is attached to it."""

import re
from collections.abc import Iterator, Mapping
from email import message_from_string
from itertools import islice
from typing import Any

from skillyard.documents.decoding import clean
from skillyard.documents.kinds.content import ReadOptions
from skillyard.documents.kinds.msg import ATTACHMENT, EMBEDDED, MESSAGE_ID, SENT_AT, SUBJECT, Folder, attachments_of, body_of, open_msg
from skillyard.documents.letter import (
    ADDRESS,
    MAX_ATTACHMENTS,
    MAX_HEADER_CHARS,
    MAX_PEOPLE,
    Letter,
    Person,
    answered_id,
    first_id,
    people_of,
    time_of,
)
from skillyard.documents.result import Refused
from skillyard.documents.sniff import OLE2, OUTLOOK_STREAM
from skillyard.skills import Source

RECIPIENT, TRANSPORT_HEADERS, IN_REPLY_TO, REFERENCES, MIME_TYPE = "__recip_version1.0_", "007D", "1042", "1039", "370E"
NAMES, ADDRESSES = ("3001", "0C1A"), ("39FE", "5D01", "3003", "0C1F")
"""Of a recipient and of the sender: display name, and addresses, those of SMTP first."""
RECIPIENT_TYPE, TO, CC = 0x0C150003, 1, 2
LISTED = {TO: "0E04", CC: "0E03"}
"""All recipients in one line, as Outlook shows them."""


def handle(source: Source, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the message in the shape that a mail of RFC 5322 has, too."""
    if not source.data.startswith(OLE2) or OUTLOOK_STREAM not in source.data:
        raise Refused("unsupported_type" if source.data.strip() else "empty", "no Outlook message")
    options = ReadOptions()
    with open_msg(source.data) as folder:
        headers = message_from_string(folder.text(TRANSPORT_HEADERS)[:MAX_HEADER_CHARS])
        recipients = _recipients(folder)
        files = tuple(islice(attachments_of(folder, options), MAX_ATTACHMENTS + 1))
        sent = folder.time(SENT_AT)
        stated = time_of(str(headers.get("Date", "")))
        letter = Letter(
            sender=_sender(folder) or next(iter(people_of(str(headers.get("From", "")))), None),
            to=recipients[TO],
            cc=recipients[CC],
            subject=folder.text(SUBJECT),
            sent_at=stated or (sent.isoformat(timespec="seconds") if sent else None),
            message_id=first_id(folder.text(MESSAGE_ID) or str(headers.get("Message-ID", ""))),
            in_reply_to=answered_id(folder.text(IN_REPLY_TO), folder.text(REFERENCES) or str(headers.get("References", ""))),
            text=body_of(folder, source.data, options)[0],
            attachments=tuple(zip(files, _types(folder, len(files)), strict=True)),
        )
        return letter.value()


def _sender(folder: Folder) -> Person | None:
    return _person(folder, NAMES[1:], (ADDRESSES[1], ADDRESSES[3]))


def _recipients(folder: Folder) -> dict[int, tuple[Person, ...]]:
    """Return the recipients by their type, from the list of them; where there is none, from the line that Outlook shows."""
    found: dict[int, list[Person]] = {TO: [], CC: []}
    for inner in islice(folder.inner(RECIPIENT), 3 * MAX_PEOPLE):
        type_ = (inner.number(RECIPIENT_TYPE) or 0) & 0xF
        person = _person(inner, NAMES[:1], (ADDRESSES[0], ADDRESSES[2]))
        if person and type_ in found:
            found[type_].append(person)
    return {type_: tuple(people or _of_line(folder.text(LISTED[type_]))) for type_, people in found.items()}


def _of_line(line: str) -> list[Person]:
    return [person for name in re.split(r"[;\0\n]", line)[:MAX_PEOPLE] for person in people_of(name.strip())]


def _person(folder: Folder, names: tuple[str, ...], addresses: tuple[str, ...]) -> Person | None:
    """Return a person; an address within the sender's own organisation (of type EX) is none that others can use."""
    name = next((text for tag in names if (text := _line(folder, tag))), None)
    address = next((text for tag in addresses if ADDRESS.fullmatch(text := _line(folder, tag))), None)
    return Person(None if name == address else name, address) if name or address else None


def _line(folder: Folder, tag: str) -> str:
    return " ".join(clean(folder.text(tag)[:1_000]).split()).strip("'")


def _types(folder: Folder, n_files: int) -> Iterator[str | None]:
    """Yield the MIME type of each attachment, as stated."""
    for inner in islice(folder.inner(ATTACHMENT), n_files):
        is_message = next(inner.inner(EMBEDDED), None) is not None
        yield "message/rfc822" if is_message else _line(inner, MIME_TYPE).lower() or None
