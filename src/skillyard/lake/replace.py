"""Newer results in place of older ones, and the mark on those an older fingerprint made."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pyarrow.compute as pc

from skillyard.errors import ValidationFailed
from skillyard.lake.lake import Lake
from skillyard.lake.manifest import Change, Manifest, Part, merged_schema, new_files, switch
from skillyard.lake.parts import Committed, conflict, fix_clocks
from skillyard.lake.read import READERS, read_file
from skillyard.lake.rows import by_day, conform, row_hash
from skillyard.lake.tables import Table


def replace_rows(lake: Lake, table: Table, rows: pa.Table, part: str) -> list[Committed]:
    """Add the rows; a row whose key the table holds already takes that row's place.

    Idempotent: the same part with the same logical rows is committed once, and a crashed try is completed; a part whose rows have
    been replaced by a later part since stays replaced. ``PublishConflict`` when the part was committed with other rows.
    """
    rows = fix_clocks(lake, table, conform(table, rows), part)
    if rows.num_rows == 0:
        return []
    _refuse_doubles(table, rows)
    wanted, was_known = row_hash(table, rows), False

    def decide(current: Manifest) -> Change | None:
        nonlocal was_known
        if part in current.parts:
            was_known = True
            if current.parts[part].row_hash != wanted:
                raise conflict(lake, f"{table.name}/_manifest.json", part)
            return None
        return _replacing(lake, table, current, rows, part, wanted)

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
        return Change(new_files(table, rows, f"stale-{fingerprint[:12]}"), frozenset(touched))

    switch(lake, table, decide)
    return n_changed


def _replacing(lake: Lake, table: Table, current: Manifest, rows: pa.Table, part: str, wanted: str) -> Change:
    """Return the change that adds the rows and rewrites, without the replaced ones, the files that held them."""
    is_replaced = _holds_key_of(table, rows)
    found = _of_every_file(lake, table, current, list(table.key), is_replaced)
    touched = [key for key, hits in found.items() if hits.num_rows]
    schema = merged_schema(table, current)
    kept = _load(lake, table, touched, schema).filter(~is_replaced)
    together = pa.concat_tables([kept, rows], promote_options="default").select(schema.names).cast(schema)
    files = new_files(table, together, part)
    n_of_day = {day: of_day.num_rows for day, of_day in by_day(table, rows)}
    own = {key: n for key in files for day, n in n_of_day.items() if f"/dt={day}/" in key}
    return Change(files, frozenset(touched), (part, Part(wanted, own)))


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
    counts = pc.value_counts(rows.column(name)).to_pylist()
    doubled = [str(found["values"]) for found in counts if found["counts"] > 1]
    if doubled:
        raise ValidationFailed(f"{table.name}: {len(doubled)} keys ({name}) occur twice in one part, such as {', '.join(doubled[:5])}.")
