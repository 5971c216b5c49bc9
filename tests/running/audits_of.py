"""Audits and cases on a lake without asking any model: rows as an audit and an eval would publish them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal

import numpy as np
import pyarrow as pa

from skillyard.lake.lake import Lake
from skillyard.lake.publish import append
from skillyard.lake.tables import AUDITS, EVALS
from skillyard.settings import Settings
from skillyard.skills import Catalogue

COSTS = {"fast": Decimal("0.001"), "standard": Decimal("0.005"), "expert": Decimal("0.02")}


def publish_audit(
    settings: Settings, skill: str, doc_ids: Sequence[str], chances: Mapping[str, float], at: datetime, fingerprint: str | None = None
) -> None:
    """Publish one audit of documents: each tier is right with its chance, the same draws for the same moment."""
    rng, audit_id = np.random.default_rng(int(at.timestamp())), f"{skill}-{at:%Y%m%dT%H%M%S}"
    rows = [
        audit_row(settings, skill, doc_id, tier, float(rng.random() < chance), at, audit_id, fingerprint)
        for doc_id in doc_ids
        for tier, chance in chances.items()
    ]
    publish_audit_rows(settings, rows, audit_id)


def publish_audit_rows(settings: Settings, rows: Sequence[Mapping[str, object]], part: str) -> None:
    """Publish rows of the table audits."""
    append(Lake(settings.lake), AUDITS, pa.Table.from_pylist([dict(row) for row in rows], schema=AUDITS.schema), part)


def audit_row(
    settings: Settings, skill: str, doc_id: str, tier: str, agreement: float, at: datetime, audit_id: str, fingerprint: str | None = None
) -> dict[str, object]:
    """Return what an audit says of one tier's answer."""
    return {
        "audit_id": audit_id,
        "skill": skill,
        "fingerprint": fingerprint or Catalogue(settings.include).load(skill).fingerprint(),
        "item_id": doc_id,
        "doc_id": doc_id,
        "result_run_id": "r1",
        "tier": tier,
        "model": f"openai/sim-{tier}",
        "is_served": tier == "fast",
        "route_score": 0.1,
        "router_version": "heuristic",
        "stratum": "fast",
        "weight": 1.0,
        "has_passed": True,
        "error_kind": None,
        "agreement": agreement,
        "field_agreement": "{}",
        "answer": "{}",
        "expert_answer": "{}",
        "cost_usd": COSTS[tier],
        "audit_cost_usd": Decimal(0),
        "latency_ms": 400,
        "audited_at": at,
        "audited_on": at.date(),
    }


def publish_cases(settings: Settings, skill: str, n_cases: int, at: datetime, right: Mapping[str, bool]) -> None:
    """Publish an eval of cases that each tier gets right or not."""
    fingerprint = Catalogue(settings.include).load(skill).fingerprint()
    rows = [
        {
            "eval_id": f"eval-{at:%Y%m%dT%H%M%S}",
            "skill": skill,
            "fingerprint": fingerprint,
            "case_id": f"case-{n}",
            "text": f"Case {n}: the parcel has not arrived and I would like to have my money back.",
            "tier": tier,
            "model": f"openai/sim-{tier}",
            "has_passed": True,
            "is_right": is_right,
            "message": None,
            "cost_usd": COSTS[tier],
            "latency_ms": 300,
            "evaluated_at": at,
            "evaluated_on": at.date(),
        }
        for n in range(n_cases)
        for tier, is_right in right.items()
    ]
    append(Lake(settings.lake), EVALS, pa.Table.from_pylist(rows, schema=EVALS.schema), f"{skill}-{at:%Y%m%dT%H%M%S}")
