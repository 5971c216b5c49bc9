"""What every reader returns."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Content:
    """One text a page: empty for a page without text, None for a page that could not be read."""

    texts: tuple[str | None, ...]
    parser: str
    title: str | None = None
    """As the document states it."""
    has_heading: bool = True
    """The first line may serve as title."""
