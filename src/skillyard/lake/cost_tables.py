"""The schemas of what is made of the ledger every night: the bill, the savings, unit costs, budgets, anomalies, reconciliations.

All but the reconciliations are recomputed a day at a time. Every sum of money in them can be followed to rows of ``llm_calls``.
"""

import pyarrow as pa

from skillyard.lake.tables import DATE, INT, MONEY, PURPOSE, SECONDS, SHARE, TEXT, TIMESTAMP, Table, field, required

UTC_DAY = "UTC day, as in the path"
BASIS = "measured or modelled"
SHARED = "the part of cost_usd that serves many: routing, audits, judges, evals, corrections; it comes back as allocated_usd"
ALLOCATED = "its share of what serves many; a day's sum is that of shared_usd"
COST = "settled cost, corrections included: direct_usd + waste_usd + shared_usd"
DIRECT = "the part of cost_usd that bought answers which were used"
WASTE = "the part of cost_usd that bought answers which were not used: repeated after a failed check, escalated, or of a reject"

COST_DAILY = Table(
    "cost_daily",
    "The bill of a day by team, skill, tier, model, DAG and purpose. Sums equal the ledger to the last decimal.",
    ("usage_date", "team", "skill", "tier", "model", "dag_id", "purpose"),
    "usage_date",
    pa.schema(
        [
            required("usage_date", DATE, UTC_DAY),
            required("team", TEXT, "who pays; * for corrections"),
            required("skill", TEXT, "the skill; * for corrections"),
            required("tier", TEXT, "fast, standard or expert"),
            required("model", TEXT, "the resolved model"),
            required("dag_id", TEXT, "the DAG, or cli"),
            required("purpose", TEXT, PURPOSE),
            required("n_calls", INT, "attempts: settled, failed and unknown"),
            required("n_settled", INT, "attempts that were answered and priced"),
            required("n_served", INT, "settled answers and votes that were used: each is the last of an item that got its result"),
            required("n_failed", INT, "attempts the provider refused"),
            required("n_unknown", INT, "attempts whose outcome is not known"),
            required("n_cached", INT, "answers taken from the response store"),
            required("n_items", INT, "distinct items"),
            required("input_tokens", INT, "uncached input tokens"),
            required("cache_read_tokens", INT, "input tokens read from a provider's cache"),
            required("cache_write_tokens", INT, "input tokens written to a provider's cache for minutes"),
            required("cache_write_1h_tokens", INT, "input tokens written to a provider's cache for an hour"),
            required("output_tokens", INT, "output tokens, reasoning included"),
            required("n_images", INT, "images that are charged one by one"),
            required("compute_s", SECONDS, "seconds of own compute"),
            required("cost_usd", MONEY, COST),
            required("direct_usd", MONEY, DIRECT),
            required("waste_usd", MONEY, WASTE),
            required("shared_usd", MONEY, SHARED),
            required("allocated_usd", MONEY, ALLOCATED),
            required("idle_usd", MONEY, "memo: the part of cost_usd that pays for idle time of endpoints of our own, shared by busy time"),
            required("unknown_reserved_usd", MONEY, "reserved by attempts whose outcome is not known; not part of cost_usd"),
            required("saved_usd", MONEY, "what the cached answers would have cost"),
        ]
    ),
    is_recomputed=True,
    version=2,
)

SAVINGS_DAILY = Table(
    "savings_daily",
    "A day beside the same work sent to the expert tier: cost_usd = baseline_usd - what routing, cache and batch saved, exactly.",
    ("usage_date", "team", "skill", "tier"),
    "usage_date",
    pa.schema(
        [
            required("usage_date", DATE, UTC_DAY),
            required("team", TEXT, "who pays"),
            required("skill", TEXT, "the skill"),
            required("tier", TEXT, "the tier that was asked"),
            required("n_served", INT, "answers bought and used"),
            required("n_cached", INT, "answers taken from the response store"),
            required("cost_usd", MONEY, "settled cost, of every purpose and with what was wasted; without corrections"),
            field("baseline_usd", MONEY, "the same items, each answered by the expert tier, live and uncached; null without a price"),
            field("routing_saved_usd", MONEY, "what cheaper tiers saved, net of all that routing costs; negative when it lost"),
            required("cache_saved_usd", MONEY, "what the cached answers once cost"),
            required("batch_saved_usd", MONEY, "what the same tokens cost live on their day, less what they cost"),
            required("routing_basis", TEXT, f"{BASIS}: by what the expert took for audited items, or the same tokens at its prices"),
            required("cache_basis", TEXT, BASIS),
            required("batch_basis", TEXT, BASIS),
            required("n_audited", INT, "audited items behind a measured baseline"),
            field("expert_ratio", pa.decimal128(18, 6), "baseline of the served answers / what they cost live; null without either"),
            required("method", TEXT, "the method and its version"),
        ]
    ),
    is_recomputed=True,
)

