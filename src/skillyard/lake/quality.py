"""What a validation found, on record: rows of ``quality_checks``, and the data docs, a static site under ``_quality/``.

The site has an index, a page per table with its newest validation, and the page of each of the last validations.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

import pyarrow as pa

from skillyard.errors import StorageError
from skillyard.lake.lake import Lake
from skillyard.lake.profiles import Run
from skillyard.lake.tables import QUALITY_CHECKS

INDEX = "_quality/tables.json"
INDEX_TRIES = 20
N_HISTORY = 20
N_SAMPLES = 5


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one check fared."""

    expectation: str
    columns: str
    notes: str
    """The rule in a sentence, as the suite has it."""
    has_passed: bool
    n_unexpected: int
    samples: tuple[str, ...]
    """Keys and offending values of some rows, or what was found beside earlier runs."""
    severity: str = "block"
    value: float | None = None
    """The number that was looked at, where it is one."""
    bound: float | None = None
    """What it may not cross."""

    def __add__(self, other: "Outcome") -> "Outcome":
        """Return the outcome of the same check on more rows of the same publish."""
        samples = (*self.samples, *other.samples)[:N_SAMPLES]
        has_passed, n_unexpected = self.has_passed and other.has_passed, self.n_unexpected + other.n_unexpected
        return replace(other, has_passed=has_passed, n_unexpected=n_unexpected, samples=samples)

    def __str__(self) -> str:
        shown = f", such as {'; '.join(self.samples)}" if self.samples else ""
        found = f"{self.n_unexpected} unexpected" if self.value is None else f"{self.value:.4g} found"
        found += "" if self.bound is None else f", the bound is {self.bound:.4g}"
        where = f" on {self.columns}" if self.columns else ""
        return f"{self.expectation}{where} ({self.notes}): {found}{shown}"


@dataclass(frozen=True, slots=True)
class Record:
    """One validation of one table."""

    table: str
    run_id: str | None
    at: datetime
    n_rows: int
    outcomes: tuple[Outcome, ...]
    rows_name: str
    """Names the rows that were checked."""
    is_published: bool = True
    """False when a check of these rows, or of another table in the same publish, blocked it."""

    @property
    def name(self) -> str:
        """The same for the same outcome of the same rows, whenever they are checked: a repeated publish is recorded once."""
        said = [self.table, self.run_id, self.n_rows, self.rows_name, [asdict(outcome) for outcome in self.outcomes]]
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def page(self) -> str:
        """Its page below ``_quality/``."""
        return f"{page_of(self.table).removesuffix('.html')}.{self.name}.html"

    def n_failed(self, severity: str) -> int:
        """Return how many checks of a severity failed."""
        return sum(not outcome.has_passed and outcome.severity == severity for outcome in self.outcomes)

    def rows(self) -> pa.Table:
        """Return it as rows of ``quality_checks``."""
        same = {"table": self.table, "run_id": self.run_id, "n_rows": self.n_rows, "checked_at": self.at, "checked_on": self.at.date()}
        name = self.name
        rows = [
            {
                "check_id": f"{name}:{number:03d}",
                "check": outcome.expectation,
                "columns": outcome.columns,
                "rule": outcome.notes,
                "severity": outcome.severity,
                "has_passed": outcome.has_passed,
                "n_unexpected": outcome.n_unexpected,
                "value": outcome.value,
                "bound": outcome.bound,
                "message": "; ".join(outcome.samples) or None,
            }
            | same
            for number, outcome in enumerate(self.outcomes)
        ]
        return pa.Table.from_pylist(rows, schema=QUALITY_CHECKS.schema)

    def line(self) -> dict[str, Any]:
        """Return it as it stands in the list of validations."""
        n_failed = {"n_blocking": self.n_failed("block"), "n_warning": self.n_failed("warn")}
        size = {"n_rows": self.n_rows, "n_checks": len(self.outcomes)}
        return {"page": self.page, "run_id": self.run_id, "at": f"{self.at:%Y-%m-%d %H:%M:%S} UTC"} | size | n_failed


def write_docs(lake: Lake, record: Record, runs: Sequence[Run]) -> str:
    """Write the validation's page, also as its table's newest, and its line in the index; return the URL of the page."""
    from skillyard.lake.quality_pages import render_index, render_page

    tables, forgotten = _note(lake, record)
    page = render_page(record, runs, tables[record.table]).encode()
    for name in (record.page, page_of(record.table)):
        lake.storage.put(f"_quality/{name}", page)
    for name in forgotten:
        lake.storage.delete(f"_quality/{name}")
    lake.storage.put("_quality/index.html", render_index(tables).encode())
    return lake.storage.uri(f"_quality/{record.page}")


def page_of(table: str) -> str:
    """Return the page of a table's newest validation."""
    return f"{table.replace('/', '.')}.html"


def _note(lake: Lake, record: Record) -> tuple[dict[str, list[dict[str, Any]]], list[str]]:
    """Put a line into the list of validations, whoever else does so at the same time; return the list and the pages that leave it."""
    line = record.line()
    for _ in range(INDEX_TRIES):
        found = lake.storage.head(INDEX)
        tables: dict[str, list[dict[str, Any]]] = lake.read_json(INDEX) if found else {}
        lines = [line, *(old for old in tables.get(record.table, []) if old["page"] != record.page)]
        tables[record.table] = lines[:N_HISTORY]
        data = json.dumps(tables, sort_keys=True, indent=1).encode()
        if lake.storage.replace_if_match(INDEX, data, found.etag if found else None):
            return tables, [old["page"] for old in lines[N_HISTORY:]]
    raise StorageError(f"{lake.storage.uri(INDEX)} was changed by others {INDEX_TRIES} times while this run tried to: try again.")
