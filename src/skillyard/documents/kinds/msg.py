"""MSG: a message as Outlook keeps it, read from its property streams.

Source: https://learn.microsoft.com/openspecs/exchange_server_protocols/ms-oxmsg (streams), ms-oxprops (property numbers).
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.policy import SMTPUTF8
from email.utils import format_datetime
from functools import partial
from io import BytesIO
from typing import Any

from skillyard.documents.decoding import clean, decode
from skillyard.documents.kinds.content import Content, ReadOptions
from skillyard.documents.kinds.html import read_html
from skillyard.documents.kinds.mail import Attachment, Mail, mail_content
from skillyard.documents.kinds.office import by_kreuzberg
from skillyard.documents.result import Refused

MIME_TYPE = "application/vnd.ms-outlook"
TEXT_TYPE, BYTES_TYPE, CODED_TYPE = "001F", "0102", "001E"
SUBJECT, BODY, HTML, TO, CC, MESSAGE_ID = "0037", "1000", "1013", "0E04", "0E03", "1035"
SENDER_NAME, SENDER_SMTP, SENDER_ADDRESS = "0C1A", "5D01", "0C1F"
FILE_NAMES, FILE_DATA = ("3707", "3704", "3001"), "3701"
SENT_AT, DELIVERED_AT = 0x00390040, 0x0E060040
ENTRY_BYTES = 16
PROPERTIES, ATTACHMENT, EMBEDDED = "__properties_version1.0", "__attach_version1.0_", f"__substg1.0_{FILE_DATA}000D"
EPOCH = datetime(1601, 1, 1, tzinfo=UTC)
MAX_DEPTH = 5
"""Messages in messages."""


def read_msg(data: bytes, options: ReadOptions) -> Content:
    """Return one page as for EML: the headers, then the plain text, the HTML, or what kreuzberg makes of the rich text."""
    with open_msg(data) as folder:
        body, parser = body_of(folder, data, options)
        mail = Mail(_headers(folder), body, parser, tuple(attachments_of(folder, options)))
        return mail_content(mail, options)


@contextmanager
def open_msg(data: bytes) -> Iterator["Folder"]:
    """Give the message as its properties; ``Refused`` (corrupt) where it is no compound file that can be read."""
    from olefile import OleFileIO  # type: ignore[import-untyped]

    try:
        file = OleFileIO(BytesIO(data))
    except (OSError, ValueError) as error:
        raise Refused("corrupt", f"a damaged Outlook message: {error}") from error
    with file:
        yield Folder(file, ())


def body_of(folder: "Folder", data: bytes, options: ReadOptions) -> tuple[str, str]:
    """Return the text of a whole message and what read it; its rich text where there is nothing else."""
    body, parser = _body(folder, options)
    if not body.strip():
        with suppress(Exception):  # without a text it is a page without a text
            body, parser = by_kreuzberg(data, MIME_TYPE)[0], "kreuzberg"
    return body, parser


class Folder:
    """A message or attachment in the file, as its properties."""

    def __init__(self, file: Any, path: tuple[str, ...]) -> None:
        self._file, self._path = file, path

    def text(self, number: str) -> str:
        """Return a property that is a text, or nothing."""
        found = self.data(number, TEXT_TYPE)
        if found is not None:
            return found.decode("utf-16-le", "replace")
        coded = self.data(number, CODED_TYPE)
        return (decode(coded) or coded.decode("latin-1")) if coded else ""

    def data(self, number: str, type_: str = BYTES_TYPE) -> bytes | None:
        """Return a property's bytes."""
        return self._read(f"__substg1.0_{number}{type_}")

    def time(self, tag: int) -> datetime | None:
        """Return a property that is a time."""
        value = self.number(tag)
        with suppress(OverflowError):
            return EPOCH + timedelta(microseconds=value // 10) if value is not None else None
        return None

    def number(self, tag: int) -> int | None:
        """Return the eight bytes of a property of fixed length; those stand in the table of properties, after a head of 8 to 32 bytes."""
        table = self._read(PROPERTIES) or b""
        for at in range(len(table) % ENTRY_BYTES, len(table) - ENTRY_BYTES + 1, ENTRY_BYTES):
            if int.from_bytes(table[at : at + 4], "little") == tag:
                return int.from_bytes(table[at + 8 : at + 16], "little")
        return None

    def inner(self, start: str) -> Iterator["Folder"]:
        """Yield the folders here whose name begins so."""
        depth = len(self._path)
        paths = [tuple(path) for path in self._file.listdir(streams=False, storages=True)]
        for path in sorted(path for path in paths if len(path) == depth + 1 and path[:depth] == self._path):
            if path[-1].lower().startswith(start.lower()):
                yield Folder(self._file, path)

    def _read(self, name: str) -> bytes | None:
        path = [*self._path, name]
        if not self._file.exists(path):
            return None
        with self._file.openstream(path) as stream:
            return bytes(stream.read())


def _headers(folder: Folder) -> dict[str, str]:
    name, address = folder.text(SENDER_NAME).strip(), (folder.text(SENDER_SMTP) or folder.text(SENDER_ADDRESS)).strip()
    sent = folder.time(SENT_AT) or folder.time(DELIVERED_AT)
    found = {
        "Subject": folder.text(SUBJECT),
        "From": f"{name} <{address}>" if "@" in address and address != name else name or address,
        "To": folder.text(TO),
        "Cc": folder.text(CC),
        "Date": format_datetime(sent) if sent else "",
        "Message-ID": folder.text(MESSAGE_ID),
    }
    return {key: line for key, value in found.items() if (line := " ".join(clean(value).split()))}


def _body(folder: Folder, options: ReadOptions) -> tuple[str, str]:
    plain = folder.text(BODY)
    if plain.strip():
        return plain, "olefile"
    html = folder.data(HTML) or folder.text(HTML).encode()
    if html.strip(b"\0 \r\n"):
        found = read_html(html, options)
        return found.pages[0].text, f"olefile, {found.parser}"
    return "", "olefile"


def attachments_of(folder: Folder, options: ReadOptions) -> Iterator[Attachment]:
    """Yield what is attached, a message in the form in which it can stand alone."""
    for number, inner in enumerate(folder.inner(ATTACHMENT), start=1):
        embedded = next(inner.inner(EMBEDDED), None)
        name = next((text for tag in FILE_NAMES if (text := inner.text(tag).strip("\0 "))), "")
        if embedded is None:
            yield Attachment(name or f"attachment-{number}", partial(_file_data, inner))
        else:
            yield Attachment(f"{name or f'message-{number}'}.eml", partial(_as_eml, embedded, options))


def _file_data(folder: Folder) -> bytes:
    return folder.data(FILE_DATA) or b""


def _as_eml(folder: Folder, options: ReadOptions, depth: int = 1) -> bytes:
    """Return a message that lies in another one in the form in which it can stand alone."""
    if depth > MAX_DEPTH:
        raise Refused("archive_limit", f"a message in {MAX_DEPTH} others")
    message = EmailMessage(policy=SMTPUTF8)
    for name, value in _headers(folder).items():
        with suppress(Exception):  # what is no address for the mail library is left out
            message[name] = value
    message.set_content(_body(folder, options)[0])
    for number, inner in enumerate(folder.inner(ATTACHMENT), start=1):
        embedded = next(inner.inner(EMBEDDED), None)
        name = next((text for tag in FILE_NAMES if (text := clean(inner.text(tag)))), f"attachment-{number}")
        data = _file_data(inner) if embedded is None else _as_eml(embedded, options, depth + 1)
        name = name if embedded is None else f"{name}.eml"
        message.add_attachment(data, maintype="application", subtype="octet-stream", filename=name)
    return message.as_bytes()