UNIT_COSTS = Table(
    "unit_costs",
    "What a day's work of one version of a skill cost and made: divide to get the cost of a document, a page, an item, an accepted result.",
    ("usage_date", "team", "skill", "fingerprint"),
    "usage_date",
    pa.schema(
        [
            required("usage_date", DATE, UTC_DAY),
            required("team", TEXT, "who pays"),
            required("skill", TEXT, "the skill"),
            required("fingerprint", TEXT, "the skill's fingerprint: its version"),
            required("n_documents", INT, "distinct documents"),
            required("n_pages", INT, "pages of these documents"),
            required("n_items", INT, "distinct items"),
            required("n_results", INT, "items answered or given again from the response store, and not rejected"),
            required("n_rejects", INT, "items that ended as a reject"),
            required("n_calls", INT, "attempts: settled, failed and unknown"),
            required("cost_usd", MONEY, COST),
            required("direct_usd", MONEY, DIRECT),
            required("waste_usd", MONEY, WASTE),
            required("shared_usd", MONEY, SHARED),
            required("allocated_usd", MONEY, ALLOCATED),
        ]
    ),
    is_recomputed=True,
)

BUDGET_DAILY = Table(
    "budget_daily",
    "Where the month stands at the end of a day, by team and by skill, and where it and tomorrow are going.",
    ("usage_date", "team", "skill"),
    "usage_date",
    pa.schema(
        [
            required("usage_date", DATE, UTC_DAY),
            required("team", TEXT, "who pays; * for all teams together"),
            required("skill", TEXT, "the skill; * for all of the team's"),
            field("soft_usd", MONEY, "the month's soft limit, where there is one"),
            field("hard_usd", MONEY, "the month's hard limit, where there is one"),
            required("month_to_date_usd", MONEY, "charged since the first of the month: direct, waste and allocated"),
            required("tomorrow_usd", MONEY, "forecast of the next day"),
            required("tomorrow_lower_usd", MONEY, "lower end of its 80 % interval"),
            required("tomorrow_upper_usd", MONEY, "upper end of its 80 % interval"),
            required("projected_usd", MONEY, "month to date and the forecast of the days left"),
            required("projected_lower_usd", MONEY, "lower end of its 80 % interval"),
            required("projected_upper_usd", MONEY, "upper end of its 80 % interval"),
            required("n_days", INT, "days of history behind the forecast"),
            required("method", TEXT, "the method and its version"),
        ]
    ),
    is_recomputed=True,
)

ANOMALIES = Table(
    "anomalies",
    "What is wrong with a day's money, with the numbers behind it; red flags of the router included.",
    ("usage_date", "anomaly_id"),
    "usage_date",
    pa.schema(
        [
            required("anomaly_id", TEXT, "the same whenever the same is found again: by its alerts are sent once and acknowledged"),
            required("usage_date", DATE, UTC_DAY),
            required("kind", TEXT, "a fixed word, see docs/operations.md"),
            required("source", TEXT, "cost, router, prices or ledger"),
            required("team", TEXT, "the team; * for all"),
            required("skill", TEXT, "the skill; * for all"),
            required("model", TEXT, "the model; * for all"),
            required("severity", TEXT, "warn or alert"),
            required("message", TEXT, "what was found, in a sentence with its numbers, and what to do"),
            field("value", SHARE, "the number that was looked at"),
            field("expected", SHARE, "what was expected of it"),
            field("score", SHARE, "how far off it is, in robust standard deviations, where that is known"),
            required("numbers", TEXT, "everything it was computed from, a JSON object"),
        ]
    ),
    is_recomputed=True,
)

RECONCILIATIONS = Table(
    "reconciliations",
    "One row per provider cost report, UTC day and model: the report beside the ledger, and why they differ, in parts that sum exactly.",
    ("reconciliation_id", "usage_date", "model"),
    "usage_date",
    pa.schema(
        [
            required("reconciliation_id", TEXT, "one report, compared once: the digest of its days and amounts"),
            required("provider", TEXT, "openai, anthropic or bedrock"),
            required("source", TEXT, "the names of the report's files, or api"),
            required("usage_date", DATE, "UTC day of the charges, as in the path"),
            required("model", TEXT, "the ledger's model, or the report's own name or line item where the ledger has none"),
            required("tier", TEXT, "the tier its corrections stand on: the model's in the ledger or the profile, else expert"),
            required("n_calls", INT, "settled attempts of the ledger"),
            required("n_unknown", INT, "attempts whose outcome is not known"),
            required("unknown_reserved_usd", MONEY, "what these reserve"),
            required("ledger_usd", MONEY, "settled in the ledger before, earlier corrections included"),
            required("billed_usd", MONEY, "what the report asks for"),
            required("missing_usd", MONEY, "of the difference: calls that one side does not have, as the token counts say"),
            required("price_usd", MONEY, "of the difference: another price for the same tokens"),
            required("rounding_usd", MONEY, "of the difference: no more than the report's last place on each of its lines"),
            required("unexplained_usd", MONEY, "of the difference: the rest; the message says what the report leaves open"),
            required("capture_rate", pa.decimal128(18, 6), "the part of the billed amount that the ledger has, 0..1"),
            required("message", TEXT, "the same in words"),
            field("correction_call_id", TEXT, "the first of the correction rows in llm_calls, where there is a difference"),
            required("reconciled_at", TIMESTAMP, "when"),
        ]
    ),
)

COST_TABLES: tuple[Table, ...] = (COST_DAILY, SAVINGS_DAILY, UNIT_COSTS, BUDGET_DAILY, ANOMALIES, RECONCILIATIONS)
