"""One item to its end: asked on its first tier, moved up when its answer fails, until a result, a reject or a pending reason."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Protocol

from skillyard.documents import Rejected
from skillyard.documents.result import Refused
from skillyard.errors import SkillyardError
from skillyard.gateway.complete import BudgetExhausted, Completion, Gateway, ItemRefused, ProviderUnavailable, WaitingForBatch
from skillyard.gateway.request import Request
from skillyard.profiles import Deployment, Profile
from skillyard.routing.votes import count_against, is_accepted
from skillyard.running.items import Item
from skillyard.running.runs import RunPlan
from skillyard.running.voters import voters_of
from skillyard.skills import OutputError, Skill, Source, parse_output, run_checks
from skillyard.skills.agreement import agreement
from skillyard.skills.output import validate_output
from skillyard.tiers import TIERS
from skillyard.tokens import estimate_messages

FAILED_PENDING = frozenset({"provider_unavailable", "failed_shard", "budget"})
"""Pending reasons that somebody has to act on: the run is red. A deadline that was asked for is not one."""
PENDING = {ProviderUnavailable: "provider_unavailable", BudgetExhausted: "budget", WaitingForBatch: "waiting_for_batch"}
"""Why an item is left for a later run."""


@dataclass(frozen=True, slots=True)
class RoutedItem(Item):
    """An item as a lane's shard holds it: with where it starts, and why."""

    tier: str = field(kw_only=True)
    route_score: float = field(kw_only=True)
    route_reason: str = field(kw_only=True)
    router_version: str = field(kw_only=True)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an item ended: ``result``, ``reject`` or ``pending``."""

    kind: str
    tier: str
    model: str = ""
    value: dict[str, Any] | None = None
    error_kind: str | None = None
    error_message: str | None = None
    n_attempts: int = 0
    n_escalations: int = 0
    cost_usd: Decimal = Decimal(0)
    ended_at: datetime = field(default_factory=lambda: datetime.now(UTC))


class Asker(Protocol):
    """On whose behalf an item is asked for: a run's plan, or an audit."""

    @property
    def run_id(self) -> str: ...
    @property
    def dag_id(self) -> str: ...
    @property
    def team(self) -> str: ...
    @property
    def fingerprint(self) -> str: ...
    @property
    def parameters(self) -> Mapping[str, Any]: ...
    @property
    def learned_max_tokens(self) -> Mapping[str, int]: ...
    @property
    def lake(self) -> str: ...


@dataclass(frozen=True, slots=True)
class OwnerAsker:
    """Asks outside a run, for an audit or an eval: the team that owns the skill pays."""

    run_id: str
    dag_id: str
    team: str
    fingerprint: str
    parameters: Mapping[str, Any]
    lake: str
    learned_max_tokens: Mapping[str, int] = field(default_factory=dict)


