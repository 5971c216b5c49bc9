"""Rows for the tests of the lake, and raw reads of a table as an analyst does them."""

import warnings
from datetime import UTC, date, datetime
from decimal import Decimal
from importlib.resources import files
from typing import Any
from urllib.parse import urlsplit

import duckdb
import pandas as pd
import pyarrow as pa

from skillyard.lake.cost_tables import ANOMALIES, BUDGET_DAILY, COST_DAILY, RECONCILIATIONS, SAVINGS_DAILY, UNIT_COSTS
from skillyard.lake.focus_table import FOCUS
from skillyard.lake.known_tables import TABLES
from skillyard.lake.lake import Lake
from skillyard.lake.results import results_table, to_results
from skillyard.lake.tables import (
    AUDITS,
    CHUNKS,
    DOCUMENTS,
    EVALS,
    LLM_CALLS,
    PAGES,
    QUALITY_CHECKS,
    QUALITY_DAILY,
    RED_FLAGS,
    REJECTS,
    Table,
)

DAY = date(2026, 11, 20)
SHA = "ab" * 32
OUTPUT = {
    "type": "object",
    "additionalProperties": False,
    "required": ["tags", "total"],
    "properties": {
        "tags": {"type": "array", "items": {"type": "string"}, "description": "subjects"},
        "total": {"type": ["number", "null"], "x-decimal": True, "description": "sum to pay"},
    },
}
TAGS = results_table("tag-document", 1, OUTPUT)


def moment(day: date) -> datetime:
    """Return noon of a day, UTC."""
    return datetime(day.year, day.month, day.day, 12, tzinfo=UTC)


def pages(n: int, day: date = DAY, **changes: Any) -> pa.Table:
    """Return n pages of one document."""
    row = {"doc_id": SHA, "text": "Hello", "n_chars": 5, "language": "en", "status": "text", "parser": "plain", "run_id": "run-1"}
    row |= {"rescue_level": 0, "headings": [], "tables": []}
    return to_results(PAGES, [row | {"page_no": i + 1, "ingested_on": day} | changes for i in range(n)])


def results(items: range, day: date = DAY, fingerprint: str = SHA, table: Table = TAGS, **changes: Any) -> pa.Table:
    """Return one result for each item."""
    row = {
        "doc_id": SHA,
        "uri": "file:///inbox/a.pdf",
        "tags": ["billing"],
        "total": Decimal("12.10"),
        "fingerprint": fingerprint,
        "is_stale": False,
        "tier": "fast",
        "model": "embedded/small",
        "route_reason": "floor",
        "route_score": 0.1,
        "router_version": "heuristic",
        "n_attempts": 1,
        "n_escalations": 0,
        "cost_usd": Decimal("0.0000000375"),
        "run_id": "run-1",
        "produced_at": moment(day),
        "produced_on": day,
    }
    return to_results(table, [row | {"item_id": f"item-{i:04d}"} | changes for i in items])


