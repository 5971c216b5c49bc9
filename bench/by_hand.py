"""The nightly tables as one would write them by hand: DuckDB's SQL straight over the Parquet files, day by day, two threads.

It gives the same rows: the bill with its split, distinct items and documents, unit costs, savings with measured baselines, a line per
charge and meter. It leaves out what makes tables safe to sign: doubled, negative or lost rows are not looked for, shares are rounded as
they come, nothing is validated or published, and files that a compaction moves meanwhile are an error.
"""

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from bench.ledger_rows import EXPERT, days, noon
from skillyard.costs.prices.book import PriceBook

KEY = "usage_date, team, skill, fingerprint, tier, model, deployment, lane, service_tier, dag_id, run_id, purpose, status, use, price_ids"
METERS = {
    "input": "input_tokens",
    "cache_read": "cache_read_tokens",
    "cache_write": "cache_write_tokens",
    "cache_write_1h": "cache_write_1h_tokens",
    "output": "output_tokens",
    "image": "n_images",
    "compute_s": "compute_s",
}
TOKENS = [name for name in METERS.values() if name != "compute_s"]
SUMS = (*METERS.values(), "reasoning_tokens", "idle_s", "reserved_usd", "saved_usd")
PROMPT = "input_tokens + cache_read_tokens + cache_write_tokens + cache_write_1h_tokens"

