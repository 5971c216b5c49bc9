"""A day of the ledger as lines: calls that are alike in every way that a bill can ask about, summed up.

Every nightly table is made of a day's lines, never of the calls again, so that all of them agree. The sums of the lines are those of the
ledger, to the last decimal, however its rows come.
"""

from dataclasses import dataclass
from datetime import date

import pyarrow as pa

from skillyard.lake.tables import DATE, INT, MONEY, SECONDS, TEXT, required

USES = ("served", "repeated", "rejected", "shared", "correction", "none")
LINE_KEY = (
    required("usage_date", DATE, "UTC day"),
    required("team", TEXT, "who pays"),
    required("skill", TEXT, "the skill"),
    required("fingerprint", TEXT, "the skill's fingerprint"),
    required("tier", TEXT, "the tier"),
    required("model", TEXT, "the resolved model"),
    required("deployment", TEXT, "the deployment that was asked"),
    required("lane", TEXT, "live or batch"),
    required("service_tier", TEXT, "the price list"),
    required("dag_id", TEXT, "the DAG, or cli"),
    required("run_id", TEXT, "the run"),
    required("purpose", TEXT, "why it was asked"),
    required("status", TEXT, "settled, failed, unknown, cached or correction"),
    required(
        "use",
        TEXT,
        "served: a settled answer or vote that was used; repeated: a later answer of its operation took its place; "
        "rejected: its item ended as a reject; shared: settled, of another purpose; correction; none: not settled",
    ),
    required("price_ids", TEXT, "the rows of the price book it was charged by"),
    required("context_over", INT, "the expert's context tier that the calls' prompts fall into, in tokens"),
)
LINE_SUMS = (
    required("n_calls", INT, "rows of the ledger"),
    required("input_tokens", INT, ""),
    required("cache_read_tokens", INT, ""),
    required("cache_write_tokens", INT, ""),
    required("cache_write_1h_tokens", INT, ""),
    required("output_tokens", INT, ""),
    required("reasoning_tokens", INT, ""),
    required("n_images", INT, ""),
    required("compute_s", SECONDS, ""),
    required("idle_s", SECONDS, ""),
    required("cost_usd", MONEY, "0 where it is not known"),
    required(
        "idle_usd", MONEY, "the part of cost_usd that pays for idle time: cost_usd x idle_s / compute_s of each call, rounded half-even"
    ),
    required("reserved_usd", MONEY, ""),
    required("saved_usd", MONEY, ""),
)
LINES = pa.schema([*LINE_KEY, *LINE_SUMS])


@dataclass(frozen=True, slots=True)
class Day:
    """All that a day's tables are made of."""

    day: date
    lines: pa.Table
    """LINES, in the order of their key."""
    items: pa.Table
    """The key of ``cost_daily`` and ``n_items``, the distinct items of each."""
    units: pa.Table
    """usage_date, team, skill, fingerprint; n_documents, n_pages, n_items, n_results, n_rejects: see ``unit_costs``."""
