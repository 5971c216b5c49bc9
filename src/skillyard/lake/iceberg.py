"""The lake's tables as Iceberg tables over the same files: nothing is copied, each sync that finds a change is one snapshot.

A reader of Iceberg sees whole snapshots: never a row twice, never half a publish. A file that a publish supersedes is moved away at
once, so older snapshots, which name it, are expired by the sync that takes it out: time travel reaches back to the last sync that took a
file away (``as_of`` of our own reader reaches further). Between such a publish and its sync, and in a scan that was planned before it,
a read fails with a missing file: it is to be tried again, it never gives wrong rows.

Recomputed tables are left out: a day of theirs is one object that is replaced in its place, which Iceberg does not allow for.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from skillyard.errors import ConfigError, StorageError
from skillyard.lake.contents import find_contents, table_names
from skillyard.lake.ddl import DATABASE, sql_name
from skillyard.lake.known_tables import TABLES
from skillyard.lake.lake import Lake
from skillyard.lake.tables import Table
from skillyard.settings import Settings

log = logging.getLogger(__name__)
CATALOG = DATABASE
SYNC_TRIES = 10


@dataclass(frozen=True, slots=True)
class Synced:
    """What a sync did to one table."""

    table: str
    identifier: str
    snapshot_id: int | None
    n_added: int
    n_removed: int
    n_expired: int
    """Snapshots that named a file which is no part of the table any more."""


def follow(settings: Settings, lake: Lake, run_id: str, names: Sequence[str] | None = None) -> None:
    """After a publish: let the Iceberg tables follow, all by default, where a catalog is set; one out of reach stops no publish.

    What was missed is made up for by the next sync.
    """
    if settings.iceberg is None:
        return
    try:
        known = table_names(lake)
        sync_tables(lake, settings.iceberg, None if names is None else [name for name in names if name in known], run_id)
    except Exception:
        log.exception("the Iceberg tables could not follow run %s: skillyard lake iceberg makes up for it", run_id)


def sync_tables(lake: Lake, catalog_url: str, names: Sequence[str] | None = None, run_id: str = "") -> list[Synced]:
    """Bring the Iceberg tables to the state of the lake's, all of them by default; what is the same already is left alone."""
    wanted = names if names is not None else [name for name in table_names(lake) if not (name in TABLES and TABLES[name].is_recomputed)]
    catalog = open_catalog(lake, catalog_url)
    return [sync_table(lake, catalog, name, run_id) for name in wanted]


def open_catalog(lake: Lake, catalog_url: str) -> Any:
    """Return the catalog; its tables' metadata lie under ``_iceberg/`` of the lake."""
    from pyiceberg.catalog.sql import SqlCatalog

    catalog = SqlCatalog(CATALOG, uri=catalog_url, warehouse=_location(lake, "_iceberg"), **_store_properties(lake))
    catalog.create_namespace_if_not_exists(DATABASE)
    return catalog


def sync_table(lake: Lake, catalog: Any, name: str, run_id: str = "") -> Synced:
    """Make one snapshot of what the table consists of now; whoever else syncs it at the same time, both end with the newest state."""
    from pyiceberg.exceptions import CommitFailedException

    table = find_contents(lake, name).table
    if table.is_recomputed:
        raise ConfigError(f"{name} is recomputed day by day, each day one object that is replaced as a whole: read it without Iceberg.")
    problem: Exception | None = None
    with _without_type_notes():
        for _ in range(SYNC_TRIES):
            try:
                return _sync(lake, _load(lake, catalog, table), table.name, run_id)
            except (CommitFailedException, FileNotFoundError) as error:
                problem = error  # somebody else was faster: look again
    raise StorageError(f"{name} changed {SYNC_TRIES} times while it was synced to Iceberg: try again.") from problem


