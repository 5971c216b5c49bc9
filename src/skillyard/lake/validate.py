"""Rows are checked before they are published: their values by the table's great-expectations suite, a run beside the runs before it.

Types, columns and nulls are the Arrow schema's part. A rule that blocks raises before anything is published; one that warns is told to the
caller. Either way every outcome is a row of ``quality_checks`` and stands on the table's page below ``_quality/``.
"""

import hashlib
import os
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from importlib import import_module
from numbers import Real
from threading import Thread
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from skillyard.errors import ValidationFailed
from skillyard.lake import profiles
from skillyard.lake.expectations import Expectation, Suite, load_suite
from skillyard.lake.flatten import flatten, frame_of
from skillyard.lake.lake import Lake
from skillyard.lake.profiles import Run
from skillyard.lake.publish import append
from skillyard.lake.quality import Outcome, Record, write_docs
from skillyard.lake.rows import conform, row_hash
from skillyard.lake.tables import QUALITY_CHECKS, Table
from skillyard.lake.trends import TRACKED, TRENDS, Finding, Profile, compare, profile_of

N_SAMPLES = 5
SHOWN_CHARS = 80
QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")


def validate(lake: Lake, table: Table, rows: pa.Table) -> list[Outcome]:
    """Check rows of one table about to be published; return the rules that warn, raise ``ValidationFailed`` where one blocks."""
    validation = Validation(lake)
    validation.add(table, rows)
    return validation.close()


def import_ahead() -> None:
    """Import great_expectations in a thread of its own: it takes seconds, which whoever waits for a store or for workers has."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    Thread(target=import_module, args=("great_expectations",), daemon=True).start()


class Validation:
    """The checks of one publish: ``add`` the rows of its tables, in as many parts as they come in, then ``close``.

    With a ``run_id`` the run is also compared with those before it, where the table is one that is compared.
    """

    def __init__(self, lake: Lake, run_id: str | None = None) -> None:
        self._lake, self._run_id = lake, run_id
        self._tables: dict[str, _Checked] = {}

    def add(self, table: Table, rows: pa.Table, suite: Suite | None = None, shares: Mapping[str, tuple[int, int]] | None = None) -> None:
        """Check the values of rows of a table; ``SchemaMismatch`` when they are of another schema.

        ``suite``: a skill's own rules beside the table's. ``shares``: more of the run's shares to compare: how many, of how many.
        """
        rows = conform(table, rows)
        known = self._tables.setdefault(table.name, _Checked(table, suite or TRACKED.get(table.name)))
        known.add(rows, shares or {})

    def close(self) -> list[Outcome]:
        """Put every outcome on record; return the rules that warn and were broken, raise ``ValidationFailed`` when one blocks."""
        now = datetime.now(UTC)
        checked = {name: known for name, known in self._tables.items() if known.has_numbers}
        compared = {name: self._compared(known, now) for name, known in checked.items()}
        outcomes = {name: [*known.outcomes, *compared[name].outcomes] for name, known in checked.items()}
        broken = {name: [o for o in found if not o.has_passed] for name, found in outcomes.items()}
        is_blocked = any(o.severity == "block" for found in broken.values() for o in found)
        for name, one in compared.items():
            if one.run is not None:
                run = replace(one.run, is_blocked=is_blocked)
                profiles.record(self._lake, name, checked[name].part, run, one.findings)
        pages = {name: self._publish(known, outcomes[name], now, not is_blocked) for name, known in checked.items()}
        if is_blocked:
            raise ValidationFailed(" ".join(self._failure(checked[name], outcomes[name], pages[name]) for name in checked if broken[name]))
        return [outcome for found in broken.values() for outcome in found]

    def _compared(self, known: "_Checked", now: datetime) -> "_Compared":
        """Return how the run's rows of one table stand beside the runs before it."""
        if self._run_id is None or known.suite is None:
            return _Compared(None, [], [])
        runs = profiles.load_runs(self._lake, known.table.name)
        run = profiles.with_part(runs, self._run_id, f"{now:%Y-%m-%d %H:%M:%S} UTC", known.part, known.profile)
        findings = compare(run.profile, profiles.earlier(runs, self._run_id), known.suite.is_counted)
        blocking = frozenset() if run.is_accepted else known.suite.blocking
        return _Compared(run, findings, [_of_finding(finding, blocking) for finding in findings])

    def _publish(self, known: "_Checked", outcomes: Sequence[Outcome], now: datetime, is_published: bool) -> str:
        """Write the outcomes of one table to ``quality_checks`` and its pages; return the address of this validation's page."""
        run_id = self._run_id or (next(iter(known.run_ids)) if len(known.run_ids) == 1 else None)
        record = Record(known.table.name, run_id, now, known.n_rows, tuple(outcomes), known.part, is_published)
        if outcomes:
            append(self._lake, QUALITY_CHECKS, record.rows(), f"check-{record.name}")
        return write_docs(self._lake, record, profiles.load_runs(self._lake, known.table.name))

    def _failure(self, known: "_Checked", outcomes: Sequence[Outcome], page: str) -> str:
        broken = [outcome for outcome in outcomes if not outcome.has_passed]
        advice = (
            f" Look at it; if this is how it is from now on: skillyard quality accept {known.table.name} {self._run_id}, then run it again."
            if any(outcome.expectation in TRENDS and outcome.severity == "block" for outcome in broken)
            else ""
        )
        return (
            f"{known.table.name}: {len(broken)} of {len(outcomes)} checks failed on {known.n_rows} rows; nothing of them was published. "
            f"{'. '.join(map(str, broken))}. The whole record: {page}{advice}"
        )


