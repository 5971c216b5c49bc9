"""What a listing of the inbox says beside what is known of it: both sorted by key, walked through once, nothing of them held."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from skillyard.errors import InboxError
from skillyard.storage import ObjectInfo

NEW, CHANGED, SAME, DELETED, UNSURE = "new", "changed", "same", "deleted", "unsure"


class Known(NamedTuple):
    """The newest that is known of one address. ``key`` of a member of an archive: the archive's, ``!/`` and its path in it."""

    key: str
    at_us: int
    """When, in microseconds since 1970."""
    etag: str
    size_bytes: int
    doc_id: str
    status: str
    kind: str
    mime_type: str
    parent_doc_id: str | None
    """The archive or message it was found in: such are never listed."""
    member_uri: str | None
    """Its address, if it was found in one."""


class Change(NamedTuple):
    """What became of one address: new, changed, same or deleted; ``unsure`` is a member of an archive that changed."""

    kind: str
    info: ObjectInfo | None
    known: Known | None


def diff(listing: Iterable[ObjectInfo], known: Iterable[Known]) -> Iterator[Change]:
    """Yield a change for each key of either; members of archives only where their archive was deleted or changed.

    Changed means: another etag or size. ``InboxError`` when the listing is not sorted: a merge would take what it missed for deleted.
    """
    archives = _Archives()
    listed, before = iter(_in_order(listing)), iter(known)
    info, one = next(listed, None), next(before, None)
    while info is not None or one is not None:
        if one is not None and one.parent_doc_id is not None:
            kind = archives.fate(one.key)
            if kind != SAME:
                yield Change(kind, None, one)
            one = next(before, None)
        elif one is None or (info is not None and info.key < one.key):
            yield Change(NEW, info, None)
            info = next(listed, None)
        elif info is None or one.key < info.key:
            archives.note(one.key, DELETED)
            yield Change(DELETED, None, one)
            one = next(before, None)
        else:
            is_same = info.etag == one.etag and info.size_bytes == one.size_bytes
            archives.note(one.key, SAME if is_same else UNSURE)
            yield Change(SAME if is_same else CHANGED, info, one)
            info, one = next(listed, None), next(before, None)


class _Archives:
    """What became of the objects whose members may still follow: few, for members come right after their archive."""

    def __init__(self) -> None:
        self._open: list[tuple[str, str]] = []

    def note(self, key: str, fate: str) -> None:
        """Remember an object, and forget those whose members cannot come any more."""
        self._open = [(name, said) for name, said in self._open if key.startswith(name) and key[len(name)] <= "!"]
        self._open.append((key, fate))

    def fate(self, key: str) -> str:
        """Return what became of a member's archive; same for one that is not looked at."""
        return next((said for name, said in reversed(self._open) if key.startswith(f"{name}!/")), SAME)


def _in_order(listing: Iterable[ObjectInfo]) -> Iterator[ObjectInfo]:
    last = ""
    for info in listing:
        if info.key <= last:
            raise InboxError(f"the inbox lists {info.key!r} after {last!r}: a store has to list its objects sorted by key.")
        last = info.key
        yield info
