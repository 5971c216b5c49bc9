"""What is asked of a day of the ledger, in DuckDB's SQL: its lines, its items, its documents, and what is odd about it.

``ledger`` is what the files of the day hold, ``nearby`` those of what comes after; ``rows`` are the rows of ``ledger`` that count. One pass
over them makes ``calls``, in which every text is its 64-bit hash: all else is made of that narrow table, and ``names`` has the texts.
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
_NEGATIVE = f"({' OR '.join(f'{name} < 0' for name in AMOUNTS)} OR (cost_usd < 0 AND status <> 'correction'))"

_KEY = "usage_date, team, skill, fingerprint, tier, model, deployment, lane, service_tier, dag_id, run_id, purpose, status, price_ids"
_OF_BILL = "team, skill, tier, model, dag_id, purpose"
_OF_UNIT = "team, skill, fingerprint"
_OF_CHARGE = "team, skill, tier, model, lane, dag_id, run_id"

LATER = """
CREATE OR REPLACE TEMP TABLE later AS
SELECT operation, max(attempt_no) AS last_no FROM (
    SELECT operation, attempt_no FROM calls WHERE is_answer AND attempt_no > 1
    UNION ALL
    SELECT hash(operation_id), attempt_no FROM nearby WHERE status = 'settled' AND purpose = 'answer' AND attempt_no > 1
) GROUP BY operation
"""
REJECTED = """
CREATE OR REPLACE TEMP TABLE rejected AS
SELECT DISTINCT hash(run_id, skill, hash(item_id)) AS ending, true AS is_rejected FROM rejects WHERE stage = 'answer' AND skill IS NOT NULL
"""
PAGES = """
CREATE OR REPLACE TEMP TABLE pages AS
SELECT hash(doc_id) AS document, arg_max(n_pages, ingested_at) AS n_pages FROM documents WHERE status = 'parsed' GROUP BY ALL
"""
NAMES = f"""
CREATE OR REPLACE TEMP TABLE names AS
SELECT *, hash({_OF_BILL}) AS of_bill, hash({_OF_UNIT}) AS of_unit, hash({_OF_CHARGE}) AS of_charge FROM (
    SELECT hash({_KEY}) AS line, {", ".join(f"any_value({name}) AS {name}" for name in _KEY.split(", "))} FROM rows GROUP BY line
)
"""
FATES = """
CREATE OR REPLACE TEMP VIEW fates AS
SELECT calls.*, coalesce(is_rejected, false) AS is_rejected, coalesce(is_answer AND last_no > attempt_no, false) AS is_repeated
FROM calls LEFT JOIN later USING (operation) LEFT JOIN rejected USING (ending)
"""
_USE = """CASE
    WHEN status = 'correction' THEN 'correction'
    WHEN status <> 'settled' THEN 'none'
    WHEN purpose NOT IN ('answer', 'vote') THEN 'shared'
    WHEN is_repeated THEN 'repeated'
    WHEN is_rejected THEN 'rejected'
    ELSE 'served' END"""
WORK = f"""
CREATE OR REPLACE TEMP VIEW work AS
SELECT * EXCLUDE (is_rejected, is_repeated), {_USE} AS use FROM (
    SELECT rows.*, coalesce(is_rejected, false) AS is_rejected, coalesce(purpose = 'answer' AND last_no > attempt_no, false) AS is_repeated
    FROM rows LEFT JOIN later ON operation = hash(operation_id) LEFT JOIN rejected ON ending = hash(run_id, skill, hash(item_id))
)
"""
"""For queries of their own: the rows that count, each with its use."""
ITEMS = f"""
SELECT {_OF_BILL}, n_items
FROM (SELECT of_bill, count(*) AS n_items FROM (SELECT DISTINCT of_bill, item FROM calls JOIN names USING (line)) GROUP BY ALL)
JOIN (SELECT of_bill, {_OF_BILL} FROM names GROUP BY ALL) USING (of_bill) ORDER BY ALL
"""
UNITS = f"""
WITH answered AS (
    SELECT of_unit, item, document,
        bool_or(NOT is_rejected AND ((is_used AND NOT is_repeated) OR is_cached)) AS is_result, bool_or(is_rejected) AS is_reject
    FROM fates JOIN names USING (line) WHERE is_work GROUP BY ALL
), items AS (
    SELECT of_unit, item, bool_or(is_result) AS is_result, bool_or(is_reject) AS is_reject FROM answered GROUP BY ALL
), of_documents AS (
    SELECT of_unit, count(*) AS n_documents, sum(coalesce(n_pages, 0)) AS n_pages
    FROM (SELECT DISTINCT of_unit, document FROM answered) LEFT JOIN pages USING (document) GROUP BY ALL
), of_items AS (
    SELECT of_unit, count(*) AS n_items, count(*) FILTER (is_result) AS n_results, count(*) FILTER (is_reject) AS n_rejects
    FROM items GROUP BY ALL
)
SELECT {_OF_UNIT}, n_documents, n_pages, n_items, n_results, n_rejects
FROM of_documents JOIN of_items USING (of_unit) JOIN (SELECT of_unit, {_OF_UNIT} FROM names GROUP BY ALL) USING (of_unit) ORDER BY ALL
"""
DOCUMENTS = f"""
SELECT {_OF_CHARGE}, n_documents
FROM (
    SELECT of_charge, count(*) AS n_documents
    FROM (SELECT DISTINCT of_charge, document FROM calls JOIN names USING (line) WHERE is_settled) GROUP BY ALL
)
JOIN (SELECT of_charge, {_OF_CHARGE} FROM names GROUP BY ALL) USING (of_charge) ORDER BY ALL
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


