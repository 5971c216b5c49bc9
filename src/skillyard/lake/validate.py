"""Values are checked before they are published: the table's great-expectations suite runs on the rows, and its outcome is on record.

Types, columns and nulls are the Arrow schema's part; a suite (``suites/<table>.json``, ``results.json`` for every table of results)
says what values may be.
"""

import json
import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from skillyard.errors import UnknownName, ValidationFailed
from skillyard.lake.lake import Lake
from skillyard.lake.quality import Outcome, write_docs
from skillyard.lake.rows import conform
from skillyard.lake.tables import Table

SUITES = Path(__file__).with_name("suites")
N_SAMPLES = 5
SHOWN_CHARS = 80


def validate(lake: Lake, table: Table, rows: pa.Table) -> None:
    """Run the table's suite on rows about to be published, write its data docs, and raise ``ValidationFailed`` if any part fails.

    Rows of another schema are a ``SchemaMismatch``. No rows: nothing to check, nothing is written.
    """
    rows = conform(table, rows)
    if rows.num_rows == 0:
        return
    outcomes = check(table, rows)
    page = write_docs(lake, table.name, rows.num_rows, outcomes, datetime.now(UTC))
    failed = [outcome for outcome in outcomes if not outcome.has_passed]
    if failed:
        raise ValidationFailed(
            f"{table.name}: {len(failed)} of {len(outcomes)} expectations failed on {rows.num_rows} rows; nothing of them was published. "
            f"{'. '.join(map(str, failed))}. The whole record: {page}"
        )


def check(table: Table, rows: pa.Table) -> list[Outcome]:
    """Return how each expectation of the table's suite fares on the rows."""
    suite = load_suite(table.name)
    mentioned = set(re.findall(r"\w+", json.dumps(suite["expectations"]))) | set(table.key)
    frame = rows.select([name for name in rows.column_names if name in mentioned]).to_pandas(integer_object_nulls=True)
    options = {"result_format": "SUMMARY", "partial_unexpected_count": N_SAMPLES, "unexpected_index_column_names": list(table.key)}
    with _great_expectations() as gx:
        from great_expectations.data_context.types.base import ProgressBarsConfig

        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = ProgressBarsConfig(globally=False)
        batch = context.data_sources.add_pandas("rows").add_dataframe_asset(suite["name"]).add_batch_definition_whole_dataframe("all")
        expectations = [getattr(gx.expectations, _class_name(e["type"]))(**e["kwargs"], notes=e["notes"]) for e in suite["expectations"]]
        checked = context.suites.add(gx.ExpectationSuite(name=suite["name"], expectations=expectations))
        definition = context.validation_definitions.add(gx.ValidationDefinition(name=suite["name"], data=batch, suite=checked))
        found = definition.run(batch_parameters={"dataframe": frame}, result_format=options)
    return [_outcome(table, result) for result in found.results]


def load_suite(table: str) -> dict[str, Any]:
    """Return a table's suite as it stands in the repository; all tables of results share one."""
    path = SUITES / f"{'results' if table.startswith('results/') else table}.json"
    if not path.is_file():
        raise UnknownName("suite", path.stem, (file.stem for file in SUITES.glob("*.json")))
    suite: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return suite


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


def _outcome(table: Table, result: Any) -> Outcome:
    config, found = result.expectation_config, result.result
    kwargs = config.kwargs
    columns = kwargs.get("column_list") or [kwargs[name] for name in ("column", "column_A", "column_B") if name in kwargs]
    samples = [_shown(table, list(columns), row) for row in found.get("partial_unexpected_index_list") or ()]
    raised = _raised(result.exception_info or {})
    return Outcome(
        config.type,
        ", ".join(columns),
        str(config.notes or ""),
        bool(result.success),
        int(found.get("unexpected_count") or 0),
        (*samples[:N_SAMPLES], *([f"it could not be evaluated: {raised}"] if raised else [])),
    )


def _shown(table: Table, columns: list[str], row: dict[str, Any]) -> str:
    """Return a row's key and offending values, cut short: a row may hold a page of somebody's text."""
    names = dict.fromkeys((*table.key, *columns))
    return " ".join(f"{name}={str(row[name])[:SHOWN_CHARS]}" for name in names if name in row)


def _raised(info: dict[str, Any]) -> str:
    """Return why an expectation could not be evaluated, empty if it could."""
    found = [info] if "raised_exception" in info else list(info.values())
    messages = [str(one.get("exception_message")) for one in found if isinstance(one, dict) and one.get("raised_exception")]
    return messages[0][:200] if messages else ""
