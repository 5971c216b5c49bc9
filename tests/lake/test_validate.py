"""Expectations: each suite accepts a good row, refuses bad ones by name, and leaves a page behind."""

import subprocess
import sys
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from skillyard.errors import SchemaMismatch, UnknownName, ValidationFailed
from skillyard.lake.expectations import SUITES, Expectation, Suite, load_suite
from skillyard.lake.known_tables import TABLES
from skillyard.lake.lake import Lake
from skillyard.lake.read import read
from skillyard.lake.results import to_results
from skillyard.lake.validate import Validation, check, validate
from tests.lake.rows import SHA, TAGS, example, pages, results

NOTHING_READ = {"n_pages": 0, "n_chars": 0, "n_chunks": 0}
BAD: list[tuple[str, dict[str, Any]]] = [
    ("documents", {"doc_id": "x", "uri": "a.pdf", "status": "lost", "size_bytes": -1, "language": "English", "kind": ""}),
    ("pages", {"page_no": 0, "n_chars": -1, "status": "none", "parser": "", "language": "EN"}),
    ("documents", {"parent_doc_id": "x", "metadata": "{author", "duplicate_of": "x", "n_chunks": -1}),
    ("documents", {"duplicate_of": SHA}),
    ("pages", {"rescue_level": 4, "ocr_confidence": 1.5}),
    ("pages", {"n_chars": 0}),
    ("chunks", {"n_tokens": 0}),
    ("chunks", {"n_tokens": 9000, "chunk_id": "x", "doc_id": "x", "chunk_no": 0, "language": "English"}),
    ("chunks", {"page_no": 3}),
    ("chunks", {"start_offset": 5, "end_offset": 5}),
    ("quality_checks", {"severity": "loud", "check_id": "", "n_rows": -1, "n_unexpected": -1, "rule": "", "check": "", "table": ""}),
    ("rejects", {"stage": "x", "error_kind": "Oh no", "error_message": "", "n_attempts": -1, "cost_usd": "-1", "tier": "x"}),
    ("rejects", {"skill": None, "fingerprint": None}),
    ("llm_calls", {"status": "lost", "attempt_no": 0, "tier": "none", "reasoning_tokens": 8, "team": "", "request_hash": "x"}),
    ("llm_calls", {"cost_usd": None}),
    ("llm_calls", {"lane": "slow", "max_tokens": 0, "purpose": "fun", "service_tier": "x", "idle_s": "9"}),
    ("audits", {"agreement": 1.5, "weight": 0.0, "tier": "cheap", "stratum": "", "cost_usd": "-1"}),
    ("audits", {"answer": None}),
    ("evals", {"case_id": "", "tier": "cheap", "cost_usd": "-1"}),
    ("quality_daily", {"retained_lower": 1.2, "target": -1.0, "n_audited_today": 50}),
    ("red_flags", {"flag": "Oh no", "message": "", "numbers": ""}),
    ("cost_daily", {"n_calls": -1, "direct_usd": "-0.000000000001", "tier": "cheap"}),
    ("savings_daily", {"routing_basis": "guessed", "baseline_usd": "-1", "method": ""}),
    ("unit_costs", {"n_results": 3, "waste_usd": "-1"}),
    ("budget_daily", {"tomorrow_usd": "3", "projected_lower_usd": "11", "n_days": -1}),
    ("anomalies", {"kind": "Oh no", "source": "x", "severity": "loud", "message": "", "numbers": ""}),
    ("reconciliations", {"provider": "x", "capture_rate": "1.5", "source": ""}),
    ("focus", {"ChargeCategory": "Fee", "x_Tier": "cheap", "x_Meter": "x", "ContractedUnitPrice": "-1", "x_CallCount": -1}),
    ("results", {"tier": "cheap", "route_score": 1.5, "n_attempts": -1, "cost_usd": "-1", "model": "", "page_no": 0, "chunk_no": 0}),
]


def test_every_table_has_a_suite_and_every_suite_a_table() -> None:
    assert {path.stem for path in SUITES.glob("*.json")} == {*TABLES, "results"}
    assert all(rule.notes and rule.severity in ("block", "warn") for name in (*TABLES, "results") for rule in load_suite(name))


@pytest.mark.parametrize("name", [*TABLES, "results"])
def test_a_suite_accepts_a_good_row(name: str) -> None:
    table, row = example(name)
    assert [str(o) for o in check(table, to_results(table, [row])) if not o.has_passed] == []


@pytest.mark.parametrize(("name", "changes"), BAD)
def test_a_suite_refuses_each_bad_value(name: str, changes: dict[str, Any]) -> None:
    table, row = example(name)
    failed = [o for o in check(table, to_results(table, [row | changes])) if not o.has_passed]
    assert set(changes) <= {column for o in failed for column in o.columns.split(", ")}


@pytest.mark.parametrize(
    ("name", "changes", "columns"),
    [
        ("documents", {"status": "unpacked"}, {"n_pages", "n_chars", "n_chunks"}),
        ("documents", {"status": "deleted", "n_pages": 0, "n_chars": 0}, {"n_chunks"}),
        ("pages", {"status": "no_text", "n_chars": 0, "ocr_confidence": 0.5}, {"ocr_confidence"}),
        ("pages", {"status": "no_text"}, {"n_chars"}),
    ],
)
def test_some_rules_hold_for_one_status_only(name: str, changes: dict[str, Any], columns: set[str]) -> None:
    table, row = example(name)
    assert {o.columns for o in check(table, to_results(table, [row | changes])) if not o.has_passed} == columns


