"""Run a skill's cases on its tiers through the gateway, judge the answers, keep them in the table ``evals``.

The calls have the purpose ``eval``, count in the budgets of the skill's owner and are paid once: while an answer is in the cache, the
same case on the same tier costs nothing. The router learns from the rows.
"""

import asyncio
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
from sqlalchemy import Engine, select

from skillyard.costs.prices.book import PriceBook, load_prices
from skillyard.errors import ConfigError, UnknownName
from skillyard.gateway import ledger
from skillyard.gateway.complete import BudgetExhausted, Gateway, ItemRefused, ProviderUnavailable, WaitingForBatch
from skillyard.gateway.request import Request
from skillyard.gateway.state import ATTEMPTS, reading
from skillyard.lake.publish import append
from skillyard.lake.tables import EVALS
from skillyard.lake.validate import validate
from skillyard.profiles import Profile, load_profile
from skillyard.running.answer import AnswerFailed, OwnerAsker, judge, make_request, n_tokens_needed
from skillyard.running.items import Item
from skillyard.running.lease import release_lease, renew_lease, take_lease
from skillyard.running.ledger import drain_ledger
from skillyard.running.publish import cache_ttl
from skillyard.running.runs import Workspace, check_ready, cli_owner, owner_limits, run_lease, slug
from skillyard.settings import Settings
from skillyard.skills import Skill
from skillyard.skills.cases import Case, judge_case, load_cases


@dataclass(frozen=True, slots=True)
class Verdict:
    """One case on one tier."""

    case_id: str
    tier: str
    model: str
    """Empty when nothing was answered."""
    has_passed: bool
    """The schema and the named checks."""
    is_right: bool
    """And every assertion of the case."""
    message: str | None
    """What was wrong."""
    cost_usd: Decimal
    """Of the answer, whoever paid for it."""
    latency_ms: int | None


@dataclass(frozen=True, slots=True)
class EvalReport:
    """What a skill's cases say of its tiers."""

    skill: str
    eval_id: str
    min_pass_rate: float
    decided_on: str
    """The tier that has to reach it."""
    verdicts: tuple[Verdict, ...]
    unasked: tuple[str, ...]
    """Cases that a budget or an endpoint that is down left without an answer: tier, case and reason."""

    @property
    def pass_rates(self) -> dict[str, float]:
        """By tier: the share of its cases that are right."""
        tiers = dict.fromkeys(v.tier for v in self.verdicts)
        own = {tier: [v.is_right for v in self.verdicts if v.tier == tier] for tier in tiers}
        return {tier: sum(right) / len(right) for tier, right in own.items()}

    @property
    def is_good(self) -> bool:
        """All cases were asked, and enough of them are right on the tier that decides."""
        return not self.unasked and self.pass_rates.get(self.decided_on, 0.0) >= self.min_pass_rate


def eval_skill(settings: Settings, skill_name: str, tier: str | None = None) -> EvalReport:
    """Ask every case on ``tier``, or on all tiers the skill may use; then the skill's default tier decides.

    RunLocked while a run of the skill is at work, ConfigError for a skill that asks no model.
    """
    space = Workspace.open(settings, skill_name)
    if space.skill.kind == "library":
        raise ConfigError(f"{skill_name} is a library skill: it asks no model, so it has no tier to evaluate.")
    if tier is not None and tier not in space.skill.lanes:
        raise UnknownName(f"tier for {skill_name}", tier, space.skill.lanes)
    profile, tiers = load_profile(settings.profile, settings.include), (tier,) if tier else space.skill.lanes
    cases, prices, now = load_cases(space.skill), load_prices(settings), datetime.now(UTC)
    check_ready(space.skill, profile, prices)
    eval_id = f"eval-{now:%Y%m%dT%H%M%S%f}"
    lease, owner = run_lease(skill_name, settings.lake), cli_owner()
    take_lease(space.state, lease, owner)
    try:
        asked = asyncio.run(_ask_all(_Asker(space, profile, prices, eval_id, owner), cases, tiers))
        verdicts = tuple(v for v in asked if isinstance(v, Verdict))
        drain_ledger(space.lake, space.state, skill_name, f"{slug(skill_name)}-{eval_id}")
        _keep(space, eval_id, cases, verdicts, now)
    finally:
        release_lease(space.state, lease, owner)
    unasked = tuple(v for v in asked if isinstance(v, str))
    return EvalReport(skill_name, eval_id, space.skill.min_pass_rate, tier or space.skill.tier_default, verdicts, unasked)


