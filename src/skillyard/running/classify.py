"""Ask the classifier about the items of a run that the router is not sure of; its word may move where they start.

It is asked on the cheapest tier, through the gateway as any other call: within the run's budgets, paid once, in the ledger with the purpose
``routing``. An item without an answer is routed as if there were no classifier.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa

from skillyard.costs.classifier import CLASSIFIED, classified_folder, classifier_balance
from skillyard.costs.prices.book import PriceBook
from skillyard.gateway.complete import BudgetExhausted, Gateway, ItemRefused, ProviderUnavailable, WaitingForBatch
from skillyard.gateway.request import Request, upper_bound
from skillyard.profiles import Profile
from skillyard.routing.classifier import (
    MAX_TOKENS,
    MOST_USD,
    SCHEMA,
    TIMEOUT_S,
    Classification,
    NotClassified,
    classified,
    classifier_messages,
    is_unsure,
    read_classification,
)
from skillyard.routing.decide import Decision
from skillyard.routing.features import extract_features
from skillyard.routing.policy import SkillPolicy
from skillyard.running.answer import n_tokens_needed
from skillyard.running.decider import Decider
from skillyard.running.estimate import Range, call_price
from skillyard.running.items import Item
from skillyard.running.lease import renew_lease
from skillyard.running.runs import RunPlan, Workspace, check_ready, run_limits, slug
from skillyard.running.shard import MAX_IN_FLIGHT, finish_workers
from skillyard.settings import Settings
from skillyard.skills import Skill
from skillyard.tiers import TIERS
from skillyard.tokens import estimate_messages

TIER = TIERS[0]
WINDOW = timedelta(days=30)
"""What a classifier cost and saved is looked at for so long: one that was off for as long is tried again."""
RENEW_EVERY_S = 60.0
REPLY_TOKENS = 60
"""A short sentence and three values."""

Row = dict[str, Any]
Decided = tuple[Row, Decision]


@dataclass(frozen=True, slots=True)
class Classifier:
    """The classifier as one run may ask it."""

    space: Workspace
    plan: RunPlan
    profile: Profile
    prices: PriceBook
    at: datetime

    def request(self, item_id: str, doc_id: str, text: str) -> Request:
        """Return what is asked about an item."""
        skill, plan = self.space.skill, self.plan
        return Request(
            run_id=plan.run_id,
            dag_id=plan.dag_id,
            team=plan.team,
            skill=skill.name,
            fingerprint=plan.fingerprint,
            item_id=item_id,
            doc_id=doc_id,
            tier=TIER,
            messages=classifier_messages(skill.description, text),
            schema=SCHEMA,
            max_tokens=min(MAX_TOKENS, *(d.max_output_tokens for d in self.profile.deployments(TIER))),
            timeout_s=TIMEOUT_S,
            is_shared=skill.share == "all",
            lake=plan.lake,
            purpose="routing",
        )

    def bound_usd(self, request: Request) -> Decimal:
        """Return the most that one request can cost."""
        deployments = self.profile.deployments(TIER)
        return max(upper_bound(request, d, self.prices, request.max_tokens, self.at) for d in deployments)

    def range_usd(self, items: Iterable[Item]) -> Range:
        """Return what asking about items costs if each is asked once: its input alone, with a reply of mean length, and at most."""
        price = call_price(self.profile.deployments(TIER), self.prices, self.at)
        expected = low = high = 0.0
        for item in items:
            request = self.request(item.item_id, item.doc_id, item.text)
            if (bound := self.bound_usd(request)) < MOST_USD:
                n_input = estimate_messages(request.messages)
                low, expected, high = low + price.of(n_input, 0), expected + price.of(n_input, REPLY_TOKENS), high + float(bound)
        return Range(expected, low, high)

    def refusal(self, request: Request) -> str | None:
        """Return why a request is not sent, or None."""
        if (bound := self.bound_usd(request)) >= MOST_USD:
            return f"it may cost ${bound:.4f}, not below ${MOST_USD}"
        if n_tokens_needed(request) > self.profile.context_tokens(TIER):
            return f"{n_tokens_needed(request)} tokens do not fit {TIER}"
        if self.plan.deadline and datetime.now(UTC) >= datetime.fromisoformat(self.plan.deadline):
            return "the run's deadline has passed"
        return None


def why_off(settings: Settings, skill: Skill, profile: Profile, first_tier: str | None, at: datetime) -> str | None:
    """Return why no item of a run is asked about although the skill has a classifier, or None."""
    if first_tier:
        return "the first tier is given"
    if profile.is_same(skill.tier_default, skill.tier_max):
        return f"{skill.tier_default} and {skill.tier_max} ask the same model"
    if skill.classifier == "always":
        return None
    balance = classifier_balance(settings, skill.name, (at - WINDOW).date())
    if not balance.is_loss:
        return None
    return f"it cost ${balance.cost_usd:.4f} and saved ${balance.saved_usd:.4f} over {balance.n} items"


def explain_classifier(settings: Settings, skill: Skill, profile: Profile, decider: Decider, decision: Decision) -> str:
    """Return what a run would do about the classifier for an item with this decision, in words."""
    if not skill.classifier:
        return "the skill has none"
    if off := why_off(settings, skill, profile, decider.first_tier, datetime.now(UTC)):
        return f"off: {off}"
    return "asked in a run" if is_unsure(decision, _policy(decider), skill.tier_max) else "not asked: the evidence is clear"


def classify_items(
    classifier: Classifier, decider: Decider, decided: Iterable[Decided], say: Callable[[str], None] | None = None
) -> list[Decided]:
    """Return the items with their decisions, after the classifier was asked about those that are not sure. ``say`` is told of soft limits.

    What was said of each item, and where it would have started, is kept on the lake beside the run.
    """
    rows = list(decided)
    space, plan, skill = classifier.space, classifier.plan, classifier.space.skill
    if off := why_off(space.settings, skill, classifier.profile, plan.first_tier, classifier.at):
        return [(row, replace(d, reason=f"{d.reason}; the classifier is off: {off}")) for row, d in rows]
    policy = _policy(decider)
    unsure = [row for row, decision in rows if is_unsure(decision, policy, skill.tier_max)]
    if not unsure:
        return rows
    check_ready(skill, classifier.profile, classifier.prices)
    said = asyncio.run(_ask_all(classifier, unsure, say))
    moved = [(row, _apply(decider, row, decision, said.get(row["item_id"]))) for row, decision in rows]
    _keep(classifier, rows, moved, said)
    return moved


def _policy(decider: Decider) -> SkillPolicy | None:
    router = decider.champion.router
    return router.policies.get(decider.skill) if router else None


def _apply(decider: Decider, row: Row, decision: Decision, said: Classification | str | None) -> Decision:
    if isinstance(said, Classification):
        features = extract_features(row["text"], row["language"])
        return decider.keep_off(classified(decision, decider.traits, features, decider.windows, said), features)
    return replace(decision, reason=f"{decision.reason}; not classified: {said}") if said else decision


async def _ask_all(classifier: Classifier, rows: Sequence[Row], say: Callable[[str], None] | None) -> dict[str, Classification | str]:
    """Return by item what the classifier says, or why it says nothing. Items are asked about side by side, as a shard's are answered."""
    space, plan = classifier.space, classifier.plan
    gateway = Gateway(space.state, classifier.profile, classifier.prices, run_limits(space.settings, plan))
    said: dict[str, Classification | str] = {}
    waiting, stop, renewed = iter(rows), asyncio.Event(), time.monotonic()

    async def work() -> None:
        nonlocal renewed
        for row in waiting:
            if stop.is_set():
                return
            said[row["item_id"]] = await _ask(classifier, gateway, row)
            if time.monotonic() - renewed > RENEW_EVERY_S:
                renewed = time.monotonic()
                await asyncio.to_thread(renew_lease, space.state, plan.lease, plan.lease_owner)
            while gateway.alerts:
                alert = gateway.alerts.pop()
                if say:
                    say(f"{plan.skill}: {alert}")

    n_workers = min(MAX_IN_FLIGHT, len(rows), sum(d.concurrency for d in classifier.profile.deployments(TIER)))
    try:
        await finish_workers([asyncio.create_task(work()) for _ in range(n_workers)], stop)
    finally:
        await gateway.stop()
    return said


