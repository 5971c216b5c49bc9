"""EML: the four headers a reader looks at first, then the message."""

from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import cast

from skillyard.documents.decoding import decode
from skillyard.documents.kinds.content import Content, ReadOptions, plain_pages
from skillyard.documents.kinds.html import read_html

HEADERS = ("Subject", "From", "To", "Date")


def read_eml(data: bytes, options: ReadOptions) -> Content:
    """Return one page: subject, sender, recipients, date, then the plain text, or the HTML part's where there is none."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf")):
        data = (decode(data) or "").lstrip("\ufeff").encode()
    message = message_from_bytes(data, policy=default)
    heads = [f"{name}: {value}" for name in HEADERS if (value := _header(message, name))]
    body, parser = _body(message, options)
    return Content(plain_pages(["\n".join(heads) + "\n\n" + body], parser), title=_header(message, "Subject"), has_heading=False)


def _header(message: EmailMessage, name: str) -> str:
    """Return a header on one line; one that the parser chokes on counts as missing."""
    try:
        return " ".join(str(message.get(name, "")).split())
    except Exception:  # the header parser raises all sorts on hostile input
        return ""


def _body(message: EmailMessage, options: ReadOptions) -> tuple[str, str]:
    plain = message.get_body(("plain",))
    if plain is not None and (text := _text(cast(EmailMessage, plain))).strip():
        return text, "email"
    rich = message.get_body(("html",))
    if rich is not None:
        found = read_html(_text(cast(EmailMessage, rich)).encode("utf-8", "replace"), options)
        return found.pages[0].text, f"email, {found.parser}"
    return "", "email"


def _text(part: EmailMessage) -> str:
    """Return a part's text; where its stated encoding is wrong or unknown, by what its bytes look like."""
    raw = part.get_payload(decode=True)
    data = raw if isinstance(raw, bytes) else b""
    try:
        return data.decode(part.get_content_charset() or "utf-8")
    except (UnicodeDecodeError, LookupError):
        return decode(data) or data.decode("utf-8", "replace")
