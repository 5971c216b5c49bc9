"""An RFC 5322 message: its headers, its text, and what is attached to it."""

from collections.abc import Mapping
from typing import Any

from skillyard.documents.kinds.content import ReadOptions
from skillyard.documents.kinds.eml import attached, bodies_of, open_eml, to_attachment
from skillyard.documents.letter import Letter, answered_id, first_id, joined, people_of, time_of, words_of
from skillyard.documents.result import Refused
from skillyard.skills import Source

OURS = ("from", "to", "cc", "subject", "date", "message-id", "in-reply-to", "references")
LISTS = ("to", "cc")
"""Headers that some programs write several times."""


def handle(source: Source, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the message in the shape that an Outlook message has, too."""
    if not source.data.strip():
        raise Refused("empty", f"{len(source.data)} bytes")
    try:
        return _read(source.data).value()
    except (Refused, MemoryError, ImportError):
        raise
    except Exception as error:  # the mail package raises all sorts on hostile input, such as parts a thousand deep
        raise Refused("corrupt", f"a mail that cannot be read: {type(error).__name__}") from error


def _read(data: bytes) -> Letter:
    message = open_eml(data)
    said = _said(message)
    if not said:
        raise Refused("unsupported_type", "no header of a message")
    parts = [to_attachment(part, number) for number, part in enumerate(attached(message), start=1)]
    types = [str(part.get_content_type()) for part in attached(message)]
    return Letter(
        sender=next(iter(people_of(said.get("from", ""))), None),
        to=people_of(said.get("to", "")),
        cc=people_of(said.get("cc", "")),
        subject=words_of(said.get("subject", "")),
        sent_at=time_of(said.get("date", "")),
        message_id=first_id(said.get("message-id", "")),
        in_reply_to=answered_id(said.get("in-reply-to", ""), said.get("references", "")),
        text=joined(text for text, _ in bodies_of(message, ReadOptions())),
        attachments=tuple(zip(parts, types, strict=True)),
    )


def _said(message: Any) -> dict[str, str]:
    """Return the headers as they are written, by their names in small letters: of several the first, but all recipients."""
    said: dict[str, str] = {}
    for name, raw in message.raw_items():
        key = name.lower()
        if key in OURS:
            said[key] = f"{said[key]}, {raw}" if key in LISTS and key in said else said.get(key, str(raw))
    return said
