"""What is left over goes: changes that died are finished, strays move out of the tables, and what nobody can ask for is deleted.

Nothing that a running writer needs is touched: the graces are far longer than any change takes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from skillyard.lake.contents import all_contents, table_names
from skillyard.lake.known_tables import TABLES
from skillyard.lake.lake import Lake
from skillyard.lake.manifest import Manifest, load_manifest
from skillyard.lake.settle import move_away, settle
from skillyard.lake.switch import Change, switch

GRACE = timedelta(days=7)
"""How long superseded files are kept: ``as_of`` reaches at least as far back, and so may a read that has begun."""
DEBRIS_GRACE = timedelta(days=1)
"""After this, what a publish staged and never committed, and probes, are those of a process that died."""


@dataclass(frozen=True, slots=True)
class Tidied:
    """What was found and done."""

    n_strays: int
    """Objects in the folders of tables that were no part of them: moved to ``_superseded/``."""
    n_superseded: int
    """Superseded files whose grace has passed: deleted."""
    n_debris: int
    """Staged files, probes and lists that nothing refers to any more: deleted."""


def tidy(lake: Lake, now: datetime | None = None) -> Tidied:
    """Finish, move and delete; doing it again does no harm."""
    now = now or datetime.now(UTC)
    names = [name for name in table_names(lake) if name not in TABLES or not TABLES[name].is_recomputed]
    n_strays = sum(_settle_table(lake, name) for name in names)
    for name in names:
        _forget_old(lake, name, now - GRACE)
    manifests = {name: found for name in names if (found := load_manifest(lake, name)[0]) is not None}
    n_superseded = _delete(lake, _old_superseded(lake, manifests, now - GRACE))
    return Tidied(n_strays, n_superseded, _delete(lake, _debris(lake, manifests, now)))


def _settle_table(lake: Lake, name: str) -> int:
    manifest, etag = load_manifest(lake, name)
    if manifest is not None:
        settle(lake, name, manifest, etag, {})
    strays = all_contents(lake, name).strays
    move_away(lake, strays)
    return len(strays)


def _forget_old(lake: Lake, name: str, before: datetime) -> None:
    """Let the manifest say that files removed before a time cannot be read any more; they are deleted after that."""

    def decide(current: Manifest) -> Change | None:
        old = frozenset(key for key, file in current.removed.items() if file.removed_at and file.removed_at < before)
        return Change({}, {}, forgotten=old) if old else None

    if load_manifest(lake, name)[0] is not None:
        switch(lake, all_contents(lake, name).table, decide)


def _old_superseded(lake: Lake, manifests: dict[str, Manifest], before: datetime) -> Iterator[str]:
    for found in lake.storage.list("_superseded/"):
        key = found.key.removeprefix("_superseded/")
        manifest = manifests.get(key.rpartition("/dt=")[0])
        if found.modified_at < before and (manifest is None or key not in manifest.removed):
            yield found.key


def _debris(lake: Lake, manifests: dict[str, Manifest], now: datetime) -> Iterator[str]:
    staged = {f"_staged/{key}" for manifest in manifests.values() for key in manifest.staged}
    for prefix in ("_staged/", "_probe/"):
        for found in lake.storage.list(prefix):
            if found.modified_at < now - DEBRIS_GRACE and found.key not in staged:
                yield found.key
    for name, manifest in manifests.items():
        for found in lake.storage.list(f"{name}/_absorbed/"):
            if found.modified_at < now - GRACE and found.key not in manifest.absorbed.values():
                yield found.key


def _delete(lake: Lake, keys: Iterator[str]) -> int:
    listed = list(keys)
    for key in listed:
        lake.storage.delete(key)
    return len(listed)
