"""What is asked of a day of the ledger, in DuckDB's SQL: its lines, its items, its documents, and what is odd about it.

``ledger`` is what the files of the day hold, ``nearby`` the same and the day after; ``calls`` are the rows of ``ledger`` that count.
Texts that are only told apart and counted are compared by their 64-bit hash.
"""

from collections.abc import Mapping
from datetime import date, datetime

AMOUNTS = (
    "input_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "output_tokens",
    "reasoning_tokens",
    "n_images",
    "compute_s",
    "idle_s",
    "reserved_usd",
    "saved_usd",
)
"""What is never negative."""
_PROMPT = "input_tokens + cache_read_tokens + cache_write_tokens + cache_write_1h_tokens"
_NEGATIVE = f"(least({', '.join(AMOUNTS)}) < 0 OR (cost_usd < 0 AND status <> 'correction'))"

LATER = """
CREATE OR REPLACE TEMP TABLE later AS
SELECT operation_id, max(attempt_no) AS last_no FROM nearby
WHERE status = 'settled' AND purpose = 'answer' AND attempt_no > 1 GROUP BY operation_id
"""
REJECTED = """
CREATE OR REPLACE TEMP TABLE rejected AS
SELECT DISTINCT run_id, skill, item_id, true AS is_rejected FROM rejects WHERE stage = 'answer' AND skill IS NOT NULL
"""
PAGES = """
CREATE OR REPLACE TEMP TABLE pages AS
SELECT hash(doc_id) AS document, arg_max(n_pages, ingested_at) AS n_pages FROM documents WHERE status = 'parsed' GROUP BY ALL
"""
WORK = """
CREATE OR REPLACE TEMP VIEW work AS
SELECT calls.*, coalesce(is_rejected, false) AS is_rejected, CASE
    WHEN status = 'correction' THEN 'correction'
    WHEN status <> 'settled' THEN 'none'
    WHEN purpose NOT IN ('answer', 'vote') THEN 'shared'
    WHEN purpose = 'answer' AND last_no > attempt_no THEN 'repeated'
    WHEN is_rejected THEN 'rejected'
    ELSE 'served' END AS use
FROM calls LEFT JOIN later USING (operation_id) LEFT JOIN rejected USING (run_id, skill, item_id)
"""
ITEMS = """
SELECT team, skill, tier, model, dag_id, purpose, count(*) AS n_items
FROM (SELECT DISTINCT team, skill, tier, model, dag_id, purpose, hash(item_id) FROM calls) GROUP BY ALL ORDER BY ALL
"""
UNITS = """
WITH answered AS (
    SELECT team, skill, fingerprint, hash(item_id) AS item, hash(doc_id) AS document,
        bool_or(NOT is_rejected AND (use = 'served' OR status = 'cached')) AS is_result, bool_or(is_rejected) AS is_reject
    FROM work WHERE purpose IN ('answer', 'vote') GROUP BY ALL
), items AS (
    SELECT team, skill, fingerprint, item, bool_or(is_result) AS is_result, bool_or(is_reject) AS is_reject FROM answered GROUP BY ALL
), of_documents AS (
    SELECT team, skill, fingerprint, count(*) AS n_documents, sum(coalesce(n_pages, 0)) AS n_pages
    FROM (SELECT DISTINCT team, skill, fingerprint, document FROM answered) LEFT JOIN pages USING (document) GROUP BY ALL
), of_items AS (
    SELECT team, skill, fingerprint, count(*) AS n_items, count(*) FILTER (is_result) AS n_results, count(*) FILTER (is_reject) AS n_rejects
    FROM items GROUP BY ALL
)
SELECT team, skill, fingerprint, n_documents, n_pages, n_items, n_results, n_rejects
FROM of_documents JOIN of_items USING (team, skill, fingerprint) ORDER BY ALL
"""
DOCUMENTS = """
SELECT team, skill, tier, model, lane, dag_id, run_id, count(*) AS n_documents
FROM (SELECT DISTINCT team, skill, tier, model, lane, dag_id, run_id, hash(doc_id) FROM calls WHERE status = 'settled')
GROUP BY ALL ORDER BY ALL
"""
MACROS = """
CREATE OR REPLACE TEMP MACRO units_of(usd) AS
    CAST(trunc(usd) AS HUGEINT) * 1000000000000
    + CAST(CAST(usd - trunc(usd) AS DECIMAL(20, 12)) * 1000000000000::DECIMAL(13, 0) AS HUGEINT);
CREATE OR REPLACE TEMP MACRO micros_of(seconds) AS CAST(CAST(seconds AS DECIMAL(20, 6)) * 1000000::DECIMAL(7, 0) AS HUGEINT);
CREATE OR REPLACE TEMP MACRO half_even(n, d) AS
    n // d + CASE WHEN 2 * (n % d) > d OR (2 * (n % d) = d AND (n // d) % 2 = 1) THEN 1 ELSE 0 END;
CREATE OR REPLACE TEMP MACRO usd_of(units) AS
    CAST(units // 1000000000000 AS DECIMAL(28, 12)) + CAST(units % 1000000000000 AS DECIMAL(12, 0)) * 0.000000000001::DECIMAL(12, 12);
"""
"""Exact where a product of decimals would need more digits than DuckDB has: whole numbers of 10^-12 USD and of microseconds."""
_IDLE = "usd_of(sum(CASE WHEN idle_s > 0 THEN half_even(units_of(cost_usd) * micros_of(idle_s), micros_of(compute_s)) ELSE 0 END))"


