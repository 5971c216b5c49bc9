"""A day of the ledger as lines: calls that are alike in every way that a bill can ask about, summed up.

Every nightly table is made of a day's lines, never of the calls again, so that all of them agree. The sums of the lines are those of the
ledger, to the last decimal, however its rows come.
"""

from dataclasses import dataclass
from datetime import date, datetime

import pyarrow as pa

from skillyard.costs.prices.book import PriceBook
from skillyard.lake.cost_tables import COST_DAILY, UNIT_COSTS
from skillyard.lake.lake import Lake
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


ITEMS = pa.schema([*(COST_DAILY.schema.field(name) for name in COST_DAILY.key), required("n_items", INT, "distinct items")])
UNIT_COUNTS = ("n_documents", "n_pages", "n_items", "n_results", "n_rejects")
UNITS = pa.schema([UNIT_COSTS.schema.field(name) for name in (*UNIT_COSTS.key, *UNIT_COUNTS)])
DOCUMENT_KEY = ("team", "skill", "tier", "model", "lane", "dag_id", "run_id")
DOCUMENTS = pa.schema([*(required(name, TEXT, name) for name in DOCUMENT_KEY), required("n_documents", INT, "distinct documents")])


@dataclass(frozen=True, slots=True)
class Day:
    """All that a day's tables are made of."""

    day: date
    lines: pa.Table
    """LINES, in the order of their key."""
    items: pa.Table
    """The key of ``cost_daily`` and ``n_items``, the distinct items of each."""
    units: pa.Table
    """usage_date, team, skill, fingerprint; n_documents, n_pages, n_items, n_results, n_rejects: of answers and votes."""
    documents: pa.Table
    """team, skill, tier, model, lane, dag_id, run_id; n_documents, the distinct documents of what was settled."""


def read_day(lake: Lake, day: date, book: PriceBook, expert: str) -> Day:
    """Return the lines of a UTC day of the ledger; ``expert`` is the model whose context tiers they are told apart by."""
    from skillyard.costs.ledger.reader import LedgerReader

    with LedgerReader(lake, book, expert) as reader:
        return reader.read(day).day


def read_between(lake: Lake, day: date, start: datetime, end: datetime, book: PriceBook, expert: str) -> Day:
    """Return the lines of the calls sent in [start, end), as a day of a reporting time zone; each keeps the UTC day of its prices."""
    from skillyard.costs.ledger.reader import LedgerReader

    with LedgerReader(lake, book, expert) as reader:
        return reader.read(day, start, end).day
