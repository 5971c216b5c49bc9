"""What follows a switch of a manifest: new files to their places, superseded ones away. Whoever comes next finishes it after a crash."""

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor

from skillyard.errors import ObjectMissing
from skillyard.lake.lake import Lake
from skillyard.lake.manifest import Manifest, load_manifest, manifest_key, places

MOVERS = 8


def settle(lake: Lake, table: str, manifest: Manifest, etag: str | None, staged: Mapping[str, bytes]) -> None:
    """Finish what the last switch left to do; nothing happens where it is done.

    ``etag`` is that of the manifest, ``staged`` the bytes of files that the caller has staged itself: they need not be fetched.
    """
    placed = [key for key in manifest.staged if _place(lake, key, staged.get(key))]
    move_away(lake, manifest.superseded)
    if placed:
        _withdraw(lake, table, placed, etag)


def move_away(lake: Lake, keys: Iterable[str]) -> None:
    """Move files to ``_superseded/``, those that are still in their places."""
    with ThreadPoolExecutor(MOVERS) as pool:
        list(pool.map(lambda key: _move_away(lake, key), keys))


def forget(lake: Lake, keys: Iterable[str]) -> None:
    """Remove what was staged for a change that another writer's switch made void."""
    for key in keys:
        lake.storage.delete(places(key)[1])


def _place(lake: Lake, key: str, data: bytes | None) -> bool:
    place, staged, _ = places(key)
    if lake.storage.head(staged) is None:
        return False  # placed before
    try:
        lake.storage.copy_if_absent(staged, place, data)
    except ObjectMissing:
        return False
    lake.storage.delete(staged)
    return True


def _withdraw(lake: Lake, table: str, placed: Iterable[str], etag: str | None) -> None:
    """Take away what we placed late: someone who switched in the meantime may have superseded it already."""
    now = lake.storage.head(manifest_key(table))
    if now is not None and now.etag != etag:
        newest, _ = load_manifest(lake, table)
        move_away(lake, [key for key in placed if newest is not None and key not in newest.files])


def _move_away(lake: Lake, key: str) -> None:
    place, _, away = places(key)
    try:
        lake.storage.put(away, lake.storage.get(place))
    except ObjectMissing:
        return
    lake.storage.delete(place)
