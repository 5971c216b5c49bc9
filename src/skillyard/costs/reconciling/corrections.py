"""Rows of the ledger that say what a provider's bill asked for more or less than its day's calls. They are added; no other row changes."""

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from hashlib import sha256
from typing import Any

from skillyard.costs.reconciling.ledger_side import KINDS

CORRECTION = "correction"
DAG_ID = "cost_reconcile"
EVERYBODY = "*"
NOBODY = "0" * 64
AMOUNTS = dict(zip(KINDS, ("missing_usd", "price_usd", "rounding_usd", "unexplained_usd"), strict=True))
"""By kind of correction: the column of ``reconciliations`` that has its amount."""


def corrections_of(reconciled: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the corrections that a row of ``reconciliations`` stands for: one for each part that is not 0."""
    for kind, column in AMOUNTS.items():
        if reconciled[column]:
            yield correction(
                run_id=reconciled["reconciliation_id"],
                operation_id=reconciled["reconciliation_id"],
                day=reconciled["usage_date"],
                model=reconciled["model"],
                tier=reconciled["tier"],
                provider=reconciled["provider"],
                kind=kind,
                cost_usd=reconciled[column],
                posted_at=reconciled["reconciled_at"],
            )


def correction(
    *,
    run_id: str,
    operation_id: str,
    day: date,
    model: str,
    tier: str,
    provider: str,
    kind: str,
    cost_usd: Decimal,
    posted_at: datetime,
) -> dict[str, Any]:
    """Return one row of ``llm_calls``: the same whenever the same is posted again."""
    name = "\0".join((run_id, operation_id, f"{day}", model, kind))
    return {
        "call_id": f"correction-{sha256(name.encode()).hexdigest()[:32]}",
        "operation_id": operation_id,
        "run_id": run_id,
        "dag_id": DAG_ID,
        "skill": EVERYBODY,
        "fingerprint": NOBODY,
        "team": EVERYBODY,
        "item_id": EVERYBODY,
        "doc_id": EVERYBODY,
        "attempt_no": 1,
        "sample_no": 0,
        "tier": tier,
        "model": model,
        "deployment": provider,
        "lane": "live",
        "service_tier": "standard",
        "purpose": CORRECTION,
        "request_hash": NOBODY,
        "max_tokens": 1,
        "status": CORRECTION,
        "error_kind": kind,
        **dict.fromkeys(("input_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens"), 0),
        **dict.fromkeys(("output_tokens", "reasoning_tokens", "n_images"), 0),
        **dict.fromkeys(("compute_s", "idle_s", "reserved_usd", "saved_usd"), Decimal(0)),
        "cost_usd": cost_usd,
        "price_ids": "bill",
        "sent_at": datetime.combine(day, time(12), UTC),
        "settled_at": posted_at,
        "usage_date": day,
    }
