"""Parse one shard of the inbox: every object read once, its rows written under the run's folder until they are published.

That ``outcomes/<shard>.json`` exists says the shard is done; it is written last, and a repeated shard returns at once.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from hashlib import sha256

from skillyard.documents import Parsed, ParsePool, Rejected
from skillyard.documents.pool import Item
from skillyard.documents.result import MAX_DOCUMENT_BYTES, Member, doc_id_of, reject
from skillyard.errors import ObjectMissing, StorageRefused
from skillyard.lake.lake import Lake
from skillyard.running.inbox import InboxItem, IngestPlan, load_items
from skillyard.running.known_documents import KnownDocuments
from skillyard.running.places import Nested, Place, Tree
from skillyard.running.prefetch import prefetch
from skillyard.running.shard_rows import PAGES_FRAME_CHARS, Row, ShardRows, describe, frame_key, outcome_key
from skillyard.settings import Settings
from skillyard.storage import open_storage

__all__ = ["PAGES_FRAME_CHARS", "ParseProgress", "ParseReport", "Progress", "frame_key", "outcome_key", "parse_shard"]

DEADLINE_S = 60.0
PROGRESS_EVERY_S = 5.0
UNREAD_TYPE = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class ParseReport:
    """What became of a shard: items + members = parsed + rejected + unpacked + unchanged + gone + pending."""

    n_items: int
    """Objects of the inbox."""
    n_members: int
    """Documents found in archives and messages, at every address of theirs."""
    n_parsed: int
    n_rejected: int
    n_unpacked: int
    """Archives, whose members are counted themselves."""
    n_unchanged: int
    """Read, and found to hold the bytes they held before."""
    n_gone: int
    """Removed from the inbox since it was listed."""
    n_pending: int
    """The store refuses to give them."""
    n_pages: int


@dataclass(frozen=True, slots=True)
class ParseProgress:
    """How far a shard is; as a string it is a line for a log."""

    n_done: int
    n_items: int
    """What is known to be done: members of archives are added when those are unpacked."""
    n_pages: int
    n_rejected: int
    elapsed_s: float

    @property
    def left_s(self) -> float:
        """Seconds left at the pace so far."""
        return (self.n_items - self.n_done) * self.elapsed_s / max(self.n_done, 1)

    def __str__(self) -> str:
        per_s = 1 / max(self.elapsed_s, 1e-6)
        return (
            f"parse: {self.n_done}/{self.n_items} documents, {self.n_done * per_s:.1f}/s, {self.n_pages * per_s:.0f} pages/s, "
            f"{self.n_rejected} rejects, {self.left_s:.0f} s left"
        )


Progress = Callable[[ParseProgress], None]


def parse_shard(settings: Settings, shard_key: str, progress: Progress | None = None, n_workers: int = 2) -> ParseReport:
    """Read and parse a shard's objects in ``n_workers`` processes and write the outcome. No document can stop it.

    ``progress`` is called every few seconds and at the end.
    """
    lake = Lake(settings.lake)
    if not lake.has(outcome_key(shard_key)):
        work = _ShardWork(settings, lake, shard_key, progress)
        with ParsePool(n_workers, DEADLINE_S, passwords=settings.load_passwords()) as pool:
            for doc_id, result in pool.parse(work.unknown_documents()):
                for item in work.keep(doc_id, result):
                    pool.add(*item)
        work.finish()
    return ParseReport(**lake.read_json(outcome_key(shard_key))["report"])


class _ShardWork:
    """A shard as it is worked through. Equal bytes are parsed once, whatever the number of their addresses."""

    def __init__(self, settings: Settings, lake: Lake, shard_key: str, progress: Progress | None) -> None:
        self._lake, self._shard_key = lake, shard_key
        self._rows = ShardRows(lake, shard_key, IngestPlan.load(lake, shard_key.partition("/shards/")[0]).run_id)
        self._inbox = open_storage(settings.inbox)
        self._items = load_items(lake, shard_key)
        self._known = KnownDocuments(lake)
        self._described = self._known.of_sizes({item.size_bytes for item in self._items})
        self._nested: dict[str, list[Nested]] = {}
        """What lies in a document that is described."""
        self._closed: set[str] = set()
        """Archives that were only met where none is opened any more."""
        self._waiting: dict[str, list[Place]] = {}
        self._n_members = self._n_standing = 0
        self._unchanged: list[Row] = []
        self._gone: list[str] = []
        self._pending: list[Row] = []
        self._say, self._started = progress, time.monotonic()
        self._told = self._started

    def unknown_documents(self) -> Iterator[Item]:
        """Yield doc_id, name and bytes of what has to be parsed; settle everything else on the way."""
        for item, loaded in prefetch(self._items, self._load):
            data = self._data_of(item, loaded)
            if data is not None:
                doc_id = doc_id_of(data)
                if doc_id == item.known_doc_id:
                    self._note_unchanged(item, doc_id)
                    self._tell()
                    continue
                if doc_id in self._closed:
                    self._closed.remove(doc_id)
                    del self._described[doc_id]
                if self._put(self._place_of(item), doc_id):
                    yield doc_id, item.key, data
            self._tell()

    def keep(self, doc_id: str, result: Parsed | Rejected) -> list[Item]:
        """Take a result: its pages or its reject once, a row for each of its addresses. Return what lies in it and has to be parsed."""
        places = self._waiting.pop(doc_id)
        self._described[doc_id] = describe(result)
        members = result.members if isinstance(result, Parsed) else ()
        for place in places if members else ():
            self._look_up_standing(place, doc_id)
        if isinstance(result, Rejected):
            self._rows.add_reject(places[0], result)
        elif result.pages and not all((place.uri, doc_id) in place.tree.standing for place in places):
            self._rows.add_pages(result)
        opened = self._list(places, doc_id, [member.size_bytes for member in members])
        unknown = self._look_into(doc_id, members, opened) if opened else []
        if members and not opened:
            self._closed.add(doc_id)
        self._tell()
        return unknown

    def finish(self) -> None:
        """Write what is left, then the outcome that marks the shard as done."""
        self._rows.finish()
        n = self._rows.n_by_status
        report = ParseReport(
            n_items=len(self._items),
            n_members=self._n_members,
            n_parsed=n["parsed"],
            n_rejected=n["rejected"],
            n_unpacked=n["unpacked"],
            n_unchanged=len(self._unchanged) + self._n_standing,
            n_gone=len(self._gone),
            n_pending=len(self._pending),
            n_pages=self._rows.n_pages,
        )
        outcome = {
            "report": asdict(report),
            "n_page_frames": self._rows.n_page_frames,
            "unchanged": self._unchanged,
            "gone": self._gone,
            "pending": self._pending,
        }
        self._lake.write_json(outcome_key(self._shard_key), outcome)
        self._tell(is_over=True)

    def _put(self, place: Place, doc_id: str) -> bool:
        """Settle an address of a document that is known; else let it wait, and return whether it is the first that does."""
        self._n_members += place.depth > 0
        if doc_id in self._described:
            nested = self._nested.get(doc_id, [])
            if nested:
                self._look_up_standing(place, doc_id)
            for opened in self._list([place], doc_id, [one.size_bytes for one in nested]):
                for one in nested:
                    self._put(opened.inside(one.path, one.size_bytes, doc_id), one.doc_id)
            return False
        self._waiting.setdefault(doc_id, []).append(place)
        return len(self._waiting[doc_id]) == 1

    def _list(self, places: list[Place], doc_id: str, sizes_bytes: list[int]) -> list[Place]:
        """Add a row for each address of a described document; return those whose members, of these sizes, are looked at."""
        opened, described = [], self._described[doc_id]
        for place in places:
            refused = place.open_members(sizes_bytes) if sizes_bytes else None
            if doc_id in self._closed:
                refused = "an archive that was met too deep in others"
            if refused and described["status"] == "unpacked":
                self._refuse(place, reject(doc_id, described["kind"], described["mime_type"], "archive_limit", refused))
                continue
            self._add_document(place, doc_id)
            if refused:
                self._n_members += 1
                self._refuse(place.inside("attachments", 0, doc_id), _bad_member(doc_id, "attachments", "archive_limit", refused))
            elif sizes_bytes:
                opened.append(place)
        return opened

    def _look_into(self, doc_id: str, members: Sequence[Member], opened: list[Place]) -> list[Item]:
        """Note what lies in a document, at each of its addresses that are opened; return what of it has to be parsed."""
        nested: list[Nested] = []
        items: dict[str, Item] = {}
        for member in members:
            result = _bad_member(doc_id, member.path, member.error_kind, member.found or "") if member.error_kind else None
            child_id = result.doc_id if result else doc_id_of(member.load())
            if result:
                self._described[child_id] = describe(result)
                self._rows.add_reject(opened[0].inside(member.path, 0, doc_id), result)
            items[child_id] = (child_id, member.path, member.load)
            nested.append(Nested(member.path, member.size_bytes, child_id))
        self._described |= self._known.of_ids(items.keys() - self._described.keys() - self._waiting.keys())
        self._nested[doc_id] = nested
        places = [place.inside(one.path, one.size_bytes, doc_id) for place in opened for one in nested]
        return [items[one.doc_id] for place, one in zip(places, nested * len(opened), strict=True) if self._put(place, one.doc_id)]

    def _refuse(self, place: Place, result: Rejected) -> None:
        self._rows.add_reject(place, result)
        self._rows.add_document(place, result.doc_id, describe(result))

    def _look_up_standing(self, place: Place, doc_id: str) -> None:
        """Find out what stands of an archive that is tried again; nothing counts as standing when the archive itself is another."""
        if place.depth == 0 and place.tree.is_retry:
            standing = self._known.standing(place.uri)
            place.tree.standing = standing if (place.uri, doc_id) in standing else frozenset()

    def _add_document(self, place: Place, doc_id: str) -> None:
        """Add a row unless, of an archive that is tried again, the same one stands."""
        if (place.uri, doc_id) in place.tree.standing:
            self._n_standing += 1
        else:
            self._rows.add_document(place, doc_id, self._described[doc_id])

    def _load(self, item: InboxItem) -> bytes | None:
        """Return the bytes of what is not too large to be held in memory; called by several threads."""
        return self._inbox.get(item.key) if item.size_bytes <= MAX_DOCUMENT_BYTES else None

    def _data_of(self, item: InboxItem, loaded: Future[bytes | None]) -> bytes | None:
        """Return the bytes, or None for an object that is settled without them."""
        try:
            data = loaded.result()
        except ObjectMissing:
            self._gone.append(item.key)
            return None
        except StorageRefused as error:
            self._pending.append({"key": item.key, "reason": str(error)})
            return None
        if data is None:
            self._refuse_unread(item)
        return data

    def _refuse_unread(self, item: InboxItem) -> None:
        """Reject what is too large; its id comes from its address and change mark instead of its bytes."""
        doc_id = sha256(f"{self._inbox.uri(item.key)}\0{item.etag}".encode()).hexdigest()
        found = f"{item.size_bytes:,} bytes, allowed are {MAX_DOCUMENT_BYTES:,}"
        self._refuse(self._place_of(item), reject(doc_id, "unknown", UNREAD_TYPE, "too_large", found))

    def _place_of(self, item: InboxItem) -> Place:
        tree = Tree(is_retry=item.is_retry)
        return Place(self._inbox.uri(item.key), item.size_bytes, item.etag, item.modified_at, tree=tree)

    def _note_unchanged(self, item: InboxItem, doc_id: str) -> None:
        seen = {"etag": item.etag, "size_bytes": item.size_bytes, "doc_id": doc_id, "seen_at": datetime.now(UTC).isoformat()}
        self._unchanged.append({"uri": self._inbox.uri(item.key), **seen})

    def _tell(self, is_over: bool = False) -> None:
        now = time.monotonic()
        if self._say is None or (now - self._told < PROGRESS_EVERY_S and not is_over):
            return
        self._told = now
        n = self._rows.n_by_status
        n_done = sum(n.values()) + self._n_standing + len(self._unchanged) + len(self._gone) + len(self._pending)
        n_items = len(self._items) + self._n_members
        self._say(ParseProgress(n_done, n_items, self._rows.n_pages, n["rejected"], now - self._started))


def _bad_member(doc_id: str, path: str, error_kind: str, found: str) -> Rejected:
    """Return the reject of a member without bytes: its id comes from the archive's and its path."""
    return reject(sha256(f"{doc_id}\0{path}".encode()).hexdigest(), "unknown", UNREAD_TYPE, error_kind, found)
