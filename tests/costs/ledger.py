"""Ledgers for the tests of the bill: attempts as the gateway records them, priced by the book."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time
from decimal import Decimal
from hashlib import sha256
from itertools import count
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

from skillyard.costs.prices import PriceBook, Usage
from skillyard.lake.results import to_results
from skillyard.lake.tables import LLM_CALLS
from tests.conftest import PROFILE, ROOT

DAY = date(2026, 11, 20)
MODELS = {"fast": "openai/sim-fast", "standard": "openai/sim-standard", "expert": "openai/sim-expert"}
EXPERT = MODELS["expert"]
BOOK = PriceBook.load(ROOT / "include", PROFILE.with_name("prices.csv"))
USAGE = Usage(100, 20, 3, 10)
_numbers = count()


def call(usage: Usage = USAGE, *, tier: str = "fast", status: str = "settled", day: date = DAY, **changes: Any) -> dict[str, Any]:
    """Return one attempt of a tier's model; a settled one costs what the book says."""
    number, model = next(_numbers), changes.pop("model", MODELS[tier])
    sent_at = datetime.combine(day, time(12), UTC)
    cost = BOOK.cost(model, usage, sent_at)
    charged = usage if status == "settled" else Usage()
    row = {
        "call_id": f"call-{number}",
        "operation_id": f"op-{number}",
        "run_id": "run-1",
        "dag_id": "skill.tag-document",
        "skill": "tag-document",
        "fingerprint": sha256(b"skill").hexdigest(),
        "team": "records",
        "item_id": f"item-{number}",
        "doc_id": f"item-{number}",
        "attempt_no": 1,
        "sample_no": 0,
        "tier": tier,
        "model": model,
        "deployment": "d",
        "lane": "live",
        "service_tier": "batch" if changes.get("lane") == "batch" else "standard",
        "purpose": "answer",
        "request_hash": sha256(b"request").hexdigest(),
        "max_tokens": 256,
        "status": status,
        "input_tokens": charged.input_tokens,
        "cache_read_tokens": charged.cache_read_tokens,
        "cache_write_tokens": charged.cache_write_tokens,
        "output_tokens": charged.output_tokens,
        "cache_write_1h_tokens": charged.cache_write_1h_tokens,
        "reasoning_tokens": 0,
        "n_images": charged.n_images,
        "compute_s": charged.compute_s,
        "idle_s": charged.idle_s,
        "reserved_usd": Decimal(0) if status == "cached" else cost.usd * 2,
        "cost_usd": {"settled": cost.usd, "unknown": None}.get(status, Decimal(0)),
        "saved_usd": cost.usd if status == "cached" else Decimal(0),
        "price_ids": ",".join(cost.price_ids),
        "sent_at": sent_at,
        "settled_at": sent_at,
        "usage_date": day,
    }
    return row | changes


def ledger(rows: Iterable[dict[str, Any]]) -> pa.Table:
    """Return attempts as the ledger's table."""
    return to_results(LLM_CALLS, list(rows))


tokens = st.integers(0, 2_000_000)
usages = st.builds(Usage, tokens, tokens, tokens, tokens, compute_s=st.decimals(0, 10_000, places=6, allow_nan=False, allow_infinity=False))
calls = st.builds(
    call,
    usages,
    tier=st.sampled_from(["fast", "standard", "expert"]),
    status=st.sampled_from(["settled", "settled", "failed", "unknown", "cached"]),
    day=st.sampled_from([DAY, date(2026, 11, 21)]),
    team=st.sampled_from(["records", "finance"]),
    skill=st.sampled_from(["tag-document", "extract-invoice"]),
    dag_id=st.sampled_from(["cli", "skill.x"]),
    item_id=st.sampled_from(["a", "b", "c"]),
)