def calls(day: date, interval: tuple[datetime, datetime] | None, *, is_doubled: bool) -> str:
    """Return what makes ``calls``: of a UTC day the rows that name it, of another day those sent in [start, end); each once."""
    then = f"sent_at >= {_instant(interval[0])} AND sent_at < {_instant(interval[1])}" if interval else f"usage_date = DATE '{day}'"
    return f"CREATE OR REPLACE TEMP VIEW calls AS SELECT {'DISTINCT ' if is_doubled else ''}* FROM ledger WHERE {then}"


def lines(tiers: Mapping[date, tuple[int, ...]]) -> str:
    """Return the query for a day's lines; ``tiers`` are the expert's context tiers of each UTC day."""
    return f"""
SELECT usage_date, team, skill, fingerprint, tier, model, deployment, lane, service_tier, dag_id, run_id, purpose, status, use, price_ids,
    {_context_over(tiers)} AS context_over, count(*) AS n_calls, {", ".join(_summed(name) for name in AMOUNTS[:-2])},
    sum(coalesce(cost_usd, 0)) AS cost_usd, {_IDLE} AS idle_usd, sum(reserved_usd) AS reserved_usd, sum(saved_usd) AS saved_usd
FROM work GROUP BY ALL ORDER BY ALL
"""


def _summed(name: str) -> str:
    return f"sum({name}) AS {name}"


def _context_over(tiers: Mapping[date, tuple[int, ...]]) -> str:
    if not any(tiers.values()):
        return "0"
    of_day = (f"WHEN usage_date = DATE '{day}' THEN {_highest(overs)}" for day, overs in sorted(tiers.items()) if overs)
    return f"CASE {' '.join(of_day)} ELSE 0 END"


def _highest(overs: tuple[int, ...]) -> str:
    return f"CASE {' '.join(f'WHEN {_PROMPT} > {over} THEN {over}' for over in sorted(overs, reverse=True))} ELSE 0 END"


def _instant(at: datetime) -> str:
    return f"TIMESTAMPTZ '{at:%Y-%m-%d %H:%M:%S}+00'"


FACTS = f"""
SELECT count(*) AS n_rows, count(DISTINCT hash(call_id)) AS n_calls, count(*) FILTER ({_NEGATIVE}) AS n_negative,
    count(*) FILTER (settled_at < sent_at) AS n_backwards, count(*) FILTER (sent_at >= ?) AS n_ahead
FROM calls
"""
NEGATIVE = f"SELECT call_id FROM calls WHERE {_NEGATIVE} ORDER BY ALL LIMIT ?"
CONFLICTING = "SELECT call_id FROM calls GROUP BY call_id HAVING count(*) > 1 ORDER BY ALL LIMIT ?"
