"""Many small files of a day become one of about 256 MB, sorted, so that a reader opens few files and skips most of what is in them.

A merge is one change of the table's manifest: exact for our reader at every step, and whoever dies leaves nothing but a staged file. Files
never change once they are written, so a merge that was prepared beside appends, publishes and corrections holds unless one of its
sources was superseded meanwhile: then it is dropped, and the next night takes another. Days end before they are merged.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from skillyard.errors import StorageError
from skillyard.lake.contents import Contents, all_contents, table_names
from skillyard.lake.known_tables import TABLES
from skillyard.lake.lake import Lake
from skillyard.lake.manifest import Manifest, day_of, file_name
from skillyard.lake.merge import merge_files
from skillyard.lake.superseding import superseding
from skillyard.lake.switch import Change, NewFile, switch

SMALL_BYTES = 128 * 1024**2
"""A file of this size stays as it is."""
TARGET_BYTES = 256 * 1024**2
"""A merge takes in files until their sizes add up to this, so that what comes out has between half and twice of it."""


@dataclass(frozen=True, slots=True)
class Merge:
    """Files of one day to be merged into one."""

    table: str
    day: str
    keys: tuple[str, ...]
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Merged:
    """What became of a merge."""

    table: str
    day: str
    n_files: int
    """Files that gave way."""
    n_rows: int
    size_bytes: int
    """Of the new file; 0 when another writer superseded one of the sources meanwhile and nothing was done."""


def plan_merges(lake: Lake, tables: Sequence[str] | None = None, today: date | None = None) -> list[Merge]:
    """Return what there is to merge in the named tables, in all of them by default: days that are over, with several small files."""
    today = today or datetime.now(UTC).date()
    names = [name for name in tables or table_names(lake) if name not in TABLES or not TABLES[name].is_recomputed]
    return [merge for name in names for merge in _merges(all_contents(lake, name), today)]


def compact(lake: Lake, tables: Sequence[str] | None = None, today: date | None = None) -> Iterator[Merged]:
    """Do it, merge by merge. Repeating it changes nothing; interrupted anywhere it goes on with what is left."""
    for merge in plan_merges(lake, tables, today):
        yield merge_day(lake, merge)


def merge_day(lake: Lake, merge: Merge) -> Merged:
    """Write the merged file and switch to it, if all of its sources still belong to the table then."""
    table = all_contents(lake, merge.table).table
    merged = merge_files(lake, table, merge.keys)
    if merged.row_hash != merged.source_hash:
        raise StorageError(
            f"{merge.table} of {merge.day}: the merged file does not hold the rows of its {len(merge.keys)} sources. Nothing changed; "
            "check the disk and the memory of this machine, then: skillyard lake verify."
        )
    new: dict[str, NewFile] = {}

    def decide(current: Manifest) -> Change | None:
        nonlocal new
        key = file_name(merge.table, merge.day, "compacted", merged.data, current)
        new = {key: NewFile(merged.data, merged.n_rows, merged.row_hash)}
        if merge.table.startswith("results/"):
            is_whole = all(key in current.files for key in merge.keys)
            return Change(new, {key: current.files[key] for key in merge.keys}) if is_whole else None
        return superseding(lake, current, merge.keys, new)

    done = switch(lake, table, decide)
    is_done = set(new) <= set(done.files)
    return Merged(merge.table, merge.day, len(merge.keys), merged.n_rows, len(merged.data) if is_done else 0)


def _merges(contents: Contents, today: date) -> Iterator[Merge]:
    listed = contents.listed or {}
    days: dict[str, list[tuple[str, int]]] = {}
    for key in contents.keys:
        # A file that is named and not in its place yet waits for whoever settles it; the next night will find it there.
        if key in listed and date.fromisoformat(day_of(key)) < today and listed[key].size_bytes < SMALL_BYTES:
            days.setdefault(day_of(key), []).append((key, listed[key].size_bytes))
    for day, files in sorted(days.items()):
        for group in _groups(files):
            yield Merge(contents.table.name, day, tuple(key for key, _ in group), sum(size for _, size in group))


def _groups(files: list[tuple[str, int]]) -> list[list[tuple[str, int]]]:
    """Return the files in groups of about the target size; what is left at the end joins the last of them."""
    groups: list[list[tuple[str, int]]] = [[]]
    for file in sorted(files):
        if sum(size for _, size in groups[-1]) + file[1] > TARGET_BYTES:
            groups.append([])
        groups[-1].append(file)
    if len(groups) > 1 and sum(size for _, size in groups[-1]) < SMALL_BYTES:
        last = groups.pop()
        groups[-1] += last
    return [group for group in groups if len(group) > 1]
