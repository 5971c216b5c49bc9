"""What a table consists of, now or at an earlier time.

Objects are listed first and the manifest is read after: what a change moved away while we listed, the manifest already names elsewhere.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from skillyard.errors import ConfigError, UnknownName
from skillyard.lake.known_tables import TABLES
from skillyard.lake.lake import Lake
from skillyard.lake.manifest import Manifest, absorbed_parts, day_of, load_manifest
from skillyard.lake.tables import Table
from skillyard.storage import ObjectInfo


@dataclass(frozen=True, slots=True)
class Contents:
    """The files that make a table; ``places`` of the manifest says where else one may lie at this moment."""

    table: Table
    """Its schema is what the files hold together."""
    keys: tuple[str, ...]
    strays: tuple[str, ...] = ()
    """Objects in the table's folder that are no part of it: what a writer that died left behind, or has yet to move away."""
    listed: Mapping[str, ObjectInfo] | None = None


def find_contents(lake: Lake, table: str | Table, as_of: datetime | None = None) -> Contents:
    """Return what a table consists of, or consisted of at a time.

    ``results/<skill>`` means its highest version. ``UnknownName`` for a name that is neither a known table nor on the lake.
    """
    known = table if isinstance(table, Table) else TABLES.get(table)
    name = known.name if known else _newest_version(lake, str(table))
    if known is not None and known.is_recomputed and as_of is not None:
        raise ConfigError(f"{name} is recomputed day by day and keeps its newest state only: it cannot be read as of a time.")
    listed = {} if name.startswith("results/") else _list(lake, name)
    manifest, _ = load_manifest(lake, name)
    if name.startswith("results/"):
        return _of_results(lake, known, name, manifest, as_of)
    if known is None:
        raise UnknownName("table", name, table_names(lake))
    return _of_appended(lake, known, manifest, listed, as_of)


def table_names(lake: Lake) -> list[str]:
    """Return the fixed tables and every version of every result table on the lake."""
    skills = (f"results/{skill}" for skill in lake.storage.folders("results/"))
    return [*TABLES, *(f"{skill}/{version}" for skill in skills for version in lake.storage.folders(f"{skill}/"))]


def all_contents(lake: Lake, name: str) -> Contents:
    """Return the same with the objects in a table's folder, and which of them are no part of it."""
    name = _newest_version(lake, name)
    listed = _list(lake, name)
    found = find_contents(lake, name)
    if name.startswith("results/"):
        strays = tuple(key for key in listed if key not in found.keys)
        return Contents(found.table, found.keys, strays, listed)
    return found


def _of_results(lake: Lake, known: Table | None, name: str, manifest: Manifest | None, as_of: datetime | None) -> Contents:
    if manifest is None:
        if known is None:
            raise UnknownName("table", name, table_names(lake))
        return Contents(known, ())
    version = int(name.rpartition("/v")[2])
    table = Table(name, f"The newest result of each item, {name}.", ("item_id",), "produced_on", manifest.schema, version=version)
    if as_of is None:
        return Contents(table, tuple(sorted(manifest.files)))
    _check_time(name, manifest, as_of)
    return Contents(table, tuple(sorted(_named_at(manifest, as_of))))


def _of_appended(lake: Lake, table: Table, manifest: Manifest | None, listed: Mapping[str, ObjectInfo], as_of: datetime | None) -> Contents:
    manifest = manifest or Manifest(table.schema)
    unnamed = [key for key in listed if key not in manifest.files]
    absorbed = {key for key in unnamed if key in manifest.removed} | _absorbed(lake, manifest, unnamed)
    own = [key for key in unnamed if key not in absorbed]
    strays = tuple(sorted(absorbed))
    if as_of is None:
        return Contents(table, tuple(sorted([*manifest.files, *own])), strays, listed)
    _check_time(table.name, manifest, as_of)
    own = [key for key in own if listed[key].modified_at <= as_of]
    return Contents(table, tuple(sorted([*_named_at(manifest, as_of), *own])))


def _absorbed(lake: Lake, manifest: Manifest, keys: list[str]) -> set[str]:
    """Return those keys that stand in another file since; only days that have such files are looked up."""
    days = {day_of(key) for key in keys} & set(manifest.absorbed)
    return {key for day in days for key in absorbed_parts(lake, manifest, day)} & set(keys)


def _named_at(manifest: Manifest, as_of: datetime) -> list[str]:
    known = [*manifest.files.items(), *manifest.removed.items()]
    return [key for key, file in known if file.added_at <= as_of and (file.removed_at is None or as_of < file.removed_at)]


def _check_time(name: str, manifest: Manifest, as_of: datetime) -> None:
    if as_of.tzinfo is None:
        raise ConfigError(f"as_of is {as_of}: a time needs its offset from UTC, such as datetime(2026, 1, 31, 12, tzinfo=UTC).")
    if as_of > datetime.now(UTC):
        raise ConfigError(f"as_of is {as_of}, which has not come yet: leave it out to read {name} as it is.")
    if as_of < manifest.kept_since:
        raise ConfigError(
            f"{name} can be read as of {manifest.kept_since.isoformat()} and later, not as of {as_of.isoformat()}: older states have "
            "been deleted from _superseded/."
        )


def _list(lake: Lake, name: str) -> dict[str, ObjectInfo]:
    return {found.key: found for found in lake.storage.list(f"{name}/dt=") if found.key.endswith(".parquet")}


def _newest_version(lake: Lake, name: str) -> str:
    if name.count("/") != 1 or not name.startswith("results/"):
        return name
    versions = [v for v in lake.storage.folders(f"{name}/") if v.startswith("v") and v[1:].isdigit()]
    return f"{name}/{max(versions, key=lambda v: int(v[1:]))}" if versions else name
