"""EML: the four headers a reader looks at first, then the message; attachments are documents of their own."""

from collections.abc import Iterator
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import EmailPolicy, Policy
from typing import Any, cast

from skillyard.documents.decoding import decode
from skillyard.documents.kinds.content import Content, ReadOptions
from skillyard.documents.kinds.html import read_html
from skillyard.documents.kinds.mail import KEPT, SHOWN, Attachment, Mail, mail_content
from skillyard.documents.result import Refused

MAX_CONTENT_CHARS = 10_000
"""Of a header that describes a part: the header parser's time grows with the square of its parameters."""


class Bounded(EmailPolicy):
    """The mail package's own way to read headers; those that describe a part only up to ``MAX_CONTENT_CHARS``."""

    def header_fetch_parse(self, name: str, value: str) -> Any:
        """Return a header's value, parsed."""
        return super().header_fetch_parse(name, value[:MAX_CONTENT_CHARS] if name.lower().startswith("content-") else value)


def read_eml(data: bytes, options: ReadOptions) -> Content:
    """Return one page: subject, sender, recipients, date, then the plain text, or the HTML part's where there is none."""
    message = open_eml(data)
    headers = {name: value for name in dict.fromkeys((*SHOWN, *KEPT)) if (value := _header(message, name))}
    found = list(bodies_of(message, options))
    parser = ", ".join(dict.fromkeys(["email", *(by for _, by in found)]))
    attachments = tuple(to_attachment(part, number) for number, part in enumerate(attached(message), start=1))
    return mail_content(Mail(headers, "\n\n".join(text for text, _ in found if text.strip()), parser, attachments), options)


def open_eml(data: bytes) -> EmailMessage:
    """Return the message; a byte order mark before it says how it is written."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf")):
        data = (decode(data) or "").lstrip("\ufeff").encode()
    return message_from_bytes(data, policy=cast("Policy[EmailMessage]", Bounded()))


def _header(message: EmailMessage, name: str) -> str:
    """Return a header on one line; one that the parser chokes on counts as missing."""
    try:
        return " ".join(str(message.get(name, "")).split())
    except Exception:  # the header parser raises all sorts on hostile input
        return ""


def bodies_of(part: EmailMessage, options: ReadOptions) -> Iterator[tuple[str, str]]:
    """Yield the texts of a message and what read them: one of each set of alternatives."""
    if _is_container(part) and part.get_content_subtype() not in ("alternative", "related"):
        for inner in part.iter_parts():
            if not _is_file(cast(EmailMessage, inner)):
                yield from bodies_of(cast(EmailMessage, inner), options)
        return
    plain = part.get_body(("plain",))
    if plain is not None and (text := _text(cast(EmailMessage, plain))).strip():
        yield text, "email"
        return
    rich = part.get_body(("html",))
    if rich is not None:
        found = read_html(_text(cast(EmailMessage, rich)).encode("utf-8", "replace"), options)
        yield found.pages[0].text, found.parser


def attached(part: EmailMessage) -> Iterator[EmailMessage]:
    """Yield what somebody has put into a message: files, pictures in its text, other messages."""
    if _is_container(part):
        for inner in part.iter_parts():
            yield from attached(cast(EmailMessage, inner))
    elif _is_file(part):
        yield part


def _is_container(part: EmailMessage) -> bool:
    return part.is_multipart() and part.get_content_maintype() == "multipart"


def _is_file(part: EmailMessage) -> bool:
    if _is_container(part):
        return False
    return part.is_attachment() or part.get_content_maintype() != "text" or _filename(part) != ""


def _filename(part: EmailMessage) -> str:
    try:
        return part.get_filename() or ""
    except Exception:  # as with other headers
        return ""


def to_attachment(part: EmailMessage, number: int) -> Attachment:
    """Return a part as a file; the number names it where it has no name."""
    is_message = part.get_content_maintype() == "message"
    name = _filename(part) or (f"message-{number}.eml" if is_message else f"attachment-{number}.{part.get_content_subtype()}")

    def load() -> bytes:
        try:
            if is_message and part.is_multipart():
                return cast(EmailMessage, part.get_payload(0)).as_bytes()
            raw = part.get_payload(decode=True)
        except Exception as error:
            raise Refused("corrupt", f"an attachment that cannot be decoded: {type(error).__name__}: {error}") from error
        return raw if isinstance(raw, bytes) else b""

    return Attachment(name, load)


def _text(part: EmailMessage) -> str:
    """Return a part's text; where its stated encoding is wrong or unknown, by what its bytes look like."""
    raw = part.get_payload(decode=True)
    data = raw if isinstance(raw, bytes) else b""
    try:
        return data.decode(part.get_content_charset() or "utf-8")
    except (UnicodeDecodeError, LookupError):
        return decode(data) or data.decode("utf-8", "replace")