def _sync(lake: Lake, iceberg: Any, name: str, run_id: str) -> Synced:
    """Commit the difference. The Iceberg table was loaded first: a state older than what it holds cannot be committed over it."""
    from pyiceberg.io.pyarrow import parquet_files_to_data_files
    from pyiceberg.table.update.snapshot import ExpireSnapshots

    contents = find_contents(lake, name)
    held = {task.file.file_path: task.file for task in iceberg.scan().plan_files()}
    wanted = {_location(lake, key) for key in contents.keys}
    added, removed = sorted(wanted - held.keys()), sorted(held.keys() - wanted)
    old = [snapshot.snapshot_id for snapshot in iceberg.metadata.snapshots] if removed else []
    if added or removed:
        with iceberg.transaction() as transaction:
            transaction.update_schema().union_by_name(contents.table.schema).commit()
            snapshot = transaction.update_snapshot(snapshot_properties={"skillyard.run": run_id} if run_id else {})
            with snapshot.overwrite() if removed else snapshot.fast_append() as change:
                for path in removed:
                    change.delete_data_file(held[path])
                for data_file in parquet_files_to_data_files(iceberg.io, transaction.table_metadata, iter(added)):
                    change.append_data_file(data_file)
            if old:
                ExpireSnapshots(transaction).by_ids(old).commit()
    current = iceberg.current_snapshot()
    return Synced(name, ".".join(iceberg.name()), current and current.snapshot_id, len(added), len(removed), len(old))


def _load(lake: Lake, catalog: Any, table: Table) -> Any:
    """Return the Iceberg table, made if it is not there: partitioned by the day, which stands in the files."""
    from pyiceberg.exceptions import NoSuchTableError, TableAlreadyExistsError
    from pyiceberg.transforms import IdentityTransform

    identifier = (DATABASE, sql_name(table))
    try:
        found = catalog.load_table(identifier)
    except NoSuchTableError:
        try:
            with catalog.create_table_transaction(identifier, schema=table.schema) as transaction:
                _set_properties(transaction)
                transaction.update_spec().add_field(table.partition, IdentityTransform(), table.partition).commit()
        except TableAlreadyExistsError:
            pass
        found = catalog.load_table(identifier)
    if not found.location().startswith(_location(lake, "_iceberg")):
        raise ConfigError(f"the Iceberg catalog has {'.'.join(identifier)} of another lake, {found.location()}: give each lake a catalog.")
    return found


def _set_properties(transaction: Any) -> None:
    """Let readers find columns by name, for our files have no field ids; and a commit that was too late fail, to be decided anew.

    By itself pyiceberg would repeat it on top of the other's, and so add a file twice.
    """
    from pyiceberg.table import TableProperties

    names = transaction.table_metadata.schema().name_mapping.model_dump_json()
    transaction.set_properties({TableProperties.DEFAULT_NAME_MAPPING: names, TableProperties.COMMIT_NUM_RETRIES: "0"})


def _location(lake: Lake, key: str) -> str:
    """Return a key's URL as Iceberg writes it: the plain path, nothing in it is escaped."""
    if lake.url.startswith("s3://"):
        return f"{lake.url}/{key}"
    from skillyard.storage.local import LocalStorage

    return f"file://{LocalStorage(lake.url).folder}/{key}"


def _store_properties(lake: Lake) -> Mapping[str, str]:
    """Return where the store is; credentials stay in the environment, where Arrow finds them."""
    if not lake.url.startswith("s3://"):
        return {}
    from skillyard.storage.s3 import s3_endpoint, s3_region

    found = {"s3.endpoint": s3_endpoint(), "s3.region": s3_region() or "us-east-1"}
    return {name: value for name, value in found.items() if value}


@contextmanager
def _without_type_notes() -> Iterator[None]:
    """Keep pyiceberg from saying of every file and label column that Iceberg has no dictionaries: they are strings there, as meant."""
    theirs = logging.getLogger("pyiceberg.io.pyarrow")
    level = theirs.level
    theirs.setLevel(logging.ERROR)
    try:
        yield
    finally:
        theirs.setLevel(level)