class AnswerFailed(SkillyardError):
    """A tier's answer cannot be used: why, by the words of ``escalate_when``."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(kind, message)
        self.kind, self.message = kind, message


@dataclass(slots=True)
class Spent:
    """What the item has used so far, over all its tiers."""

    n_attempts: int = 0
    cost_usd: Decimal = Decimal(0)
    n_escalations: int = 0

    def add(self, completion: Completion) -> None:
        """Count an answer; one from the cache was paid by an earlier run."""
        self.n_attempts += completion.n_attempts
        self.cost_usd += completion.cost_usd


async def answer_item(item: RoutedItem, skill: Skill, plan: RunPlan, profile: Profile, gateway: Gateway) -> Outcome:
    """Return how the item ended. Only errors that concern every item (a wrong key, a full disk) are raised."""
    spent = Spent()
    asked: list[str] = []
    failure = AnswerFailed("unanswered", "no tier was asked")
    tiers = profile.distinct(TIERS[TIERS.index(item.tier) : TIERS.index(skill.tier_max) + 1])
    for tier in tiers:
        spent.n_escalations += bool(asked)
        asked.append(tier)
        try:
            answer = answer_on if tier == tiers[-1] else _answer_and_vote
            value, model, ended_at = await answer(tier, item, skill, plan, profile, gateway, spent)
        except (ProviderUnavailable, BudgetExhausted, WaitingForBatch) as error:
            if isinstance(error, ProviderUnavailable) and "unavailable" in skill.escalate_when and tier != tiers[-1]:
                continue
            n = (spent.n_attempts, spent.n_escalations, spent.cost_usd)
            return Outcome("pending", tier, "", None, PENDING[type(error)], str(error)[:500], *n)
        except AnswerFailed as error:
            failure = error
            if error.kind not in skill.escalate_when:
                break
        else:
            return Outcome("result", tier, model, value, None, None, spent.n_attempts, spent.n_escalations, spent.cost_usd, ended_at)
    n = (spent.n_attempts, spent.n_escalations, spent.cost_usd)
    return Outcome("reject", asked[-1], "", None, failure.kind, failure.message[:500], *n)


def make_request(tier: str, item: Item, skill: Skill, asker: Asker, profile: Profile, purpose: str = "answer") -> Request:
    """Return what is asked for an item on a tier, live or in a batch."""
    return Request(
        run_id=asker.run_id,
        dag_id=asker.dag_id,
        team=asker.team,
        skill=skill.name,
        fingerprint=asker.fingerprint,
        item_id=item.item_id,
        doc_id=item.doc_id,
        tier=tier,
        messages=skill.messages(item.source, asker.parameters),
        schema=skill.request_schema,
        max_tokens=min(skill.limits.output_tokens, *(d.max_output_tokens for d in profile.deployments(tier))),
        timeout_s=skill.limits.timeout_s,
        learned_max_tokens=asker.learned_max_tokens.get(tier),
        is_shared=skill.share == "all",
        lake=asker.lake,
        purpose=purpose,
    )


def n_tokens_needed(request: Request) -> int:
    """Return about how large a context window the request needs, its answer included."""
    return estimate_messages(request.messages) + request.max_tokens


async def answer_on(
    tier: str, item: Item, skill: Skill, asker: Asker, profile: Profile, gateway: Gateway, spent: Spent, purpose: str = "answer"
) -> tuple[dict[str, Any], str, datetime]:
    """Return a checked value, the model and the moment it was answered, or raise AnswerFailed."""
    return await _ask(make_request(tier, item, skill, asker, profile, purpose), item, skill, asker, profile, gateway, spent)


async def _answer_and_vote(
    tier: str, item: Item, skill: Skill, asker: Asker, profile: Profile, gateway: Gateway, spent: Spent
) -> tuple[dict[str, Any], str, datetime]:
    """As answer_on; a skill that escalates on disagreement asks the tier's voters at the same time, and they have to agree."""
    voters = voters_of(skill, profile).get(tier, ())
    asked = asyncio.gather(*(_vote(voter, item, skill, asker, profile, gateway, spent) for voter in voters))
    try:
        answered = await answer_on(tier, item, skill, asker, profile, gateway, spent)
    finally:
        votes = await asked  # they are paid, whatever became of the answer
    agreements = [agreement(skill.output_schema, answered[0], vote)[0] for vote in votes if vote is not None]
    if not is_accepted(agreements):
        raise AnswerFailed("disagreement", f"{count_against(agreements)} of {len(agreements)} voters say something else than {tier}")
    return answered


async def _vote(
    voter: Deployment, item: Item, skill: Skill, asker: Asker, profile: Profile, gateway: Gateway, spent: Spent
) -> dict[str, Any] | None:
    """Return a voter's answer; None when it has none that can be used: then it does not vote."""
    request = make_request(voter.tier, item, skill, asker, profile, "vote")
    request = replace(request, voter=voter.name, max_tokens=min(skill.limits.output_tokens, voter.max_output_tokens))
    try:
        return (await _ask(request, item, skill, asker, profile, gateway, spent))[0]
    except (ProviderUnavailable, BudgetExhausted, WaitingForBatch, AnswerFailed):
        return None