def example(name: str) -> tuple[Table, dict[str, Any]]:
    """Return a table and one row that its suite accepts."""
    if name == "results":
        return TAGS, results(range(1)).to_pylist()[0]
    rows: dict[str, dict[str, Any]] = {
        DOCUMENTS.name: {
            "doc_id": SHA,
            "uri": "file:///inbox/a.pdf",
            "kind": "pdf",
            "mime_type": "application/pdf",
            "size_bytes": 10,
            "etag": "e",
            "n_pages": 1,
            "n_chars": 5,
            "n_chunks": 1,
            "status": "parsed",
            "run_id": "run-1",
            "ingested_at": moment(DAY),
            "ingested_on": DAY,
        },
        PAGES.name: pages(1).to_pylist()[0],
        CHUNKS.name: {
            "chunk_id": SHA,
            "doc_id": SHA,
            "chunk_no": 1,
            "page_no": 1,
            "start_offset": 0,
            "last_page_no": 1,
            "end_offset": 5,
            "text": "Hello",
            "n_tokens": 2,
            "run_id": "run-1",
            "ingested_on": DAY,
        },
        QUALITY_CHECKS.name: {
            "check_id": "v-1:1",
            "table": "pages",
            "check": "expect_column_values_to_be_between",
            "columns": "page_no",
            "rule": "pages count from 1",
            "severity": "block",
            "has_passed": True,
            "n_rows": 1,
            "n_unexpected": 0,
            "checked_at": moment(DAY),
            "checked_on": DAY,
        },
        REJECTS.name: {
            "run_id": "run-1",
            "stage": "answer",
            "item_id": SHA,
            "doc_id": SHA,
            "skill": "tag-document",
            "fingerprint": SHA,
            "tier": "expert",
            "error_kind": "schema_error",
            "error_message": "no tags",
            "n_attempts": 3,
            "cost_usd": "0.01",
            "rejected_at": moment(DAY),
            "rejected_on": DAY,
        },
        LLM_CALLS.name: call("call-1"),
        COST_DAILY.name: cost("tag-document", 1),
        SAVINGS_DAILY.name: {
            "usage_date": DAY,
            "team": "records",
            "skill": "tag-document",
            "tier": "fast",
            "n_served": 1,
            "n_cached": 0,
            "cost_usd": "0.01",
            "baseline_usd": "0.1",
            "routing_saved_usd": "0.09",
            "cache_saved_usd": "0",
            "batch_saved_usd": "0",
            "routing_basis": "modelled",
            "cache_basis": "measured",
            "batch_basis": "measured",
            "n_audited": 0,
            "expert_ratio": "10",
            "method": "m/1",
        },
        UNIT_COSTS.name: {
            "usage_date": DAY,
            "team": "records",
            "skill": "tag-document",
            "fingerprint": SHA,
            **dict.fromkeys(("n_documents", "n_pages", "n_items", "n_results", "n_calls"), 2),
            "n_rejects": 0,
            "cost_usd": "0.01",
            "direct_usd": "0.01",
            "waste_usd": "0",
            "shared_usd": "0",
            "allocated_usd": "0",
        },
        BUDGET_DAILY.name: {
            "usage_date": DAY,
            "team": "records",
            "skill": "*",
            "month_to_date_usd": "1",
            "n_days": 10,
            "method": "m/1",
            "tomorrow_usd": "1",
            "tomorrow_lower_usd": "0.5",
            "tomorrow_upper_usd": "2",
            "projected_usd": "10",
            "projected_lower_usd": "9",
            "projected_upper_usd": "12",
        },
        ANOMALIES.name: {
            "anomaly_id": "a",
            "usage_date": DAY,
            "kind": "spend",
            "source": "cost",
            "team": "*",
            "skill": "*",
            "model": "*",
            "severity": "warn",
            "message": "much",
            "numbers": "{}",
        },
        RECONCILIATIONS.name: {
            "reconciliation_id": "r",
            "provider": "openai",
            "source": "api",
            "usage_date": DAY,
            "model": "m",
            "n_calls": 1,
            "n_unknown": 0,
            "tier": "fast",
            **dict.fromkeys(("unknown_reserved_usd", "ledger_usd", "billed_usd"), "0"),
            **dict.fromkeys(("missing_usd", "price_usd", "rounding_usd", "unexplained_usd"), "0"),
            "capture_rate": "1",
            "message": "agrees",
            "reconciled_at": moment(DAY),
        },
        FOCUS.name: focus(),
        AUDITS.name: audit("item-1", "fast"),
        EVALS.name: {
            **dict.fromkeys(("eval_id", "skill", "case_id", "text", "model"), "x"),
            "fingerprint": SHA,
            "tier": "fast",
            "has_passed": True,
            "is_right": False,
            "message": "tags: found []",
            "cost_usd": "0.01",
            "evaluated_at": moment(DAY),
            "evaluated_on": DAY,
        },
        QUALITY_DAILY.name: {
            "usage_date": DAY,
            "skill": "tag-document",
            "router_version": "heuristic",
            "n_audited": 40,
            "n_audited_today": 20,
            "retained": 0.97,
            "retained_lower": 0.93,
            "retained_upper": 0.99,
            "target": 0.95,
            "audit_cost_usd": "0.2",
        },
        RED_FLAGS.name: {
            "usage_date": DAY,
            "flag": "expert_share",
            "skill": "*",
            "message": "much",
            "value": 0.4,
            "bound": 0.3,
            "numbers": "{}",
        },
    }
    return TABLES[name], rows[name]


