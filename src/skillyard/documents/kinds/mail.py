"""What EML and MSG have in common: a message becomes one page, what is attached to it documents of their own."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from skillyard.documents.kinds.content import Content, ReadOptions, plain_pages
from skillyard.documents.result import Refused
from skillyard.documents.spool import OF_THE_WHOLE

SHOWN = ("Subject", "From", "To", "Date")
"""The headers that a reader looks at first."""
KEPT = {"From": "author", "To": "to", "Cc": "cc", "Date": "created", "Message-ID": "message_id"}


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that came with a message; ``load`` returns its bytes or raises ``Refused``."""

    name: str
    load: Callable[[], bytes]


@dataclass(frozen=True, slots=True)
class Mail:
    """A message, its headers each on one line, those that are missing left out."""

    headers: Mapping[str, str]
    body: str
    parser: str
    attachments: tuple[Attachment, ...]


def mail_content(mail: Mail, options: ReadOptions) -> Content:
    """Return the message as one page, and put what is attached to it into the spool, where there is one."""
    if options.spool:
        for attachment in mail.attachments:
            try:
                options.spool.add(attachment.name, [attachment.load()])
            except Refused as error:
                if error.error_kind in OF_THE_WHOLE:
                    raise
                options.spool.refuse(attachment.name, error.error_kind, error.found)
    heads = [f"{name}: {mail.headers[name]}" for name in SHOWN if mail.headers.get(name)]
    pages = plain_pages(["\n".join(heads) + "\n\n" + mail.body], mail.parser)
    metadata = {word: mail.headers[name] for name, word in KEPT.items() if mail.headers.get(name)}
    return Content(pages, title=mail.headers.get("Subject"), has_heading=False, metadata=metadata)
