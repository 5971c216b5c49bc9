"""One look at the inbox: what has to be read, what was deleted, and how many of each, as a stream."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatchcase
from typing import NamedTuple

import pyarrow.compute as pc

from skillyard.documents.result import ERROR_KINDS
from skillyard.errors import InboxError, ObjectMissing, StorageRefused, UnknownName
from skillyard.lake.lake import Lake
from skillyard.lake.read import scan
from skillyard.running.inbox_diff import CHANGED, DELETED, NEW, UNSURE, Change, Known, diff
from skillyard.running.inbox_known import known_objects
from skillyard.storage import ObjectInfo, Storage, open_storage

ANY = "any"
SAY_EVERY_S = 5.0
SHOWN_KEYS = 5


@dataclass(frozen=True, slots=True)
class IngestRequest:
    """What a caller asks of a run of ingestion."""

    prefix: str = ""
    """Only objects whose path below the inbox begins so."""
    include: tuple[str, ...] = ()
    """Only objects whose path, or an end of it that follows a slash, fits one of these globs; case does not count."""
    exclude: tuple[str, ...] = ()
    """Not those that fit one of these."""
    limit: int | None = None
    """At most so many objects to read. Such a run records no deletions."""
    force: bool = False
    """Look at every object whatever its change mark says, and parse again what was rejected."""
    retry_rejects: tuple[str, ...] = ()
    """Parse again, beside what is new, what was rejected with one of these kinds, or ``any``."""
    confirm_deletions: bool = False
    """Record deletions even if more than half of what is known is gone."""

    def __post_init__(self) -> None:
        for kind in self.retry_rejects:
            if kind != ANY and kind not in ERROR_KINDS:
                raise UnknownName("kind of reject", kind, (ANY, *ERROR_KINDS))


class InboxItem(NamedTuple):
    """One object to look at; ``known_doc_id`` is what it held when it was last ingested, None where it has to be parsed again."""

    key: str
    size_bytes: int
    etag: str
    modified_at: datetime
    known_doc_id: str | None = None
    is_retry: bool = False
    """It was rejected, and is tried again."""


@dataclass(slots=True)
class Counts:
    """What a look has found so far."""

    n_listed: int = 0
    n_known: int = 0
    """Of what is known, what lies where this run looks."""
    n_new: int = 0
    n_changed: int = 0
    n_retried: int = 0
    n_again: int = 0
    """Neither new nor changed, looked at by force."""
    n_deleted: int = 0
    n_unnamed: int = 0
    """Left out: their names are not text (UTF-8)."""
    size_bytes: int = 0
    """Of all that has to be read."""
    first_keys: list[str] = field(default_factory=list)

    @property
    def n_to_read(self) -> int:
        """Objects that have to be read."""
        return self.n_new + self.n_changed + self.n_retried + self.n_again


class Found(NamedTuple):
    """An item to read, or something known that is gone (``deleted``) or may be (``unsure``)."""

    kind: str
    item: InboxItem | None
    known: Known | None


def look(lake: Lake, inbox: str, request: IngestRequest, counts: Counts, progress: Callable[[str], None] | None = None) -> Iterator[Found]:
    """Yield what a run of ingestion has to do, in the order of the keys, and count it."""
    storage = open_storage(inbox)
    choose = _Choice(lake, inbox, request)
    listing = _counted((info for info in _list_inbox(storage, request.prefix) if _is_in(info.key, request)), counts, progress)
    known = (one for one in known_objects(lake, inbox) if one.parent_doc_id is not None or _is_in(one.key, request))
    for change in diff(listing, known):
        is_member = change.known is not None and change.known.parent_doc_id is not None
        counts.n_known += change.known is not None and not is_member
        if change.kind in (DELETED, UNSURE):
            if request.limit is None:
                counts.n_deleted += change.kind == DELETED and not is_member
                yield Found(change.kind, None, change.known)
            continue
        if request.limit is not None and counts.n_to_read >= request.limit:
            continue
        item = choose.item(change)
        if item is not None:
            _count(counts, change.kind, item)
            yield Found(change.kind, item, None)


def check_deletions(inbox: str, counts: Counts, request: IngestRequest) -> None:
    """Raise when most of what is known is gone: then the folder is more likely not mounted than emptied."""
    if counts.n_deleted * 2 > counts.n_known and not request.confirm_deletions:
        raise InboxError(
            f"{counts.n_deleted} of the {counts.n_known} documents known in {inbox} are gone: more than half, so nothing was changed. "
            "Is the folder mounted, is the prefix right? If they were deleted or moved on purpose, say so: --confirm-deletions, or "
            "'Confirm deletions' in the form."
        )


class _Choice:
    """Which objects have to be read, as the request says."""

    def __init__(self, lake: Lake, inbox: str, request: IngestRequest) -> None:
        self._force, self._kinds = request.force, set(request.retry_rejects)
        self._kind_of = _reject_kinds(lake) if self._kinds - {ANY} else {}
        self._archives: set[str] = set()
        """Archives that hold a member to be tried again."""
        if self._kinds or self._force:
            members = (one for one in known_objects(lake, inbox) if one.parent_doc_id is not None and self._is_retried(one))
            self._archives = {one.key.rpartition("!/")[0] for one in members}
            self._archives |= {key[:end] for key in self._archives for end in _ends(key)}

    def item(self, change: Change) -> InboxItem | None:
        """Return the item, or None for an object that is as it was."""
        info, known = change.info, change.known
        assert info is not None
        is_retry = known is not None and (self._is_retried(known) or known.key in self._archives)
        if change.kind not in (NEW, CHANGED) and not is_retry and not self._force:
            return None
        known_doc_id = known.doc_id if known is not None and not is_retry else None
        return InboxItem(info.key, info.size_bytes, info.etag, info.modified_at, known_doc_id, is_retry)

    def _is_retried(self, known: Known) -> bool:
        if known.status != "rejected":
            return False
        return self._force or ANY in self._kinds or self._kind_of.get(known.doc_id) in self._kinds


def _ends(key: str) -> Iterator[int]:
    """Yield where the names of the archives end that an archive lies in."""
    end = key.find("!/")
    while end >= 0:
        yield end
        end = key.find("!/", end + 1)


def _count(counts: Counts, kind: str, item: InboxItem) -> None:
    if item.is_retry:
        counts.n_retried += 1
    elif kind == NEW:
        counts.n_new += 1
    elif kind == CHANGED:
        counts.n_changed += 1
    else:
        counts.n_again += 1
    counts.size_bytes += item.size_bytes
    if len(counts.first_keys) < SHOWN_KEYS:
        counts.first_keys.append(item.key)


def _counted(listing: Iterable[ObjectInfo], counts: Counts, progress: Callable[[str], None] | None) -> Iterator[ObjectInfo]:
    started = told = time.monotonic()
    for info in listing:
        if not _is_text(info.key):
            counts.n_unnamed += 1
            continue
        counts.n_listed += 1
        now = time.monotonic()
        if progress is not None and now - told >= SAY_EVERY_S:
            told = now
            progress(f"discover: {counts.n_listed:,} listed, {counts.n_listed / (now - started):,.0f}/s, {counts.n_to_read:,} to read")
        yield info


def _is_text(key: str) -> bool:
    try:
        key.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_in(key: str, request: IngestRequest) -> bool:
    if not key.startswith(request.prefix) or (request.include and not _fits(key, request.include)):
        return False
    return not _fits(key, request.exclude)


def _fits(key: str, globs: Iterable[str]) -> bool:
    path = key.casefold()
    return any(fnmatchcase(path, glob) or fnmatchcase(path, f"*/{glob}") for glob in map(str.casefold, globs))


def _list_inbox(storage: Storage, prefix: str) -> Iterator[ObjectInfo]:
    from skillyard.storage.local import LocalStorage

    advice = "Set SKILLYARD_INBOX to a folder or s3:// prefix that exists and that this user may read."
    if isinstance(storage, LocalStorage) and not storage.folder.is_dir():
        what = "is a file, not a folder" if storage.folder.exists() else "does not exist"
        raise InboxError(f"the inbox {storage.root} {what}. {advice}")
    try:
        yield from storage.list(prefix)
    except (StorageRefused, ObjectMissing) as error:
        raise InboxError(f"the inbox {storage.root} cannot be listed: {error} {advice}") from error


def _reject_kinds(lake: Lake) -> dict[str, str]:
    """Return the newest kind of reject by doc_id."""
    newest: dict[str, tuple[datetime, str]] = {}
    for batch in scan(lake, "rejects", ["doc_id", "rejected_at", "error_kind"], pc.field("stage") == "parse"):
        for row in batch.to_pylist():
            said = (row["rejected_at"], row["error_kind"])
            newest[row["doc_id"]] = max(said, newest.get(row["doc_id"], said))
    return {doc_id: kind for doc_id, (_, kind) in newest.items()}