def call(call_id: str, **changes: Any) -> dict[str, Any]:
    """Return one settled attempt."""
    text = dict.fromkeys(("operation_id", "run_id", "dag_id", "skill", "team", "item_id", "doc_id", "model", "deployment"), "x")
    counts = dict.fromkeys(
        (
            "input_tokens",
            "cache_read_tokens",
            "cache_write_tokens",
            "output_tokens",
            "reasoning_tokens",
            "cache_write_1h_tokens",
            "n_images",
        ),
        7,
    )
    money = {"compute_s": "0.5", "idle_s": "0.1", "reserved_usd": "0.1", "cost_usd": "0.05", "saved_usd": "0", "price_ids": "p1"}
    own = {
        "call_id": call_id,
        "fingerprint": SHA,
        "request_hash": SHA,
        "attempt_no": 1,
        "sample_no": 0,
        "tier": "fast",
        "lane": "live",
        "service_tier": "standard",
        "purpose": "answer",
        "max_tokens": 256,
        "status": "settled",
    }
    return text | counts | money | own | {"sent_at": moment(DAY), "usage_date": DAY} | changes


def focus(**changes: Any) -> dict[str, Any]:
    """Return a row of the bill in FOCUS: 7 tokens of input."""
    text = {f.name: "x" for f in FOCUS.schema if pa.types.is_string(f.type) and not f.nullable}
    cost = dict.fromkeys(("BilledCost", "ContractedCost", "EffectiveCost", "ListCost", "PricingCurrencyEffectiveCost"), "0.0000007")
    price = dict.fromkeys(("ContractedUnitPrice", "ListUnitPrice"), "0.0000001") | dict.fromkeys(
        ("PricingQuantity", "ConsumedQuantity"), "7"
    )
    said = {"ChargeCategory": "Usage", "ChargeFrequency": "Usage-Based", "BillingCurrency": "USD", "x_Tier": "fast", "x_Meter": "input"}
    period = {f"{name}Period{end}": moment(DAY) for name in ("Billing", "Charge") for end in ("Start", "End")}
    own = {"x_UsageDate": DAY, "x_Use": "served", "x_CallCount": 1, "x_DocumentCount": 1}
    return text | cost | price | said | period | own | changes


def audit(item_id: str, tier: str, **changes: Any) -> dict[str, Any]:
    """Return one tier's row of an audited item."""
    text = dict.fromkeys(("audit_id", "skill", "doc_id", "result_run_id", "model", "stratum", "router_version"), "x")
    own = {"item_id": item_id, "fingerprint": SHA, "tier": tier, "is_served": tier == "fast", "route_score": 0.1, "weight": 5.0}
    said = {"has_passed": True, "agreement": 1.0, "field_agreement": "{}", "answer": "{}", "expert_answer": "{}"}
    money = {"cost_usd": "0.01", "audit_cost_usd": "0", "audited_at": moment(DAY), "audited_on": DAY}
    return text | own | said | money | changes


def cost(skill: str, n_calls: int) -> dict[str, Any]:
    """Return a row of the daily bill."""
    zero = {f.name: 0 for f in COST_DAILY.schema if not pa.types.is_string(f.type)}
    key = {"usage_date": DAY, "team": "records", "skill": skill, "tier": "fast", "model": "m", "dag_id": "cli", "purpose": "answer"}
    return zero | key | {"n_calls": n_calls, "cost_usd": Decimal(n_calls) / 1000}


def with_pandas(lake: Lake, table: str) -> pd.DataFrame:
    """Return what ``pd.read_parquet`` makes of the table's folder."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pandas about pandas
        if lake.url.startswith("s3://"):
            return pd.read_parquet(table, filesystem=lake.filesystem)
        return pd.read_parquet(f"{lake.url.removeprefix('file://')}/{table}")


def with_duckdb(lake: Lake, table: str, environment: dict[str, str]) -> list[dict[str, Any]]:
    """Return what DuckDB's ``read_parquet`` makes of the table's files."""
    connection = duckdb.connect()
    url = lake.url.removeprefix("file://")
    if url.startswith("s3://"):
        _let_duckdb_in(connection, environment)
    found: pa.Table = connection.sql(f"select * from read_parquet('{url}/{table}/*/*.parquet')").arrow().read_all()
    return found.to_pylist()  # type: ignore[no-any-return]


def _let_duckdb_in(connection: duckdb.DuckDBPyConnection, environment: dict[str, str]) -> None:
    wheel = files("duckdb_extension_httpfs") / "extensions" / f"v{duckdb.__version__}" / "httpfs.duckdb_extension"
    connection.load_extension(str(wheel))
    connection.execute(
        "create secret (type s3, key_id ?, secret ?, endpoint ?, url_style 'path', use_ssl false, region 'us-east-1')",
        [environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"], urlsplit(environment["AWS_ENDPOINT_URL"]).netloc],
    )