@dataclass(frozen=True, slots=True)
class _Asker:
    space: Workspace
    profile: Profile
    prices: PriceBook
    eval_id: str
    owner: str

    def request(self, case: Case, tier: str) -> Request:
        skill, name = self.space.skill, _item_id(case)
        own = (skill.fingerprint(case.parameters), case.parameters, self.space.lake.url)
        inputs = json.dumps(case.source.inputs, ensure_ascii=False) if case.source.inputs else None
        item = Item(name, name, None, None, name, None, case.source.text, inputs)
        return make_request(tier, item, skill, OwnerAsker(self.eval_id, "cli", skill.owner, *own), self.profile, "eval")


async def _ask_all(asker: _Asker, cases: Sequence[Case], tiers: Iterable[str]) -> list[Verdict | str]:
    """Return a verdict per tier and case, or why there is none."""
    space = asker.space
    gateway = Gateway(space.state, asker.profile, asker.prices, owner_limits(space.settings, space.skill, asker.eval_id))
    try:
        return await asyncio.gather(*(_ask(asker, gateway, case, tier) for tier in tiers for case in cases))
    finally:
        await gateway.stop()


async def _ask(asker: _Asker, gateway: Gateway, case: Case, tier: str) -> Verdict | str:
    request = asker.request(case, tier)
    if n_tokens_needed(request) > asker.profile.context_tokens(tier):
        return Verdict(case.id, tier, "", False, False, "overflow: it does not fit the tier's window", Decimal(0), None)
    try:
        completion = await gateway.complete(request)
    except (ProviderUnavailable, BudgetExhausted, WaitingForBatch) as error:
        return f"{tier} {case.id}: {error}"
    except ItemRefused as refused:
        return Verdict(case.id, tier, "", False, False, f"{refused.kind}: {refused.message}", Decimal(0), None)
    lease, answer = run_lease(asker.space.skill.name, asker.space.settings.lake), completion.answer
    await asyncio.to_thread(renew_lease, asker.space.state, lease, asker.owner)
    latency_ms = await asyncio.to_thread(_latency_ms, asker.space.state, answer.call_id)
    has_passed, wrong = _judge(asker.space.skill, case, answer.content, answer.refusal, answer.finish_reason)
    return Verdict(case.id, tier, answer.model, has_passed, not wrong, wrong or None, answer.cost_usd, latency_ms)


def _latency_ms(state: Engine, call_id: str) -> int | None:
    """Return how long an answer took its provider, as the ledger has it; a stored answer's call may have left the ledger."""
    with reading(state) as connection:
        return connection.scalar(select(ATTEMPTS.c.latency_ms).where(ATTEMPTS.c.call_id == call_id))


def _judge(skill: Skill, case: Case, content: str, refusal: str | None, finish_reason: str | None) -> tuple[bool, str]:
    """Return whether an answer passed its checks, and what is wrong with it."""
    if refusal:
        return False, f"refusal: {refusal}"
    try:
        value = judge(skill, content, finish_reason, case.source, case.parameters)
    except AnswerFailed as failure:
        return False, f"{failure.kind}: {failure.message}"
    return True, "; ".join(judge_case(case, value))


def _keep(space: Workspace, eval_id: str, cases: Sequence[Case], verdicts: Sequence[Verdict], now: datetime) -> None:
    """Append the verdicts to the lake, and close their answers' journal: from now on they are cache entries."""
    by_id, fingerprint = {case.id: case for case in cases}, space.skill.fingerprint()
    same = {"eval_id": eval_id, "skill": space.skill.name, "fingerprint": fingerprint, "evaluated_at": now, "evaluated_on": now.date()}
    rows = pa.Table.from_pylist([_row(v, by_id[v.case_id], same) for v in verdicts], schema=EVALS.schema)
    validate(space.lake, EVALS, rows)
    append(space.lake, EVALS, rows, f"{slug(space.skill.name)}-{eval_id}")
    items: dict[str, list[str]] = {}
    for case in cases:
        items.setdefault(space.skill.fingerprint(case.parameters), []).append(_item_id(case))
    with space.state.begin() as connection:
        for of_parameters, ids in items.items():
            ledger.end_journal(connection, space.skill.name, of_parameters, ids, [], cache_ttl(space.skill))


def _row(verdict: Verdict, case: Case, same: Mapping[str, Any]) -> dict[str, Any]:
    return {**asdict(verdict), **same, "text": case.source.text}


def _item_id(case: Case) -> str:
    return f"eval:{case.id}"