def rows(day: date, interval: tuple[datetime, datetime] | None, *, is_doubled: bool) -> str:
    """Return what makes ``rows``: of a UTC day those that name it, of another day those sent in [start, end); each once."""
    then = f"sent_at >= {_instant(interval[0])} AND sent_at < {_instant(interval[1])}" if interval else f"usage_date = DATE '{day}'"
    return f"CREATE OR REPLACE TEMP VIEW rows AS SELECT {'DISTINCT ' if is_doubled else ''}* FROM ledger WHERE {then}"


def calls(tiers: Mapping[date, tuple[int, ...]], tomorrow: datetime) -> str:
    """Return what makes ``calls``: the one pass over the rows; ``tiers`` are the expert's context tiers of each UTC day."""
    return f"""
CREATE OR REPLACE TEMP TABLE calls AS
SELECT hash({_KEY}) AS line, hash(call_id) AS call, hash(operation_id) AS operation,
    hash(run_id, skill, hash(item_id)) AS ending, hash(item_id) AS item,
    hash(doc_id) AS document, attempt_no, {_context_over(tiers)}::BIGINT AS context_over, {", ".join(AMOUNTS)},
    coalesce(cost_usd, 0)::DECIMAL(28, 12) AS cost_usd,
    status = 'settled' AS is_settled, status = 'cached' AS is_cached, status = 'settled' AND purpose = 'answer' AS is_answer,
    status = 'settled' AND purpose IN ('answer', 'vote') AS is_used, status <> 'correction' AND purpose IN ('answer', 'vote') AS is_work,
    {_NEGATIVE} AS is_negative, coalesce(settled_at < sent_at, false) AS is_backwards, sent_at >= {_instant(tomorrow)} AS is_ahead
FROM rows
"""


LINES = f"""
WITH sums AS (
    SELECT line, context_over, is_repeated, is_used AND is_rejected AND NOT is_repeated AS is_rejected, count(*) AS n_calls,
        {", ".join(f"sum({name}) AS {name}" for name in (*AMOUNTS, "cost_usd"))}, {_IDLE} AS idle_usd
    FROM fates GROUP BY ALL
)
SELECT sums.*, {_KEY}, {_USE} AS use
FROM sums JOIN names USING (line)
ORDER BY usage_date, team, skill, fingerprint, tier, model, deployment, lane, service_tier, dag_id, run_id, purpose, status, use,
    price_ids, context_over
"""


def _context_over(tiers: Mapping[date, tuple[int, ...]]) -> str:
    if not any(tiers.values()):
        return "0"
    of_day = (f"WHEN usage_date = DATE '{day}' THEN {_highest(overs)}" for day, overs in sorted(tiers.items()) if overs)
    return f"CASE {' '.join(of_day)} ELSE 0 END"


def _highest(overs: tuple[int, ...]) -> str:
    return f"CASE {' '.join(f'WHEN {_PROMPT} > {over} THEN {over}' for over in sorted(overs, reverse=True))} ELSE 0 END"


def _instant(at: datetime) -> str:
    return f"TIMESTAMPTZ '{at:%Y-%m-%d %H:%M:%S}+00'"


FACTS = """
SELECT count(*), count(DISTINCT call), count(*) FILTER (is_negative), count(*) FILTER (is_backwards), count(*) FILTER (is_ahead) FROM calls
"""
NEGATIVE = f"SELECT call_id FROM rows WHERE {_NEGATIVE} ORDER BY ALL LIMIT ?"
CONFLICTING = "SELECT call_id FROM rows GROUP BY call_id HAVING count(*) > 1 ORDER BY ALL LIMIT ?"
