"""Rows of the tables that audits fill, for the tests of what is made of them."""

from datetime import UTC, datetime, time
from decimal import Decimal
from typing import Any

from tests.costs.ledger import DAY, MODELS


def audit(tier: str, agreement: float, number: int, cost: str = "1", **changes: Any) -> dict[str, Any]:
    """Return one row of ``audits``."""
    at = datetime.combine(DAY, time(3), UTC)
    row = {
        "audit_id": "audit-1",
        "skill": "tag-document",
        "fingerprint": "f",
        "item_id": f"item-{number}",
        "doc_id": f"item-{number}",
        "result_run_id": "run-1",
        "tier": tier,
        "model": MODELS[tier],
        "is_served": tier == "fast",
        "route_score": 0.1,
        "router_version": "heuristic",
        "stratum": "fast",
        "weight": 1.0,
        "has_passed": True,
        "agreement": agreement,
        "field_agreement": "{}",
        "cost_usd": Decimal(cost),
        "audit_cost_usd": Decimal(0),
        "audited_at": at,
        "audited_on": DAY,
    }
    return row | changes


def quality(retained: float, lower: float, upper: float, n_audited: int = 100, **changes: Any) -> dict[str, Any]:
    """Return one row of ``quality_daily``."""
    row = {
        "usage_date": DAY,
        "skill": "tag-document",
        "router_version": "r1",
        "n_audited": n_audited,
        "n_audited_today": 10,
        "retained": retained,
        "retained_lower": lower,
        "retained_upper": upper,
        "target": 0.95,
        "audit_cost_usd": Decimal("0.01"),
    }
    return row | changes
