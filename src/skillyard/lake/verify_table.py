"""One table against itself: every file there, readable, with the table's schema, its day, its rows, and no row twice.

By default the footers and the columns of the key and the day are read. ``is_deep`` reads every column and computes the hash of the rows
anew: it costs about what hashing costs, and finds bytes that changed at rest.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from time import monotonic
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from skillyard.errors import SchemaMismatch
from skillyard.lake.contents import Contents, all_contents, find_contents
from skillyard.lake.drift import check_file_schema
from skillyard.lake.lake import Lake
from skillyard.lake.manifest import File, Manifest, day_of, load_manifest, places
from skillyard.lake.parquet import ROW_HASH
from skillyard.lake.problems import SHOWN, Findings
from skillyard.lake.row_keys import NONE, Hashes, doubled, key_hashes, key_texts
from skillyard.lake.rowhash import add_hashes, batch_hash
from skillyard.lake.tables import Table

UNDER_WAY = timedelta(minutes=10)
"""What a publish leaves behind for a moment is no problem yet."""
DEBRIS = timedelta(days=1)
BATCH_ROWS = 8_192
BUFFER_BYTES = 4 << 20
SAY_EVERY_S = 5
RESTORE = "Restore it from a backup or the bucket's versions; if its run is still below _runs/, publish that again."


@dataclass(slots=True)
class TableCheck:
    """The check of one table, and what it has counted."""

    lake: Lake
    name: str
    findings: Findings
    is_deep: bool
    say: Callable[[str], None]
    n_files: int = 0
    n_rows: int = 0

    def run(self) -> "TableCheck":
        """Check it all."""
        contents = all_contents(self.lake, self.name)
        manifest = load_manifest(self.lake, self.name)[0] or Manifest(contents.table.schema)
        self._check_objects(contents, manifest)
        self._check_staged(manifest)
        hashes, said_at = [NONE], monotonic()
        for key in contents.keys:
            hashes.append(self._check_file(contents.table, key, manifest.files.get(key)))
            if monotonic() - said_at > SAY_EVERY_S:
                said_at = monotonic()
                self.say(f"{self.name}: {self.n_files} of {len(contents.keys)} files, {self.n_rows} rows")
        self._check_doubles(contents, doubled(np.concatenate(hashes)))
        return self

    def _note(self, kind: str, key: str, message: str) -> None:
        self.findings.add(self.name, kind, key, message)

    def _check_objects(self, contents: Contents, manifest: Manifest) -> None:
        """Compare what lies in the table's folder with what makes the table."""
        listed = contents.listed or {}
        for key in contents.strays:
            is_superseded = key in manifest.superseded or key in manifest.removed
            if is_superseded and manifest.switched_at < datetime.now(UTC) - UNDER_WAY:
                advice = "a raw read shows its rows twice. The next publish or compaction of the table moves it away: start one."
                self._note("superseded_in_place", key, f"was replaced and is still in the table's folder: {advice}")
            elif not is_superseded and _is_old(listed[key].modified_at, UNDER_WAY):
                self._note("orphan", key, "belongs to no state of the table, and a raw read shows its rows. Move it away.")
        for found in self.lake.storage.list(f"{self.name}/"):
            parts = found.key.removeprefix(f"{self.name}/").split("/")
            is_file = len(parts) == 2 and parts[0].startswith("dt=") and parts[1].endswith(".parquet")
            if not is_file and not any(part.startswith("_") for part in parts):
                self._note("orphan", found.key, "is no file of a table: raw readers of the folder may fail at it. Move it away.")
        if contents.table.is_recomputed:
            for key in contents.keys:
                if not key.endswith("/part-0.parquet"):
                    self._note(
                        "orphan", key, "is a second object of a day that has exactly one, part-0: its rows are doubled. Move it away."
                    )

    def _check_staged(self, manifest: Manifest) -> None:
        for found in self.lake.storage.list(f"_staged/{self.name}/"):
            key = found.key.removeprefix("_staged/")
            if key in manifest.staged and manifest.switched_at < datetime.now(UTC) - UNDER_WAY:
                advice = "raw reads do not show its rows yet. The next publish of the table places it: start one."
                self._note("not_placed", key, f"is committed but lies in _staged/: {advice}")
            elif key not in manifest.staged and key not in manifest.files and _is_old(found.modified_at, DEBRIS):
                self._note("debris", found.key, "was left by a publish that died more than a day ago. Nothing needs it: delete it.")

    def _check_file(self, table: Table, key: str, named: File | None) -> Hashes:
        """Check one file; return its rows' keys."""
        self.n_files += 1
        for _ in places(key):  # somebody may move it away while we read, twice at most
            place = key
            try:
                with self._opened(key) as (place, source), pq.ParquetFile(source, buffer_size=BUFFER_BYTES, pre_buffer=False) as file:
                    return self._check_opened(table, key, named, place, file)
            except FileNotFoundError:
                lost = f"its {named.n_rows} rows are lost" if named else "its rows are lost"
                self._note("missing", key, f"is part of the table and is nowhere: {lost}. {RESTORE}")
            except SchemaMismatch as error:
                self._note("schema", key, str(error))
            except (OSError, pa.ArrowException) as error:
                if not self.lake.has(place):
                    continue
                self._note("unreadable", key, f"cannot be read: {error}. {RESTORE}")
            break
        return NONE

    def _check_opened(self, table: Table, key: str, named: File | None, place: str, file: pq.ParquetFile) -> Hashes:
        check_file_schema(file.schema_arrow, table.schema, self.lake.storage.uri(key))
        hashes = self._check_rows(table, key, file)
        self._check_place(key, place)
        self._check_footer(key, named, file)
        return hashes

    @contextmanager
    def _opened(self, key: str) -> Iterator[tuple[str, Any]]:
        """Open a file where it is at this moment."""
        for place in places(key) * 2:
            try:
                source = self.lake.filesystem.open_input_file(place)
            except FileNotFoundError:
                continue
            with source:
                yield place, source
            return
        raise FileNotFoundError(key)

    def _check_place(self, key: str, place: str) -> None:
        """Say when a file of the table lies among the superseded ones, unless somebody supersedes it just now."""
        if place == places(key)[2] and key in find_contents(self.lake, self.name).keys:
            self._note("displaced", key, f"lies in {place}: raw reads miss its rows. Copy it back to its place.")

    def _check_footer(self, key: str, named: File | None, file: pq.ParquetFile) -> None:
        found, said = file.metadata.num_rows, (file.metadata.metadata or {}).get(ROW_HASH.encode(), b"").decode()
        if named and named.n_rows != found:
            self._note("row_count", key, f"has {found} rows, the manifest says {named.n_rows}. {RESTORE}")
        if not said or (named and named.row_hash != said):
            wanted = f"the manifest says {named.row_hash}" if named else "every file of ours has one"
            self._note("row_hash", key, f"its footer has the row hash {said or '(none)'}, {wanted}: somebody else wrote it. {RESTORE}")

    def _check_rows(self, table: Table, key: str, file: pq.ParquetFile) -> Hashes:
        day, names = pa.scalar(date.fromisoformat(day_of(key)), pa.date32()), list(table.key)
        columns = None if self.is_deep else list(dict.fromkeys([*names, table.partition]))
        hashes, row_hashes, n_elsewhere, n_rows = [NONE], [], 0, 0
        for batch in file.iter_batches(BATCH_ROWS, columns=columns, use_threads=False):
            n_rows += batch.num_rows
            n_elsewhere += pc.sum(pc.not_equal(batch.column(table.partition), day)).as_py() or 0
            hashes.append(key_hashes(key_texts(batch, names)))
            if self.is_deep:
                row_hashes.append(batch_hash(table, pa.Table.from_batches([batch])))
        self.n_rows += n_rows
        if n_elsewhere:
            self._note(
                "wrong_day", key, f"{n_elsewhere} rows have another {table.partition} than its path: reads by day miss them. {RESTORE}"
            )
        said = (file.metadata.metadata or {}).get(ROW_HASH.encode(), b"").decode()
        if self.is_deep and said and add_hashes(row_hashes) != said:
            self._note("row_hash", key, f"its rows have the hash {add_hashes(row_hashes)}, its footer says {said}: they changed. {RESTORE}")
        return np.concatenate(hashes)

    def _check_doubles(self, contents: Contents, numbers: Hashes) -> None:
        """Look up the keys behind numbers that occurred twice."""
        if not len(numbers):
            return
        where: defaultdict[str, list[str]] = defaultdict(list)
        for key in contents.keys:
            for text in self._keys_of(contents.table, key, numbers):
                where[text].append(key)
        twice = {text: files for text, files in where.items() if len(files) > 1}
        for text, files in twice.items():
            names = ", ".join(contents.table.key)
            advice = "Two runs published it; delete the row that is wrong and report this: it must not happen."
            self._note("doubled", text, f"{names} occurs {len(files)} times, in {', '.join(sorted(set(files))[:3])}. {advice}")

    def _keys_of(self, table: Table, key: str, numbers: Hashes) -> Iterator[str]:
        try:
            with self._opened(key) as (_, source), pq.ParquetFile(source, pre_buffer=False) as file:
                for batch in file.iter_batches(BATCH_ROWS, columns=list(table.key), use_threads=False):
                    texts = key_texts(batch, table.key)
                    for position in np.flatnonzero(np.isin(key_hashes(texts), numbers))[: 100 * SHOWN]:
                        yield texts[position]
        except (OSError, pa.ArrowException):
            return  # said already


def _is_old(at: datetime, age: timedelta) -> bool:
    return at < datetime.now(UTC) - age
