"""The rows of ``audits``: each tier's answer beside the reference, with what it costs and what the audit paid, as the ledger says."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pyarrow.compute as pc

from skillyard.costs.prices.book import METERS, PriceBook, usage_of
from skillyard.lake.lake import Lake
from skillyard.lake.read import read
from skillyard.lake.tables import LLM_CALLS
from skillyard.running.audit_ask import Audited, TierAnswer
from skillyard.running.audit_plan import AuditPlan, Sampled
from skillyard.skills import Skill
from skillyard.skills.agreement import agreement

LEDGER_SLACK = timedelta(days=3)
"""A result may be made so long after the first call for it left: it waited for a batch."""
COLUMNS = ("run_id", "item_id", "tier", "model", "purpose", "lane", "status", "cost_usd", "saved_usd", "latency_ms", "sent_at", *METERS)

Key = tuple[str, str, str]
"""run_id, item_id, tier."""


@dataclass(frozen=True, slots=True)
class Bill:
    """What the ledger says of an audit's calls and of those behind the audited results."""

    prices: Mapping[Key, tuple[Decimal, int | None]]
    """Price of the last answer as a live call, so that tiers compare, and its latency in ms where it was one."""
    paid: Mapping[Key, Decimal]
    """Settled cost, a judge's calls included."""

    def paid_by(self, run_id: str) -> Decimal:
        """Return what a run paid in all."""
        return sum((usd for key, usd in self.paid.items() if key[0] == run_id), Decimal(0))


def read_bill(lake: Lake, skill: str, plan: AuditPlan, book: PriceBook) -> Bill:
    """Return the bill of an audit whose calls have been taken to the lake."""
    since = min(s.produced_at for s in plan.sample) - LEDGER_SLACK
    runs = {plan.audit_id, *(s.result_run_id for s in plan.sample)}
    wanted = (pc.field("usage_date") >= since.date()) & (pc.field("skill") == skill) & pc.field("run_id").isin(sorted(runs))
    prices: dict[Key, tuple[Decimal, int | None]] = {}
    paid: dict[Key, Decimal] = defaultdict(Decimal)
    for row in sorted(read(lake, LLM_CALLS, COLUMNS, wanted).to_pylist(), key=lambda row: row["sent_at"]):
        key = (row["run_id"], row["item_id"], row["tier"])
        if row["status"] == "settled":
            paid[key] += row["cost_usd"]
        if row["status"] in ("settled", "cached") and row["purpose"] in ("answer", "audit"):
            is_live = row["status"] == "settled" and row["lane"] == "live"
            prices[key] = (_live_price(row, book), row["latency_ms"] if is_live else None)
    return Bill(prices, paid)


def _live_price(row: Mapping[str, Any], book: PriceBook) -> Decimal:
    if row["status"] == "settled" and row["lane"] == "batch":
        return book.cost(row["model"], usage_of(row), row["sent_at"]).usd
    return Decimal(row["cost_usd"] + row["saved_usd"])


def rows_of(audited: Audited, plan: AuditPlan, skill: Skill, served: str, bill: Bill) -> Iterator[dict[str, Any]]:
    """Yield one row per tier of an audited item; ``served`` is the tier under whose name the result is compared."""
    sampled, reference = audited.sampled, audited.answers[-1]
    assert reference.value is not None
    for answer in audited.answers:
        is_served = answer.tier == served
        own = (plan.audit_id, sampled.item.item_id, answer.tier)
        asked = (sampled.result_run_id, sampled.item.item_id, sampled.tier) if is_served else own
        price, latency_ms = bill.prices.get(asked, (answer.price_usd, None))
        share, fields = (0.0, {}) if answer.value is None else agreement(skill.output_schema, answer.value, reference.value, answer.judged)
        yield _of_item(sampled, plan, skill) | {
            "tier": answer.tier,
            "model": answer.model,
            "is_served": is_served,
            "has_passed": answer.value is not None,
            "error_kind": answer.error_kind,
            "agreement": share,
            "field_agreement": json.dumps(fields),
            "answer": _json(answer),
            "expert_answer": _json(reference),
            "cost_usd": price,
            "audit_cost_usd": bill.paid.get(own, Decimal(0)),
            "latency_ms": latency_ms,
        }


def _of_item(sampled: Sampled, plan: AuditPlan, skill: Skill) -> dict[str, Any]:
    same = ("fingerprint", "result_run_id", "route_score", "router_version", "stratum", "weight")
    return {name: getattr(sampled, name) for name in same} | {
        "audit_id": plan.audit_id,
        "skill": skill.name,
        "item_id": sampled.item.item_id,
        "doc_id": sampled.item.doc_id,
        "audited_at": plan.drawn_at,
        "audited_on": plan.drawn_at.date(),
    }


def _json(answer: TierAnswer) -> str | None:
    return None if answer.value is None else json.dumps(answer.value, ensure_ascii=False)
