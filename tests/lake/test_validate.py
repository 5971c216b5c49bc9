"""Expectations: each suite accepts a good row, refuses bad ones by name, and leaves a page behind."""

import subprocess
import sys
from typing import Any

import pyarrow as pa
import pytest

from skillyard.errors import SchemaMismatch, UnknownName, ValidationFailed
from skillyard.lake.lake import Lake
from skillyard.lake.results import to_results
from skillyard.lake.tables import TABLES
from skillyard.lake.validate import SUITES, check, load_suite, validate
from tests.lake.rows import SHA, TAGS, example, pages, results

BAD: list[tuple[str, dict[str, Any]]] = [
    ("documents", {"doc_id": "x", "uri": "a.pdf", "status": "lost", "size_bytes": -1, "language": "English", "kind": ""}),
    ("pages", {"page_no": 0, "n_chars": -1, "status": "none", "parser": "", "language": "EN"}),
    ("chunks", {"n_tokens": 0}),
    ("quality_checks", {"severity": "loud"}),
    ("rejects", {"stage": "x", "error_kind": "Oh no", "error_message": "", "n_attempts": -1, "cost_usd": "-1", "tier": "x"}),
    ("rejects", {"skill": None, "fingerprint": None}),
    ("llm_calls", {"status": "lost", "attempt_no": 0, "tier": "none", "reasoning_tokens": 8, "team": "", "request_hash": "x"}),
    ("llm_calls", {"cost_usd": None}),
    ("llm_calls", {"lane": "slow", "max_tokens": 0, "purpose": "fun"}),
    ("audits", {"agreement": 1.5, "weight": 0.0, "tier": "cheap", "stratum": "", "cost_usd": "-1"}),
    ("audits", {"answer": None}),
    ("evals", {"case_id": "", "tier": "cheap", "cost_usd": "-1"}),
    ("quality_daily", {"retained_lower": 1.2, "target": -1.0, "n_audited_today": 50}),
    ("red_flags", {"flag": "Oh no", "message": "", "numbers": ""}),
    ("cost_daily", {"n_calls": -1, "cost_usd": "-0.000000000001", "tier": "cheap"}),
    ("results", {"tier": "cheap", "route_score": 1.5, "n_attempts": -1, "cost_usd": "-1", "model": "", "page_no": 0}),
]


def test_every_table_has_a_suite_and_every_suite_a_table() -> None:
    assert {path.stem for path in SUITES.glob("*.json")} == {*TABLES, "results"}
    assert all(e["notes"] for name in (*TABLES, "results") for e in load_suite(name)["expectations"])


@pytest.mark.parametrize("name", [*TABLES, "results"])
def test_a_suite_accepts_a_good_row(name: str) -> None:
    table, row = example(name)
    assert [str(o) for o in check(table, to_results(table, [row])) if not o.has_passed] == []


@pytest.mark.parametrize(("name", "changes"), BAD)
def test_a_suite_refuses_each_bad_value(name: str, changes: dict[str, Any]) -> None:
    table, row = example(name)
    failed = [o for o in check(table, to_results(table, [row | changes])) if not o.has_passed]
    assert set(changes) <= {column for o in failed for column in o.columns.split(", ")}


def test_an_unknown_outcome_may_not_have_a_cost() -> None:
    table, row = example("llm_calls")
    failed = [o.expectation for o in check(table, to_results(table, [row | {"status": "unknown"}])) if not o.has_passed]
    assert failed == ["expect_column_values_to_be_null"]


@pytest.mark.parametrize(("name", "changes"), [("audits", {"agreement": 0.7}), ("evals", {"is_right": True})])
def test_an_answer_that_did_not_pass_its_checks_is_not_good(name: str, changes: dict[str, Any]) -> None:
    table, row = example(name)
    failed = [o.columns for o in check(table, to_results(table, [row | changes | {"has_passed": False}])) if not o.has_passed]
    assert failed == list(changes)


def test_a_failure_names_table_expectation_column_count_and_rows(lake: Lake) -> None:
    rows = pages(8, text="secret " * 100, n_chars=-5)
    with pytest.raises(ValidationFailed) as raised:
        validate(lake, TABLES["pages"], rows)
    message = str(raised.value)
    assert "pages: 1 of" in message
    assert "expect_column_values_to_be_between on n_chars" in message
    assert "8 unexpected" in message
    assert message.count(f"doc_id={SHA} page_no=") == 5
    assert "secret" not in message
    assert lake.storage.uri("_quality/pages.html") in message


def test_a_long_offending_value_is_cut() -> None:
    failed = [o for o in check(TAGS, results(range(1), fingerprint="x" * 500)) if not o.has_passed]
    assert [o.samples for o in failed] == [(f"item_id=item-0000 fingerprint={'x' * 80}",)]


def test_keys_that_occur_twice_are_refused(local_lake: Lake) -> None:
    with pytest.raises(ValidationFailed, match="expect_compound_columns_to_be_unique on doc_id, page_no"):
        validate(local_lake, TABLES["pages"], pa.concat_tables([pages(2), pages(1)]))


def test_the_data_docs_show_the_newest_outcome_of_each_table(lake: Lake) -> None:
    with pytest.raises(ValidationFailed):
        validate(lake, TABLES["pages"], pages(1, parser=""))
    failed = lake.storage.get("_quality/pages.html").decode()
    validate(lake, TABLES["pages"], pages(3))
    validate(lake, TAGS, results(range(2)))
    passed, index = (lake.storage.get(f"_quality/{name}.html").decode() for name in ("pages", "index"))
    assert 'class="failed"' in failed
    assert 'class="failed"' not in passed
    assert "3 rows" in passed
    assert all(f'href="{name}.html"' in index for name in ("pages", "results.tag-document.v1"))
    assert "http" not in passed.replace("https://", "http://").split("<style>")[0]
    assert "<script" not in passed + index


def test_a_page_shows_values_as_text_and_never_as_markup(local_lake: Lake) -> None:
    with pytest.raises(ValidationFailed):
        validate(local_lake, TAGS, results(range(1), fingerprint="<script>alert(1)</script>"))
    page = local_lake.storage.get("_quality/results.tag-document.v1.html").decode()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_rows_of_another_schema_are_refused_before_any_expectation(local_lake: Lake) -> None:
    with pytest.raises(SchemaMismatch):
        validate(local_lake, TABLES["pages"], pages(1).drop_columns(["text"]))
    assert list(local_lake.storage.list()) == []


def test_no_rows_leave_no_page(local_lake: Lake) -> None:
    validate(local_lake, TABLES["pages"], pages(0))
    assert list(local_lake.storage.list()) == []


def test_a_table_without_a_suite_is_refused() -> None:
    with pytest.raises(UnknownName, match="unknown suite"):
        load_suite("nothing")


def test_importing_the_lake_loads_nothing_heavy() -> None:
    code = (
        "import sys, skillyard.lake.validate, skillyard.lake.publish, skillyard.lake.read;"
        "print([m for m in ('great_expectations', 'pandas', 'boto3', 'pyarrow.dataset') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