@dataclass(slots=True)
class _Checked:
    """What is known so far of one table's rows."""

    table: Table
    suite: Suite | None
    n_rows: int = 0
    part: str = ""
    """The sha256 of the rows' keys: the same rows have the same name."""
    run_ids: set[str] = field(default_factory=set)
    outcomes: list[Outcome] = field(default_factory=list)
    profile: Profile = field(default_factory=Profile)

    @property
    def has_numbers(self) -> bool:
        return bool(self.n_rows) or any(of for _, of in self.profile.shares.values())

    def add(self, rows: pa.Table, shares: Mapping[str, tuple[int, int]]) -> None:
        found = profile_of(self.table.name, rows, self.suite or Suite())
        self.profile += replace(found, shares={**found.shares, **shares})
        self.n_rows += rows.num_rows
        keys = row_hash(self.table, rows.select(list(self.table.key)))
        self.part = hashlib.sha256(f"{self.part}{self.table.name}{keys}".encode()).hexdigest()[:16]
        if rows.num_rows == 0:
            return
        if "run_id" in rows.column_names:
            self.run_ids |= set(pc.unique(rows.column("run_id")).to_pylist())
        outcomes = check(self.table, rows, self.suite)
        self.outcomes = [a + b for a, b in zip(self.outcomes, outcomes, strict=True)] if self.outcomes else outcomes


@dataclass(frozen=True, slots=True)
class _Compared:
    """A run beside the runs before it; no run where none was named."""

    run: Run | None
    findings: list[Finding]
    outcomes: list[Outcome]


def check(table: Table, rows: pa.Table, suite: Suite | None = None) -> list[Outcome]:
    """Return how each expectation of the table's suite, and of a skill's own, fares on the rows."""
    expectations = [*load_suite(table.name), *(suite.expectations if suite else ())]
    by_frame: dict[str, list[Expectation]] = {}
    for expectation in expectations:
        by_frame.setdefault(frame_of(rows, expectation.columns), []).append(expectation)
    with _great_expectations() as gx:
        return [outcome for frame, of_frame in by_frame.items() for outcome in _check_frame(gx, table, rows, frame, of_frame)]


def _check_frame(gx: Any, table: Table, rows: pa.Table, frame: str, expectations: list[Expectation]) -> list[Outcome]:
    """Check the columns below one list, or those of the table itself. Only columns that a rule mentions are made pandas columns."""
    from great_expectations.data_context.types.base import ProgressBarsConfig

    asked = {word for one in expectations for word in re.findall(r"\w+", QUOTED.sub("", one.kwargs.get("row_condition", "")))}
    wanted = dict.fromkeys([*table.key, *(c for one in expectations for c in one.columns), *sorted(asked & set(rows.column_names))])
    flat = flatten(rows, frame, wanted)
    if flat.num_rows == 0:
        return [_passed(one) for one in expectations]
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    batch = context.data_sources.add_pandas("rows").add_dataframe_asset("rows").add_batch_definition_whole_dataframe("all")
    rules = [
        getattr(gx.expectations, _class_name(one.type))(**one.kwargs, notes=one.notes, meta={"number": number})
        for number, one in enumerate(expectations)
    ]
    checked = context.suites.add(gx.ExpectationSuite(name="rows", expectations=rules))
    definition = context.validation_definitions.add(gx.ValidationDefinition(name="rows", data=batch, suite=checked))
    options = {"result_format": "SUMMARY", "partial_unexpected_count": N_SAMPLES, "unexpected_index_column_names": list(table.key)}
    frame_of_pandas = flat.to_pandas(integer_object_nulls=True)
    found = definition.run(batch_parameters={"dataframe": frame_of_pandas}, result_format=options).results
    by_number = {result.expectation_config.meta["number"]: result for result in found}
    return [_outcome(table, one, by_number[number]) for number, one in enumerate(expectations)]


@contextmanager
def _great_expectations() -> Iterator[Any]:
    """Give the package, imported late (seconds) and kept from phoning home; its warnings about itself are not ours."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import great_expectations as gx

        yield gx


def _class_name(kind: str) -> str:
    return "".join(word.capitalize() for word in kind.split("_"))


def _passed(rule: Expectation) -> Outcome:
    return Outcome(rule.type, ", ".join(rule.columns), rule.notes, True, 0, (), rule.severity)


def _outcome(table: Table, rule: Expectation, result: Any) -> Outcome:
    found = result.result
    samples = [_shown(table, rule.columns, row) for row in found.get("partial_unexpected_index_list") or ()]
    raised = _raised(result.exception_info or {})
    observed = found.get("observed_value")
    return replace(
        _passed(rule),
        has_passed=bool(result.success),
        n_unexpected=int(found.get("unexpected_count") or 0),
        samples=(*samples[:N_SAMPLES], *([f"it could not be evaluated: {raised}"] if raised else [])),
        value=float(observed) if isinstance(observed, Real | Decimal) else None,
    )


def _of_finding(finding: Finding, blocking: frozenset[str]) -> Outcome:
    severity = "block" if finding.check in blocking else "warn"
    said, rule = (finding.message,), TRENDS[finding.check]
    return Outcome(finding.check, finding.column, rule, finding.has_passed, 0, said, severity, finding.value, finding.bound)


def _shown(table: Table, columns: list[str], row: dict[str, Any]) -> str:
    """Return a row's key and offending values, cut short: a row may hold a page of somebody's text."""
    names = dict.fromkeys((*table.key, *columns))
    return " ".join(f"{name}={str(row[name])[:SHOWN_CHARS]}" for name in names if name in row)


def _raised(info: dict[str, Any]) -> str:
    """Return why an expectation could not be evaluated, empty if it could."""
    found = [info] if "raised_exception" in info else list(info.values())
    messages = [str(one.get("exception_message")) for one in found if isinstance(one, dict) and one.get("raised_exception")]
    return messages[0][:200] if messages else ""
