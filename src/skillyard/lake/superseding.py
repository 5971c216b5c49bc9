"""Files of an appended table give way to others that hold their rows."""

from collections.abc import Mapping, Sequence

import pyarrow.parquet as pq

from skillyard.errors import ObjectMissing
from skillyard.lake.lake import Lake
from skillyard.lake.manifest import File, Manifest, places
from skillyard.lake.parquet import ROW_HASH
from skillyard.lake.switch import Change, NewFile


def superseding(lake: Lake, current: Manifest, keys: Sequence[str], added: Mapping[str, NewFile]) -> Change | None:
    """Return the change that puts ``added`` in the place of the files, None when one of them is no part of the table any more.

    What the manifest does not name yet is a part that somebody appended: its hash is noted, so that it is known when it comes again.
    """
    removed, parts = {}, {}
    for key in keys:
        if key in current.files:
            removed[key] = current.files[key]
            continue
        file = _appended(lake, key)
        if file is None:
            return None
        removed[key] = file
        parts[key] = file.row_hash
    return Change(added, removed, parts_absorbed=parts)


def _appended(lake: Lake, key: str) -> File | None:
    """Return what the footer says of an object that the manifest does not name, and when it was put there."""
    found = lake.storage.head(places(key)[0])
    if found is None:
        return None
    try:
        footer = pq.read_metadata(key, filesystem=lake.filesystem)
    except (FileNotFoundError, ObjectMissing):
        return None
    return File(footer.num_rows, (footer.metadata or {}).get(ROW_HASH.encode(), b"").decode(), found.modified_at)