def test_an_archive_that_holds_itself_is_told_and_stops_no_one(local_lake: Lake) -> None:
    table, row = example("documents")
    (warned,) = validate(local_lake, table, to_results(table, [row | {"parent_doc_id": SHA, "status": "unpacked"} | NOTHING_READ]))
    assert (warned.columns, warned.severity) == ("doc_id, parent_doc_id", "warn")


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
    rows = pages(8, text="secret " * 100, rescue_level=9)
    with pytest.raises(ValidationFailed) as raised:
        validate(lake, TABLES["pages"], rows)
    message = str(raised.value)
    assert "pages: 1 of" in message
    assert "expect_column_values_to_be_in_set on rescue_level" in message
    assert "8 unexpected" in message
    assert message.count(f"doc_id={SHA} page_no=") == 5
    assert "secret" not in message
    assert lake.storage.uri("_quality/pages.") in message


def test_a_long_offending_value_is_cut() -> None:
    failed = [o for o in check(TAGS, results(range(1), fingerprint="x" * 500)) if not o.has_passed]
    assert [o.samples for o in failed] == [(f"item_id=item-0000 fingerprint={'x' * 80}",)]


def test_keys_that_occur_twice_are_refused(local_lake: Lake) -> None:
    with pytest.raises(ValidationFailed, match="expect_compound_columns_to_be_unique on doc_id, page_no"):
        validate(local_lake, TABLES["pages"], pa.concat_tables([pages(2), pages(1)]))


def test_the_data_docs_show_the_newest_outcome_of_each_table(lake: Lake) -> None:
    with pytest.raises(ValidationFailed) as raised:
        validate(lake, TABLES["pages"], pages(1, parser=""))
    failed = lake.storage.get("_quality/pages.html").decode()
    validate(lake, TABLES["pages"], pages(3))
    validate(lake, TAGS, results(range(2)))
    passed, index = (lake.storage.get(f"_quality/{name}.html").decode() for name in ("pages", "index"))
    assert "They were not published." in failed
    assert "All is well." in passed
    assert "3 rows" in passed
    first = str(raised.value).rpartition("/")[2]
    assert lake.storage.get(f"_quality/{first}").decode() == failed
    assert f'href="{first}"' in passed
    assert all(f'href="{name}.html"' in index for name in ("pages", "results.tag-document.v1"))
    assert "http" not in passed + index
    assert "<script" not in passed + index


def test_only_the_last_validations_of_a_table_keep_a_page(local_lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("skillyard.lake.quality.N_HISTORY", 2)
    for n in range(1, 5):
        validate(local_lake, TABLES["pages"], pages(n))
    kept = [info.key for info in local_lake.storage.list("_quality/pages.")]
    assert len(kept) == 3
    assert "3 rows" in "".join(local_lake.storage.get(key).decode() for key in kept)


def test_every_check_of_a_validation_is_a_row_once_however_often_it_is_repeated(lake: Lake) -> None:
    for _ in range(2):
        validate(lake, TABLES["pages"], pages(3))
    rows = read(lake, "quality_checks").to_pylist()
    assert len(rows) == len(load_suite("pages"))
    assert {(row["table"], row["run_id"], row["n_rows"], row["has_passed"]) for row in rows} == {("pages", "run-1", 3, True)}


def test_a_blocked_validation_is_on_record_with_what_was_found(local_lake: Lake) -> None:
    with pytest.raises(ValidationFailed):
        validate(local_lake, TABLES["pages"], pages(2, parser=""))
    (row,) = read(local_lake, "quality_checks", where=~pc.field("has_passed")).to_pylist()
    assert (row["columns"], row["severity"], row["n_unexpected"]) == ("parser", "block", 2)
    assert f"doc_id={SHA} page_no=1" in row["message"]


def test_a_rule_that_warns_does_not_stop_the_publish_and_is_told(local_lake: Lake) -> None:
    rule = Expectation("expect_column_max_to_be_between", {"column": "total", "max_value": 10}, "small sums", severity="warn")
    validation = Validation(local_lake)
    validation.add(TAGS, results(range(2)), Suite((rule,)))
    (warned,) = validation.close()
    assert (warned.notes, warned.severity, warned.has_passed, warned.value) == ("small sums", "warn", False, 12.1)
    assert "Published, with warnings." in local_lake.storage.get("_quality/results.tag-document.v1.html").decode()


def test_rows_that_come_in_parts_are_one_validation(local_lake: Lake) -> None:
    validation = Validation(local_lake)
    for rows in (pages(3), pages(2, doc_id="x"), pages(4, doc_id="y")):
        validation.add(TABLES["pages"], rows)
    with pytest.raises(ValidationFailed, match=r"pages: 1 of .* failed on 9 rows.*6 unexpected"):
        validation.close()
    assert read(local_lake, "quality_checks").num_rows == len(load_suite("pages"))


def test_one_publish_names_what_is_wrong_in_each_of_its_tables(local_lake: Lake) -> None:
    validation = Validation(local_lake)
    validation.add(TABLES["pages"], pages(1, parser=""))
    validation.add(TAGS, results(range(1), model=""))
    rejects, row = example("rejects")
    validation.add(rejects, to_results(rejects, [row]))
    with pytest.raises(ValidationFailed, match=r"pages: 1 of .* results/tag-document/v1: 1 of") as raised:
        validation.close()
    assert "rejects:" not in str(raised.value)
    assert "another table of the same publish was refused" in local_lake.storage.get("_quality/rejects.html").decode()


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
