"""What every reader is given beside the bytes, and what it returns."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from skillyard.documents.result import Grid, Heading, Refused
from skillyard.documents.spool import SpoolWriter


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """What a reader may use to read a document."""

    passwords: tuple[str, ...] = field(default=(), repr=False)
    """Tried in turn on an encrypted document."""
    spool: SpoolWriter | None = None
    """Takes what lies in archives and messages; None where only the document itself is wanted."""

    has_ocr: bool = True
    """Pages without text are read as pictures."""

    def spool_for_members(self) -> SpoolWriter:
        """Return the spool; ``Refused`` where there is none."""
        if self.spool is None:
            raise Refused("unsupported_type", "an archive, where a single document is read")
        return self.spool


@dataclass(frozen=True, slots=True)
class PageContent:
    """One page as its reader found it. ``text`` is ``clean`` already where headings point into it."""

    text: str
    parser: str
    status: str | None = None
    """Where there is no text, why: ``unreadable`` or ``ocr_unavailable``; None means ``no_text`` then."""
    rescue_level: int = 0
    ocr_confidence: float | None = None
    header: str | None = None
    footer: str | None = None
    headings: tuple[Heading, ...] = ()
    tables: tuple[Grid, ...] = ()


@dataclass(frozen=True, slots=True)
class Content:
    """A document's pages, in order, and what it says of itself."""

    pages: tuple[PageContent, ...]
    title: str | None = None
    """As the document states it."""
    has_heading: bool = True
    """The first line may serve as title."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """What else it says of itself: author, subject, created, producer …"""

    @property
    def parser(self) -> str:
        """The libraries that read it."""
        return ", ".join(dict.fromkeys(page.parser for page in self.pages))


def plain_pages(texts: Iterable[str], parser: str) -> tuple[PageContent, ...]:
    """Return pages of which nothing but the text is known."""
    return tuple(PageContent(text, parser) for text in texts)
