"""Where a document was found: an object of the inbox, or a path in an archive or message that lies there."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from skillyard.documents.spool import MAX_EXPANDED_BYTES, MAX_MEMBERS

MAX_DEPTH = 3
"""Archives in archives that are opened."""


@dataclass(slots=True)
class Tree:
    """All that was found in one object of the inbox so far, at any depth: it has to stay within what one archive may hold."""

    n_members: int = 0
    size_bytes: int = 0
    is_retry: bool = False
    """It was ingested before, and something in it is tried again."""
    standing: frozenset[tuple[str, str]] = frozenset()
    """Address and doc_id of what stands in the table as it is."""


@dataclass(frozen=True, slots=True)
class Nested:
    """A document that lies in another one."""

    path: str
    size_bytes: int
    doc_id: str


@dataclass(frozen=True, slots=True)
class Place:
    """One address of a document."""

    uri: str
    size_bytes: int
    etag: str
    """Of the object in the inbox, for what lies in it too."""
    modified_at: datetime | None
    parent_doc_id: str | None = None
    depth: int = 0
    tree: Tree = field(default_factory=Tree, compare=False)

    def inside(self, path: str, size_bytes: int, parent_doc_id: str) -> "Place":
        """Return the place of a document that lies in the one here."""
        return Place(f"{self.uri}!/{path}", size_bytes, self.etag, self.modified_at, parent_doc_id, self.depth + 1, self.tree)

    def open_members(self, sizes_bytes: Sequence[int]) -> str | None:
        """Count the members of the document here, or return why they are not looked at."""
        if self.depth >= MAX_DEPTH:
            return f"an archive in {MAX_DEPTH} others"
        if self.tree.n_members + len(sizes_bytes) > MAX_MEMBERS:
            return f"with the archives around it more than {MAX_MEMBERS:,} members"
        if self.tree.size_bytes + sum(sizes_bytes) > MAX_EXPANDED_BYTES:
            return f"with the archives around it more than {MAX_EXPANDED_BYTES:,} bytes"
        self.tree.n_members += len(sizes_bytes)
        self.tree.size_bytes += sum(sizes_bytes)
        return None