async def _ask(classifier: Classifier, gateway: Gateway, row: Row) -> Classification | str:
    request = classifier.request(row["item_id"], row["doc_id"], row["text"])
    if refusal := classifier.refusal(request):
        return refusal
    try:
        completion = await gateway.complete(request)
        return read_classification(completion.answer.content)
    except ItemRefused as refused:
        return f"{refused.kind}: {refused.message}"[:200]
    except (ProviderUnavailable, BudgetExhausted, WaitingForBatch, NotClassified) as error:
        return str(error)[:200]


def _keep(classifier: Classifier, rows: Sequence[Decided], moved: Sequence[Decided], said: dict[str, Classification | str]) -> None:
    """Write what the balance is made of, over what an earlier try of the same run has written."""
    found = []
    for (row, before), (_, after) in zip(rows, moved, strict=True):
        word = said.get(row["item_id"])
        if isinstance(word, Classification):
            operation = classifier.request(row["item_id"], row["doc_id"], "").operation_id
            ids = {"run_id": classifier.plan.run_id, "item_id": row["item_id"], "operation_id": operation}
            found.append(ids | asdict(word) | {"routed_tier": before.tier, "tier": after.tier, "classified_at": classifier.at})
    key = f"{classified_folder(classifier.plan.skill)}{slug(classifier.plan.run_id)}.parquet"
    classifier.space.lake.write_frame(key, pa.Table.from_pylist(found, schema=CLASSIFIED))