PAGES = "CREATE TEMP TABLE pages AS SELECT doc_id, max(n_pages) AS n_pages FROM documents WHERE status = 'parsed' GROUP BY doc_id"
WORK = """
CREATE OR REPLACE TEMP VIEW work AS
WITH later AS (
    SELECT operation_id, max(attempt_no) AS last_no FROM nearby
    WHERE status = 'settled' AND purpose = 'answer' AND attempt_no > 1 GROUP BY operation_id
), rejected AS (SELECT DISTINCT run_id, skill, item_id, true AS is_rejected FROM rejects WHERE stage = 'answer')
SELECT calls.*, coalesce(is_rejected, false) AS is_rejected,
    CASE WHEN status = 'correction' THEN 'correction' WHEN status <> 'settled' THEN 'none'
    WHEN purpose NOT IN ('answer', 'vote') THEN 'shared'
    WHEN purpose = 'answer' AND last_no > attempt_no THEN 'repeated' WHEN is_rejected THEN 'rejected' ELSE 'served' END AS use
FROM calls LEFT JOIN later USING (operation_id) LEFT JOIN rejected USING (run_id, skill, item_id)
"""
LINES = f"""
CREATE OR REPLACE TEMP TABLE lines AS
SELECT {KEY}, CASE {{tiers}} ELSE 0 END AS context_over, count(*) AS n_calls, {", ".join(f"sum({name}) AS {name}" for name in SUMS)},
    sum(coalesce(cost_usd, 0)) AS cost_usd, sum(CASE WHEN idle_s > 0 THEN cost_usd * (idle_s / compute_s) ELSE 0 END) AS idle_usd
FROM work GROUP BY ALL
"""
CHARGED = f"""
CREATE OR REPLACE TEMP TABLE charged AS
WITH split AS (
    SELECT usage_date, team, skill, fingerprint, tier, model, dag_id, purpose,
        sum(n_calls) FILTER (status IN ('settled', 'failed', 'unknown')) AS n_calls,
        {", ".join(f"sum(n_calls) FILTER (status = '{status}') AS n_{status}" for status in ("settled", "failed", "unknown", "cached"))},
        sum(n_calls) FILTER (use = 'served') AS n_served,
        {", ".join(f"sum({name}) FILTER (status = 'settled') AS {name}" for name in METERS.values())},
        sum(cost_usd) AS cost_usd, coalesce(sum(cost_usd) FILTER (use = 'served'), 0) AS direct_usd,
        coalesce(sum(cost_usd) FILTER (use IN ('shared', 'correction')), 0) AS shared_usd, sum(idle_usd) AS idle_usd,
        sum(reserved_usd) FILTER (status = 'unknown') AS unknown_reserved_usd, sum(saved_usd) AS saved_usd
    FROM lines GROUP BY ALL
), pools AS (
    SELECT *, cost_usd - direct_usd - shared_usd AS waste_usd, sum(shared_usd) OVER skills AS pool,
        sum(CASE WHEN purpose IN ('answer', 'vote') THEN cost_usd - shared_usd ELSE 0 END) OVER skills AS paid
    FROM split WINDOW skills AS (PARTITION BY team, skill)
)
SELECT *, CASE WHEN paid = 0 THEN shared_usd WHEN purpose IN ('answer', 'vote')
    THEN CAST(pool::DOUBLE * (direct_usd + waste_usd)::DOUBLE / paid::DOUBLE AS DECIMAL(28, 12)) ELSE 0 END AS allocated_usd
FROM pools
"""
MONEY = ", ".join(f"sum({name}) AS {name}" for name in ("cost_usd", "direct_usd", "waste_usd", "shared_usd", "allocated_usd"))
COST_DAILY = f"""
SELECT * FROM (
    SELECT usage_date, team, skill, tier, model, dag_id, purpose, {MONEY}, {
    ", ".join(
        f"sum({name}) AS {name}"
        for name in (
            "n_calls",
            "n_settled",
            "n_served",
            "n_failed",
            "n_unknown",
            "n_cached",
            *METERS.values(),
            "idle_usd",
            "unknown_reserved_usd",
            "saved_usd",
        )
    )
} FROM charged GROUP BY ALL
) JOIN (
    SELECT team, skill, tier, model, dag_id, purpose, count(*) AS n_items
    FROM (SELECT DISTINCT team, skill, tier, model, dag_id, purpose, item_id FROM calls) GROUP BY ALL
) USING (team, skill, tier, model, dag_id, purpose) ORDER BY ALL
"""
UNIT_COSTS = f"""
WITH answered AS (
    SELECT team, skill, fingerprint, item_id, doc_id, bool_or(NOT is_rejected AND (use = 'served' OR status = 'cached')) AS is_result,
        bool_or(is_rejected) AS is_reject FROM work WHERE purpose IN ('answer', 'vote') GROUP BY ALL
), documents AS (
    SELECT team, skill, fingerprint, count(*) AS n_documents, sum(coalesce(n_pages, 0)) AS n_pages
    FROM (SELECT DISTINCT team, skill, fingerprint, doc_id FROM answered) LEFT JOIN pages USING (doc_id) GROUP BY ALL
), items AS (
    SELECT team, skill, fingerprint, count(*) AS n_items, count(*) FILTER (is_result) AS n_results, count(*) FILTER (is_reject) AS n_rejects
    FROM (
        SELECT team, skill, fingerprint, item_id, bool_or(is_result) AS is_result, bool_or(is_reject) AS is_reject
        FROM answered GROUP BY ALL
    ) GROUP BY ALL
)
SELECT * FROM (SELECT usage_date, team, skill, fingerprint, sum(n_calls) AS n_calls, {MONEY} FROM charged GROUP BY ALL)
LEFT JOIN documents USING (team, skill, fingerprint) LEFT JOIN items USING (team, skill, fingerprint) ORDER BY ALL
"""
AT_EXPERT = " + ".join(f"{name} * expert.at_{meter}" for meter, name in METERS.items())
LIVE = " + ".join(f"{name} * live.at_{meter}" for meter, name in METERS.items())
SAVINGS = f"""
WITH pairs AS (
    SELECT cheap.skill, cheap.tier, cheap.model, cheap.item_id, cheap.cost_usd * cheap.weight::DECIMAL(9, 3) AS cheap_usd,
        best.cost_usd * cheap.weight::DECIMAL(9, 3) AS best_usd
    FROM audits cheap JOIN audits best USING (audit_id, item_id)
    WHERE best.tier = 'expert' AND best.model = '{EXPERT}' AND cheap.tier <> 'expert'
        AND cheap.audited_on > DATE '{{day}}' - 30 AND cheap.audited_on <= DATE '{{day}}'
), ratios AS (
    SELECT skill, tier, model, count(DISTINCT item_id) AS n_audited,
        round(sum(best_usd)::DOUBLE / sum(cheap_usd)::DOUBLE, 6)::DECIMAL(18, 6) AS ratio
    FROM pairs GROUP BY ALL HAVING count(DISTINCT item_id) >= 30
), retried AS (
    SELECT skill, sum(n_calls)::DOUBLE / sum(n_calls) FILTER (use = 'served') AS retries FROM lines
    WHERE tier = 'expert' AND purpose = 'answer' AND status = 'settled' GROUP BY skill HAVING sum(n_calls) FILTER (use = 'served') >= 20
), priced AS (
    SELECT lines.*, status = 'settled' AND use = 'served' AND purpose = 'answer' AS is_served,
        CASE WHEN lane = 'batch' AND status = 'settled' THEN {LIVE} ELSE cost_usd END AS live_usd, {AT_EXPERT} AS expert_usd
    FROM lines LEFT JOIN live ON live.model = lines.model AND live.price_ids = lines.price_ids
        JOIN expert ON expert.context_over = lines.context_over
), by_model AS (
    SELECT usage_date, team, skill, tier, model, sum(n_calls) FILTER (is_served) AS n_served,
        sum(n_calls) FILTER (status = 'cached') AS n_cached, sum(cost_usd) AS cost_usd,
        sum(saved_usd) FILTER (status = 'cached') AS cache_saved_usd,
        sum(live_usd) - sum(cost_usd) AS batch_saved_usd, sum(live_usd) FILTER (is_served) AS served_live,
        sum(expert_usd) FILTER (is_served) AS served_at_expert
    FROM priced WHERE status <> 'correction' GROUP BY ALL
), based AS (
    SELECT by_model.*, CASE WHEN n_served > 0 THEN n_audited END AS n_audited,
        tier = 'expert' AND model = '{EXPERT}' OR ratio IS NOT NULL AS is_measured,
        CASE WHEN tier = 'expert' AND model = '{EXPERT}' THEN served_live * coalesce(retries, 1)
        WHEN ratio IS NOT NULL THEN served_live * ratio ELSE served_at_expert * coalesce(retries, 1) END AS baseline
    FROM by_model LEFT JOIN ratios USING (skill, tier, model) LEFT JOIN retried USING (skill)
)
SELECT *, baseline_usd - cost_usd - cache_saved_usd - batch_saved_usd AS routing_saved_usd FROM (
    SELECT usage_date, team, skill, tier, coalesce(sum(n_served), 0) AS n_served, coalesce(sum(n_cached), 0) AS n_cached,
        sum(cost_usd) AS cost_usd, coalesce(sum(cache_saved_usd), 0) AS cache_saved_usd,
        sum(batch_saved_usd)::DECIMAL(28, 12) AS batch_saved_usd,
        (coalesce(sum(baseline), 0) + coalesce(sum(cache_saved_usd), 0))::DECIMAL(28, 12) AS baseline_usd,
        coalesce(bool_and(is_measured) FILTER (n_served > 0), true) AS is_measured, coalesce(sum(n_audited), 0) AS n_audited,
        sum(baseline)::DOUBLE / sum(served_live)::DOUBLE AS expert_ratio
    FROM based GROUP BY ALL
) ORDER BY ALL
"""
QUANTITY = " ".join(f"WHEN '{meter}' THEN {name}::DECIMAL(25, 6)" for meter, name in METERS.items())
OWN = "usage_date, team, skill, fingerprint, tier, model, deployment, lane, service_tier, dag_id, run_id, purpose, use, price_ids"
FOCUS = f"""
WITH charges AS (
    SELECT {OWN}, sum(n_calls) AS n_calls, {", ".join(f"sum({name}) AS {name}" for name in METERS.values())}, sum(cost_usd) AS cost_usd
    FROM lines WHERE status IN ('settled', 'correction') GROUP BY ALL
), documents AS (
    SELECT team, skill, tier, model, lane, dag_id, run_id, count(*) AS n_documents
    FROM (SELECT DISTINCT team, skill, tier, model, lane, dag_id, run_id, doc_id FROM calls WHERE status = 'settled') GROUP BY ALL
), metered AS (
    SELECT charges.*, prices.*, CASE meter {QUANTITY} END AS quantity
    FROM (SELECT *, unnest(string_split(price_ids, ',')) AS price_id FROM charges) AS charges JOIN prices USING (price_id)
)
SELECT quantity * price AS BilledCost, BilledCost AS EffectiveCost, BilledCost AS ContractedCost, quantity * list_price AS ListCost,
    BilledCost AS PricingCurrencyEffectiveCost, provider AS BillingAccountId, provider AS ProviderName, provider AS PublisherName,
    provider AS InvoiceIssuerName, provider AS BillingAccountName, 'USD' AS BillingCurrency, 'USD' AS PricingCurrency,
    'Usage' AS ChargeCategory,
    'Usage-Based' AS ChargeFrequency, 'Standard' AS PricingCategory, concat(model, ': ', meter) AS ChargeDescription,
    CAST(usage_date AS TIMESTAMP) AS ChargePeriodStart, CAST(usage_date + 1 AS TIMESTAMP) AS ChargePeriodEnd,
    CAST(date_trunc('month', usage_date) AS TIMESTAMP) AS BillingPeriodStart,
    CAST(date_trunc('month', usage_date) + INTERVAL 1 MONTH AS TIMESTAMP) AS BillingPeriodEnd,
    quantity AS ConsumedQuantity, unit AS ConsumedUnit, quantity AS PricingQuantity, unit AS PricingUnit, price AS ContractedUnitPrice,
    list_price AS ListUnitPrice, deployment AS ResourceId, 'Model deployment' AS ResourceType, 'AI and Machine Learning' AS ServiceCategory,
    'Generative AI' AS ServiceSubcategory, provider AS ServiceName, concat(model, ':', meter) AS SkuId, meter AS SkuMeter,
    price_id AS SkuPriceId, team AS SubAccountId, team AS SubAccountName, 'Team' AS SubAccountType,
    concat('{{"dag": "',
        dag_id, '", "purpose": "', purpose, '", "skill": "', skill, '", "team": "', team, '", "tier": "', tier, '"}}') AS Tags,
    {OWN}, meter, CASE WHEN meter = first_meter THEN n_calls END AS x_CallCount, n_documents AS x_DocumentCount
FROM (SELECT *, first_value(meter) OVER (PARTITION BY {OWN} ORDER BY meter) AS first_meter FROM metered)
    LEFT JOIN documents USING (team, skill, tier, model, lane, dag_id, run_id) WHERE quantity <> 0
"""
TABLES = {"unit_costs": UNIT_COSTS, "savings_daily": SAVINGS, "focus": FOCUS, "cost_daily": COST_DAILY}
MEASURED = {
    "cost_daily": ("cost_usd", "direct_usd", "waste_usd", "shared_usd", "n_calls", "n_items", "input_tokens", "saved_usd"),
    "unit_costs": ("cost_usd", "n_documents", "n_pages", "n_items", "n_results", "n_rejects"),
    "savings_daily": ("cost_usd", "cache_saved_usd", "batch_saved_usd", "n_served", "n_audited"),
    "focus": ("BilledCost",),
}
"""By table: the sums that both ways have to agree on, exactly."""


