"""What the classifier of a skill cost, and what it saved: the cost is measured, the savings are modelled.

An item that the classifier moved would have been answered by one call of the tier that it was moved from: its last answer's usage at the
price of that tier's first deployment on that day. What it saved is that amount less what the item's answers cost, escalations and votes
included, so an item that was moved up saves a negative amount. Two things are left out, both to the classifier's disadvantage: that a
call on the cheaper tier may have failed and gone on to the next, and that answers of a higher tier may be better.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from skillyard.costs.prices.book import METERS, PriceBook, load_prices, usage_of
from skillyard.lake.lake import Lake
from skillyard.lake.read import scan
from skillyard.lake.tables import LLM_CALLS, TIMESTAMP
from skillyard.profiles import Profile, load_profile
from skillyard.settings import Settings

ENOUGH = 200
"""With fewer classified items nothing is decided."""
CLASSIFIED = pa.schema(
    [
        ("run_id", pa.string()),
        ("item_id", pa.string()),
        ("operation_id", pa.string()),
        ("complexity", pa.string()),
        ("requires_auth", pa.bool_()),
        ("tools_needed", pa.list_(pa.string())),
        ("reasoning", pa.string()),
        ("routed_tier", pa.string()),
        ("tier", pa.string()),
        ("classified_at", TIMESTAMP),
    ]
)
"""One row per classified item of a run: what was said of it, where it would have started (``routed_tier``), and where it did."""
_COLUMNS = ["operation_id", "purpose", "status", "lane", "sent_at", "cost_usd", *METERS]


@dataclass(frozen=True, slots=True)
class Balance:
    """A classifier's cost beside its savings."""

    n: int
    """Classified items."""
    cost_usd: Decimal
    saved_usd: Decimal

    @property
    def is_loss(self) -> bool:
        """It costs more than it saves, over enough items to say so."""
        return self.n >= ENOUGH and self.cost_usd > self.saved_usd


def classified_folder(skill: str) -> str:
    """Return where the classified items of a skill's runs lie on the lake, one object per run."""
    return f"_classified/{skill}/"


def classifier_balance(settings: Settings, skill: str, since: date) -> Balance:
    """Return what classifying a skill's items has cost and saved since a day (UTC), as far as it is published."""
    lake = Lake(settings.lake)
    rows = [row for frame in _frames(lake, skill, since) for row in frame.to_pylist()]
    if not rows:
        return Balance(0, Decimal(0), Decimal(0))
    moved = {row["operation_id"]: row["routed_tier"] for row in rows if row["tier"] != row["routed_tier"]}
    cost, answers = _read_calls(lake, skill, since, moved)
    profile, prices = load_profile(settings.profile, settings.include), load_prices(settings)
    saved = (_saved(calls, moved[operation], profile, prices) for operation, calls in answers.items())
    return Balance(len(rows), cost, sum(saved, Decimal(0)))


def _frames(lake: Lake, skill: str, since: date) -> Iterator[pa.Table]:
    began = datetime.combine(since, time(), UTC)
    for info in lake.storage.list(classified_folder(skill)):
        if info.modified_at >= began:
            rows = lake.read_frame(info.key).select(["operation_id", "routed_tier", "tier", "classified_at"])
            yield rows.filter(pc.greater_equal(rows.column("classified_at"), pa.scalar(began, TIMESTAMP)))


def _read_calls(lake: Lake, skill: str, since: date, moved: dict[str, str]) -> tuple[Decimal, dict[str, list[dict[str, Any]]]]:
    """Return what classifying cost, and the settled answers and votes of the moved items by operation, in order."""
    where = (pc.field("skill") == skill) & (pc.field("status") == "settled") & (pc.field("usage_date") >= pa.scalar(since, pa.date32()))
    wanted, cost, found = pa.array(moved, pa.string()), Decimal(0), list[dict[str, Any]]()
    for batch in scan(lake, LLM_CALLS, _COLUMNS, where & pc.field("purpose").isin(["routing", "answer", "vote"])):
        is_routing = pc.equal(batch.column("purpose"), "routing")
        cost += pc.sum(batch.filter(is_routing).column("cost_usd")).as_py() or Decimal(0)
        is_wanted = pc.and_(pc.invert(is_routing), pc.is_in(batch.column("operation_id"), wanted))
        found += batch.filter(is_wanted).to_pylist()
    answers: dict[str, list[dict[str, Any]]] = {}
    for call in sorted(found, key=lambda call: call["sent_at"]):
        answers.setdefault(call["operation_id"], []).append(call)
    return cost, answers


def _saved(calls: list[dict[str, Any]], routed_tier: str, profile: Profile, prices: PriceBook) -> Decimal:
    """Return what one call on the tier that an item was moved from would have cost, less what its answers cost."""
    last = next((call for call in reversed(calls) if call["purpose"] == "answer"), None)
    if last is None:
        return Decimal(0)
    deployment = profile.deployments(routed_tier)[0]
    service_tier = deployment.service_tier_in(last["lane"] if deployment.has_batch else "live")
    modelled = prices.cost(deployment.model, usage_of(last), last["sent_at"], service_tier, deployment.region).usd
    return modelled - sum((call["cost_usd"] for call in calls), Decimal(0))
