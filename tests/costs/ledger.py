"""Ledgers for the tests of the bill: attempts as the gateway records them, priced by the book."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time
from decimal import Decimal
from hashlib import sha256
from itertools import count
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

from skillyard.costs.prices.book import PriceBook, Usage
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


@st.composite
def _operations(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Return the attempts of one operation, over midnight too; votes, shared calls, cached answers and corrections are of one row."""
    of_all = {name: draw(st.sampled_from(values)) for name, values in _OF_OPERATION.items()}
    purpose = draw(st.sampled_from(["answer", "answer", "answer", "vote", "routing", "audit", "judge", "correction"]))
    operation = {**of_all, "operation_id": f"op-{next(_numbers)}", "purpose": purpose, "doc_id": of_all["item_id"]}
    if purpose == "correction":
        whose = {"team": "*", "skill": "*", "price_ids": "bill", "status": "correction", "reserved_usd": Decimal(0)}
        return [call(Usage(), **operation | whose, cost_usd=draw(st.decimals(-100, 100, places=12)))]
    n_attempts = draw(st.integers(1, 4)) if purpose == "answer" else 1
    days = sorted(draw(st.lists(st.sampled_from([DAY, DAY, date(2026, 11, 21)]), min_size=n_attempts, max_size=n_attempts)))
    rows = []
    for number, day in enumerate(days, 1):
        status = draw(st.sampled_from(["settled", "settled", "settled", "failed", "unknown", "cached"]))
        tier, lane = draw(st.sampled_from(list(MODELS))), draw(st.sampled_from(["live", "live", "batch"]))
        rows.append(call(draw(usages), tier=tier, status=status, day=day, lane=lane, attempt_no=number, **operation))
    return rows


_OF_OPERATION = {
    "team": ["records", "finance"],
    "skill": ["tag-document", "extract-invoice"],
    "fingerprint": ["1" * 64, "2" * 64],
    "dag_id": ["cli", "skill.x"],
    "item_id": ["a", "b", "c", "d"],
    "run_id": ["run-1"],
}
operations = _operations()


def reject(row: dict[str, Any]) -> dict[str, Any]:
    """Return the end of a call's item as a reject, in its run, on its day."""
    at = datetime.combine(row["usage_date"], time(13), UTC)
    known = {name: row[name] for name in ("run_id", "item_id", "doc_id", "skill", "fingerprint", "tier")}
    told = {"stage": "answer", "error_kind": "invalid_output", "error_message": "no answer passed", "n_attempts": 1, "cost_usd": Decimal(0)}
    return known | told | {"rejected_at": at, "rejected_on": at.date()}