def make_tables(lake: Path, book: PriceBook, spill: Path) -> dict[str, Decimal]:
    """Make all tables of all days, each into memory, and return the sums of MEASURED."""
    import duckdb

    options: dict[str, Any] = {"threads": 2, "memory_limit": "2GB", "temp_directory": str(spill), "preserve_insertion_order": False}
    totals: dict[str, Decimal] = {}
    with duckdb.connect(config=options) as db:
        db.execute(f"CREATE TEMP VIEW documents AS SELECT * FROM read_parquet('{lake}/documents/*/*.parquet')")
        db.execute(f"CREATE TEMP VIEW audits AS SELECT * FROM read_parquet('{lake}/audits/*/*.parquet')")
        db.execute(PAGES)
        for day, following in zip(days(), [*days()[1:], None], strict=True):
            own = f"'{lake}/llm_calls/dt={day}/*.parquet'"
            both = own if following is None else f"[{own}, '{lake}/llm_calls/dt={following}/*.parquet']"
            db.execute(f"CREATE OR REPLACE TEMP VIEW calls AS SELECT * FROM read_parquet({own}, hive_partitioning = false)")
            db.execute(f"CREATE OR REPLACE TEMP VIEW nearby AS SELECT * FROM read_parquet({both}, hive_partitioning = false)")
            db.execute(f"CREATE OR REPLACE TEMP VIEW rejects AS SELECT * FROM read_parquet('{lake}/rejects/dt={day}/*.parquet')")
            db.execute(WORK)
            tiers = sorted(book.context_tiers(EXPERT, day), reverse=True)
            db.execute(LINES.format(tiers=" ".join(f"WHEN {PROMPT} > {over} THEN {over}" for over in tiers) or "WHEN false THEN 0"))
            write_prices(db, book, day)
            db.execute(CHARGED)
            for name, query in TABLES.items():
                rows = db.execute(query.replace("{day}", str(day))).to_arrow_table()
                for column in MEASURED[name]:
                    key = f"{name}.{column}"
                    totals[key] = totals.get(key, Decimal(0)) + Decimal(pc.sum(rows.column(column)).as_py() or 0)
    return totals


