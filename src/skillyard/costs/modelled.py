"""What the ledger's work would have cost on another profile: modelled, with the tokens as they were counted here."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import reduce

import pyarrow as pa
import pyarrow.compute as pc

from skillyard.costs.baseline import METERS, cost_at
from skillyard.costs.prices.book import PROMPT, PriceBook, load_prices
from skillyard.lake.lake import Lake
from skillyard.lake.read import read
from skillyard.lake.rows import by_day
from skillyard.lake.tables import LLM_CALLS
from skillyard.profiles import Deployment, Profile, load_profile
from skillyard.settings import Settings

_ITEM = ("skill", "fingerprint", "item_id")
_PURPOSES = ["answer", "routing", "vote"]
"""What work takes: without audits and evals, which show how well it was done."""


@dataclass(frozen=True, slots=True)
class Modelled:
    """The same work on another profile."""

    profile: str
    n_calls: int
    n_items: int
    routed_usd: Decimal
    """Every settled call at the price of its tier's model there."""
    expert_usd: Decimal
    """Every item asked once, its last settled answer, at the price of the expert's model there."""

    @property
    def saved_share(self) -> Decimal:
        """The share of the expert's cost that routing saves, 0 when nothing was asked."""
        return 1 - self.routed_usd / self.expert_usd if self.expert_usd else Decimal(0)


def modelled_cost(settings: Settings, profile_name: str) -> Modelled:
    """Return what all settled calls on the lake would have cost on a profile, with routing and without, at their days' prices."""
    book, profile = load_prices(settings), load_profile(profile_name, settings.include)
    columns = [*_ITEM, "tier", "purpose", "sent_at", "usage_date", *METERS.values()]
    where = (pc.field("status") == "settled") & pc.field("purpose").isin(_PURPOSES)
    calls = read(Lake(settings.lake), LLM_CALLS.name, columns, where)
    priced = [_priced(of_day, book, profile, day) for day, of_day in by_day(LLM_CALLS, calls)]
    if not priced:
        return Modelled(profile.name, 0, 0, Decimal(0), Decimal(0))
    rows = pa.concat_tables(priced).sort_by("sent_at")
    numbered = rows.append_column("number", pa.array(range(rows.num_rows))).filter(pc.equal(rows.column("purpose"), "answer"))
    last = numbered.group_by(list(_ITEM)).aggregate([("number", "max")]).column("number_max")
    routed, expert = pc.sum(rows.column("routed_usd")).as_py(), pc.sum(rows.column("expert_usd").take(last)).as_py()
    return Modelled(profile.name, rows.num_rows, len(last), routed, expert or Decimal(0))


def _priced(calls: pa.Table, book: PriceBook, profile: Profile, day: date) -> pa.Table:
    """Return a day's calls tier by tier, each with its cost at its own tier's model and at the expert's."""
    at = datetime.combine(day, time(), UTC)
    parts = []
    for tier in pc.unique(calls.column("tier")).to_pylist():
        of_tier = calls.filter(pc.equal(calls.column("tier"), tier))
        routed, expert = (_cost_on(of_tier, profile.tiers[asked][0], book, at) for asked in (tier, "expert"))
        parts.append(of_tier.append_column("routed_usd", routed).append_column("expert_usd", expert))
    return pa.concat_tables(parts)


def _cost_on(calls: pa.Table, deployment: Deployment, book: PriceBook, at: datetime) -> pa.ChunkedArray:
    """Return what each call would cost on a deployment, a long prompt by the prices of such."""
    own = (deployment.model, at, deployment.service_tier, deployment.region)
    costs = cost_at(calls, book.rates(*own))
    n_prompt = reduce(pc.add, (calls.column(METERS[part]) for part in PROMPT))
    for over in book.context_tiers(deployment.model, at.date()):
        costs = pc.if_else(pc.greater(n_prompt, over), cost_at(calls, book.rates(*own, context_tokens=over + 1)), costs)
    return costs
