"""Ask for audited items on every tier: the reference first, no escalation, texts judged where the skill's schema wants it."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from skillyard.costs.prices.book import PriceBook
from skillyard.gateway.budgets import Limits
from skillyard.gateway.complete import BudgetExhausted, Gateway, ProviderUnavailable, WaitingForBatch
from skillyard.profiles import Profile
from skillyard.running.answer import PENDING, AnswerFailed, OwnerAsker, Spent, answer_on
from skillyard.running.audit_plan import AuditPlan, Sampled, compared_tiers
from skillyard.running.judge import judge_texts
from skillyard.running.lease import renew_lease
from skillyard.running.runs import Workspace, owner_limits
from skillyard.skills.agreement import texts_to_judge
from skillyard.tiers import TIERS

AT_ONCE = 32
"""Items on their way; the deployments' own limits hold besides."""
LEFT_OUT = "expert_failed"
"""Why an item is not audited whose reference failed its checks."""


@dataclass(frozen=True, slots=True)
class TierAnswer:
    """What one tier made of an item."""

    tier: str
    model: str = ""
    value: Mapping[str, Any] | None = None
    error_kind: str | None = None
    price_usd: Decimal = Decimal(0)
    """What the answer cost, where the ledger knows no better."""
    judged: Mapping[tuple[str, str], float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Audited:
    """An item with an answer of each compared tier, the reference last; or why there is none."""

    sampled: Sampled
    answers: tuple[TierAnswer, ...] = ()
    why_not: str = ""
    """LEFT_OUT, or a pending reason."""


@dataclass(frozen=True, slots=True)
class Auditor:
    """Asks for the items of one audit."""

    space: Workspace
    profile: Profile
    prices: PriceBook
    plan: AuditPlan
    dag_id: str
    lease: tuple[str, str]
    """Name and owner, to be renewed meanwhile."""
    say: Callable[[str], None]

    @property
    def names(self) -> Mapping[str, str]:
        """Each tier the skill may use, with the one under whose name it is compared."""
        return compared_tiers(self.space.skill, self.profile)

    @property
    def tiers(self) -> tuple[str, ...]:
        """The compared tiers, the reference last."""
        return tuple(tier for tier in TIERS if tier in self.names.values())

    @property
    def limits(self) -> Limits:
        """The budgets that hold: those of the team that owns the skill."""
        return owner_limits(self.space.settings, self.space.skill, self.plan.audit_id)

    def asker(self, sampled: Sampled) -> OwnerAsker:
        """Return on whose behalf a sampled item is asked for."""
        own = (sampled.fingerprint, sampled.parameters, self.space.lake.url)
        return OwnerAsker(self.plan.audit_id, self.dag_id, self.space.skill.owner, *own)

    async def answer_all(self) -> list[Audited]:
        """Return what became of each sampled result, in order. Only errors that concern every item are raised, once all have ended."""
        gateway = Gateway(self.space.state, self.profile, self.prices, self.limits)
        at_once = asyncio.Semaphore(AT_ONCE)

        async def work(sampled: Sampled) -> Audited:
            async with at_once:
                found = await self._answer(sampled, self.asker(sampled), gateway)
                await asyncio.to_thread(renew_lease, self.space.state, *self.lease)
            while gateway.alerts:
                self.say(f"{self.space.skill.name}: {gateway.alerts.pop()}")
            return found

        try:
            found = await asyncio.gather(*map(work, self.plan.sample), return_exceptions=True)
        finally:
            await gateway.stop()
        for one in found:
            if isinstance(one, BaseException):
                raise one
        return [one for one in found if isinstance(one, Audited)]

    async def _answer(self, sampled: Sampled, asker: OwnerAsker, gateway: Gateway) -> Audited:
        *cheaper, top = self.tiers

        async def on(tier: str) -> TierAnswer:
            if tier == self.names[sampled.tier]:
                return TierAnswer(tier, sampled.model, sampled.answer, price_usd=sampled.cost_usd)
            return await self._answer_on(tier, sampled, asker, gateway)

        reference = await on(top)
        if reference.value is None:
            is_pending = reference.error_kind in PENDING.values()
            return Audited(sampled, why_not=str(reference.error_kind) if is_pending else LEFT_OUT)
        answers = [await on(tier) for tier in cheaper]
        try:
            judged = [await self._judge(answer, reference, sampled, asker, gateway) for answer in answers]
        except (ProviderUnavailable, BudgetExhausted, WaitingForBatch) as error:
            return Audited(sampled, why_not=PENDING[type(error)])
        return Audited(sampled, (*judged, reference))

    async def _answer_on(self, tier: str, sampled: Sampled, asker: OwnerAsker, gateway: Gateway) -> TierAnswer:
        spent = Spent()
        try:
            value, model, _ = await answer_on(tier, sampled.item, self.space.skill, asker, self.profile, gateway, spent, "audit")
        except (ProviderUnavailable, BudgetExhausted, WaitingForBatch) as error:
            return TierAnswer(tier, error_kind=PENDING[type(error)])
        except AnswerFailed as failure:
            return TierAnswer(tier, error_kind=failure.kind, price_usd=spent.cost_usd)
        return TierAnswer(tier, model, value, price_usd=spent.cost_usd)

    async def _judge(self, answer: TierAnswer, reference: TierAnswer, sampled: Sampled, asker: OwnerAsker, gateway: Gateway) -> TierAnswer:
        """Return the answer with what the judge says of its texts; where it says nothing, shared words will decide."""
        if answer.value is None or reference.value is None:
            return answer
        verdicts = {}
        for pair in texts_to_judge(self.space.skill.output_schema, answer.value, reference.value):
            verdict = await judge_texts(pair, reference.tier, sampled.item, self.space.skill, asker, self.profile, gateway)
            if verdict is not None:
                verdicts[pair] = verdict
        return replace(answer, judged=verdicts)
