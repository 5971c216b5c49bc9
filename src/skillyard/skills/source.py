"""What one item gives a skill to work on."""

from collections.abc import Mapping
from dataclasses import dataclass, field

TEXT = "text"
"""The name under ``takes`` of what stands in for the document's own text."""


@dataclass(frozen=True, slots=True)
class Source:
    """A text, and what other skills said of the same document."""

    text: str
    inputs: Mapping[str, str] = field(default_factory=dict)
    """By the names under ``takes`` in skill.yaml; what is not text there is JSON here."""