async def _ask(
    request: Request, item: Item, skill: Skill, asker: Asker, profile: Profile, gateway: Gateway, spent: Spent
) -> tuple[dict[str, Any], str, datetime]:
    n_needed, n_taken = n_tokens_needed(request), profile.context_tokens(request.pool)
    if n_needed > n_taken:
        raise AnswerFailed("overflow", f"needs about {n_needed} tokens; the tier {request.tier} takes {n_taken}")
    try:
        completion = await gateway.complete(request)
    except ItemRefused as refused:
        spent.n_attempts += 1
        raise AnswerFailed(refused.kind, refused.message) from None
    spent.add(completion)
    answer = completion.answer
    if answer.refusal:
        raise AnswerFailed("refusal", f"the model declined: {answer.refusal[:200]!r}")
    value = judge(skill, answer.content, answer.finish_reason, item.source, asker.parameters)
    return value, answer.model, answer.answered_at


def judge(skill: Skill, content: str, finish_reason: str | None, source: Source, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the value if it has the schema and passes every named check, else raise AnswerFailed."""
    try:
        value = parse_output(skill, content, finish_reason)
    except OutputError as error:
        raise AnswerFailed(error.kind, error.message) from None
    _pass_checks(skill, value, source, parameters)
    return value


def _pass_checks(skill: Skill, value: Mapping[str, Any], source: Source, parameters: Mapping[str, Any]) -> None:
    failures = run_checks(skill, value, source, parameters)
    if failures:
        raise AnswerFailed("failed_check", "; ".join(f"{f.check}: {f.message}" for f in failures))


def answer_by_library(source: Source, skill: Skill, parameters: Mapping[str, Any]) -> Outcome | None:
    """Return what the skill's own code says of an item; an exception in it is that item's reject. None: a model is to be asked."""
    try:
        value = skill.run_library(source, parameters)
        if value is None:
            return None
        _pass_checks(skill, value, source, parameters)
    except AnswerFailed as failure:
        if skill.kind == "mixed":
            return None
        return Outcome("reject", "none", error_kind=failure.kind, error_message=failure.message[:500])
    except Refused as refused:
        return Outcome("reject", "none", error_kind=refused.error_kind, error_message=refused.found[:500])
    except Exception as error:
        if isinstance(error, OutputError) and skill.kind == "mixed":  # such as a label of the skill's own where a run has others
            return None
        return Outcome("reject", "none", error_kind="library_error", error_message=f"{type(error).__name__}: {error}"[:500])
    return Outcome("result", "none", f"library:{skill.name}", value)


def judge_file(skill: Skill, said: dict[str, Any] | Rejected, parameters: Mapping[str, Any]) -> Outcome | None:
    """Return what a process that has read a file makes of its item: a value that has the schema and passes every check, or a reject.

    None: a mixed skill's code is not sure, and a model is to be asked.
    """
    if isinstance(said, Rejected):
        return Outcome("reject", "none", error_kind=said.error_kind, error_message=said.error_message[:500])
    if skill.kind == "mixed" and not said:
        return None
    try:
        validate_output(skill, said)
        _pass_checks(skill, said, Source(), parameters)
    except (OutputError, AnswerFailed) as failure:
        if skill.kind == "mixed":
            return None
        return Outcome("reject", "none", error_kind=failure.kind, error_message=failure.message[:500])
    return Outcome("result", "none", f"library:{skill.name}", said)


def is_late(plan: RunPlan, item: RoutedItem) -> Outcome | None:
    """Return a pending outcome once the run's deadline has passed."""
    if plan.deadline and datetime.now(UTC) >= datetime.fromisoformat(plan.deadline):
        return Outcome("pending", item.tier, error_kind="deadline", error_message=f"not begun by {plan.deadline}")
    return None
