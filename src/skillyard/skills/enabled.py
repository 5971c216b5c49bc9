"""The skills that follow new documents by themselves, and how far they go."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from skillyard.errors import UnknownName


@dataclass(frozen=True, slots=True)
class Enabled:
    """How far an enabled skill goes. None sets no bound."""

    first_items: int | None
    """Only the first so many applicable items by item_id, among those short enough."""
    max_input_tokens: int | None
    """Only items whose whole request has at most so many tokens."""


def load_enabled(path: Path, known: Collection[str] | None = None) -> dict[str, Enabled]:
    """Return the enabled skills by name, in the file's order; UnknownName for a name outside ``known``."""
    from skillyard.skills.spec import EnabledSpec, read_yaml

    listed = read_yaml(EnabledSpec, path).skills
    for name in listed:
        if known is not None and name not in known:
            raise UnknownName("skill", name, known)
    return {name: Enabled(item.first_items, item.max_input_tokens) for name, item in listed.items()}
