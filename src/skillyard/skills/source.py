"""What one item gives a skill to work on."""

from collections.abc import Mapping
from dataclasses import dataclass, field

TEXT = "text"
"""The name under ``takes`` of what stands in for the document's own text."""


@dataclass(frozen=True, slots=True)
class Source:
    """A text, and what other skills said of the same document; or a file."""

    text: str = ""
    """Empty for a skill whose unit is the file."""
    inputs: Mapping[str, str] = field(default_factory=dict)
    """By the names under ``takes`` in skill.yaml; what is not text there is JSON here."""
    data: bytes = field(default=b"", repr=False)
    """The document's own bytes, for a skill whose unit is the file."""
    pictures: tuple[str, ...] = field(default=(), repr=False)
    """Its first pages as data URLs, for a model to look at."""
    name: str = ""
    """The file's name, or its path in the archive that it lies in: a hint, never to be trusted."""
