"""The bytes behind an item of a skill whose unit is the file: an object of the inbox, or what lies in one."""

from collections.abc import Sequence

from skillyard.documents import Parsed, ParsePool, Rejected
from skillyard.documents.result import MAX_DOCUMENT_BYTES, doc_id_of
from skillyard.errors import SkillyardError
from skillyard.running.items import Item
from skillyard.storage import open_storage

INSIDE = "!/"
"""Between an archive's address and the path of what lies in it."""
UNPACK_DEADLINE_S = 120.0


class FileGone(SkillyardError):
    """The file of an item is not there any more, or is another one by now."""


class Files:
    """Loads items' files; the members of the archive that was opened last are at hand."""

    def __init__(self, inbox: str, passwords: Sequence[str] = ()) -> None:
        self._storage = open_storage(inbox)
        self._passwords = passwords
        self._opened: tuple[str, Parsed | None] = ("", None)

    def load(self, item: Item) -> bytes:
        """Return the bytes that the item was planned for; ``FileGone`` where they are not there any more."""
        data = self._load(item.uri)
        if doc_id_of(data) != item.doc_id:
            raise FileGone(f"{item.uri} has changed since it was ingested: ingest it again.")
        return data

    def _load(self, uri: str) -> bytes:
        key = self._storage.key(uri)
        found, (archive, _, path) = self._storage.head(key), uri.rpartition(INSIDE)
        if found is not None and found.size_bytes > MAX_DOCUMENT_BYTES:
            raise FileGone(f"{uri} has {found.size_bytes:,} bytes, allowed are {MAX_DOCUMENT_BYTES:,}.")
        if found is not None:
            return self._storage.get(key)
        if not archive:
            raise FileGone(f"{uri} is not there any more: ingest again, then it is known as deleted.")
        for member in self._members(archive).members:
            if member.path == path and member.error_kind is None:
                return member.load()
        raise FileGone(f"{uri} is not in its archive any more: ingest it again.")

    def _members(self, archive: str) -> Parsed:
        """Return what is in an archive, unpacked by a process of its own."""
        if self._opened[0] != archive or self._opened[1] is None:
            with ParsePool(1, UNPACK_DEADLINE_S, passwords=self._passwords) as pool:
                ((_, found),) = pool.parse([(archive, archive.rpartition("/")[2], self._load(archive))])
            if isinstance(found, Rejected):
                raise FileGone(f"{archive} cannot be opened any more: {found.error_message}")
            self._opened = archive, found
        assert self._opened[1] is not None
        return self._opened[1]