def write_prices(db: Any, book: PriceBook, day: date) -> None:
    """Write the prices of the day as three small tables: by id, of the expert by context tier, and live by what was applied."""
    rate = pa.decimal128(18, 15)
    meters = [(f"at_{meter}", rate) for meter in METERS]

    def rates(model: str, over: int) -> dict[str, Decimal]:
        found = book.rates(model, noon(day), context_tokens=over + 1)
        return {f"at_{meter}": found[meter] for meter in METERS}

    expert = [{"context_over": over, **rates(EXPERT, over)} for over in (0, *book.context_tiers(EXPERT, day))]
    live = []
    for model, price_ids in db.execute("SELECT DISTINCT model, price_ids FROM lines WHERE lane = 'batch'").fetchall():
        over = max((price.context_over for one in price_ids.split(",") if (price := book.by_id(one))), default=0)
        live.append({"model": model, "price_ids": price_ids, **rates(model, over)})
    prices = [
        {"price_id": p.price_id, "provider": p.provider, "meter": p.meter, "unit": p.unit, "price": p.price}
        | {"list_price": book.rates(p.model, noon(day), context_tokens=p.context_over + 1)[p.meter]}
        for p in book
    ]
    texts = [(name, pa.string()) for name in ("price_id", "provider", "meter", "unit")]
    tables = {
        "expert": pa.Table.from_pylist(expert, pa.schema([("context_over", pa.int64()), *meters])),
        "live": pa.Table.from_pylist(live, pa.schema([("model", pa.string()), ("price_ids", pa.string()), *meters])),
        "prices": pa.Table.from_pylist(prices, pa.schema([*texts, ("price", rate), ("list_price", rate)])),
    }
    for name, rows in tables.items():
        db.register("found", rows)
        db.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS SELECT * FROM found")
        db.unregister("found")
