"""Newer results in place of older ones, and the mark on those an older fingerprint made."""

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import date
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from skillyard.errors import ValidationFailed
from skillyard.lake.lake import Lake
from skillyard.lake.manifest import Manifest, Part, file_name, manifest_key
from skillyard.lake.parquet import ROW_HASH, encode_late, stored_hash
from skillyard.lake.parts import Committed, check_part, conflict
from skillyard.lake.read import READERS, read_file
from skillyard.lake.rowhash import add_hashes, row_hash
from skillyard.lake.rows import by_day, conform
from skillyard.lake.switch import Change, NewFile, merged_schema, switch
from skillyard.lake.tables import Table

Hashes = Mapping[date, "Future[str]"]
"""By day: the hash of its new rows, which is computed while they are encoded."""


def replace_rows(lake: Lake, table: Table, rows: pa.Table, part: str) -> list[Committed]:
    """Add the rows; a row whose key the table holds already takes that row's place.

    Idempotent: the same part with the same logical rows is committed once, and a crashed try is completed; a part whose rows have
    been replaced by a later part since stays replaced. ``PublishConflict`` when the part was committed with other rows.
    """
    check_part(part)
    rows = conform(table, rows)
    if rows.num_rows == 0:
        return []
    days, was_known = dict(by_day(table, rows)), False
    with ThreadPoolExecutor(1) as hashing:
        hashes = {day: hashing.submit(row_hash, table, of_day) for day, of_day in days.items()}
        _refuse_doubles(table, rows)

        def decide(current: Manifest) -> Change | None:
            nonlocal was_known
            if part in current.parts:
                was_known = True
                if current.parts[part].row_hash != _whole(hashes):
                    raise conflict(lake, manifest_key(table.name), part)
                return None
            return _replacing(lake, table, current, rows, part, days, hashes)

        committed = switch(lake, table, decide).parts[part]
    return [Committed(key, n_rows, not was_known) for key, n_rows in sorted(committed.files.items())]


def mark_stale(lake: Lake, table: Table, fingerprint: str) -> int:
    """Make ``is_stale`` true for the rows of every other fingerprint and false for this one's; return how many rows changed."""
    n_changed = 0

    def decide(current: Manifest) -> Change | None:
        nonlocal n_changed
        is_wrong = pc.not_equal(pc.field("is_stale"), pc.not_equal(pc.field("fingerprint"), fingerprint))
        found = _of_every_file(lake, table, current, ["is_stale", "fingerprint"], is_wrong)
        touched = [key for key, wrong in found.items() if wrong.num_rows]
        n_changed = sum(found[key].num_rows for key in touched)
        if not touched:
            return None
        rows = _load(lake, table, touched, current.schema)
        position = rows.schema.get_field_index("is_stale")
        is_stale = pc.not_equal(rows.column("fingerprint"), fingerprint)
        rows = rows.set_column(position, rows.schema.field(position), is_stale)
        files: dict[str, NewFile] = {}
        for day, of_day in by_day(table, rows):
            files |= _new_file(table, current, day, f"stale-{fingerprint[:12]}", of_day, partial(row_hash, table, of_day))
        return Change(files, {key: current.files[key] for key in touched})

    switch(lake, table, decide)
    return n_changed


def _replacing(
    lake: Lake, table: Table, current: Manifest, rows: pa.Table, part: str, days: Mapping[date, pa.Table], hashes: Hashes
) -> Change:
    """Return the change that adds the rows and rewrites, without the replaced ones, the files that held them."""
    is_replaced = _holds_key_of(table, rows)
    found = _of_every_file(lake, table, current, list(table.key), is_replaced)
    touched = [key for key, hits in found.items() if hits.num_rows]
    schema = merged_schema(table, current)
    kept = dict(by_day(table, _load(lake, table, touched, schema).filter(~is_replaced))) if touched else {}
    files: dict[str, NewFile] = {}
    own: dict[str, int] = {}
    for day in sorted({*days, *kept}):
        pieces = [piece for piece in (kept.get(day), days.get(day)) if piece is not None]
        together = _in_schema(pieces, schema)
        n_kept = kept[day].num_rows if day in kept else 0
        file = _new_file(table, current, day, part, together, partial(_hash, table, together, n_kept, hashes.get(day)))
        files |= file
        if day in days:
            own |= dict.fromkeys(file, days[day].num_rows)
    removed = {key: current.files[key] for key in touched}
    return Change(files, removed, (part, Part(_whole(hashes), own)))


def _hash(table: Table, together: pa.Table, n_kept: int, new: "Future[str] | None") -> str:
    """Return the hash of kept and new rows; a table that has more columns than the new rows makes other rows of them."""
    if new is None or set(together.column_names) != set(table.schema.names):
        return row_hash(table, together)
    return add_hashes([row_hash(table, together.slice(0, n_kept)), new.result()])


def _whole(hashes: Hashes) -> str:
    return add_hashes(of_day.result() for of_day in hashes.values())


def _new_file(table: Table, current: Manifest, day: date, label: str, rows: pa.Table, hashed: Callable[[], str]) -> dict[str, NewFile]:
    """Return a file under a name of its own; its hash is asked for when its rows are encoded."""
    data = encode_late(rows, lambda: {ROW_HASH: hashed()})
    return {file_name(table.name, f"{day}", f"part-{label}", data, current): NewFile(data, rows.num_rows, stored_hash(data))}


def _in_schema(pieces: list[pa.Table], schema: pa.Schema) -> pa.Table:
    if len(pieces) == 1 and pieces[0].schema.equals(schema):
        return pieces[0].replace_schema_metadata(schema.metadata)
    # The empty one brings the columns that the skill's schema has no more, and the table still has.
    together = pa.concat_tables([schema.empty_table(), *pieces], promote_options="default").select(schema.names).cast(schema)
    return together.unify_dictionaries()


def _of_every_file(lake: Lake, table: Table, current: Manifest, columns: list[str], where: pc.Expression) -> Mapping[str, pa.Table]:
    """Return, for each file of the table, the named columns of the rows for which ``where`` holds."""

    def one(key: str) -> pa.Table:
        return read_file(lake, key, current.schema, table.partition, columns, where)

    with ThreadPoolExecutor(READERS) as pool:
        return dict(zip(current.files, pool.map(one, current.files), strict=True))


def _load(lake: Lake, table: Table, keys: list[str], schema: pa.Schema) -> pa.Table:
    return pa.concat_tables([schema.empty_table(), *(read_file(lake, key, schema, table.partition) for key in keys)])


def _holds_key_of(table: Table, rows: pa.Table) -> pc.Expression:
    (name,) = table.key
    return pc.field(name).isin(rows.column(name).combine_chunks())


def _refuse_doubles(table: Table, rows: pa.Table) -> None:
    (name,) = table.key
    keys = rows.column(name)
    if len(pc.unique(keys)) == len(keys):
        return
    counts = pc.value_counts(keys).to_pylist()
    doubled = [str(found["values"]) for found in counts if found["counts"] > 1]
    raise ValidationFailed(f"{table.name}: {len(doubled)} keys ({name}) occur twice in one part, such as {', '.join(doubled[:5])}.")
