"""Run a skill's cases on its tiers through the gateway, judge the answers, keep them in the table ``evals``.

The calls have the purpose ``eval`` (``judge`` where a case has a sentence to be judged), count in the budgets of the skill's owner and are
paid once: while an answer is in the cache, the same case on the same tier costs nothing. A library answers without a model; that of a mixed
skill comes first, as in a run. The router learns from the rows.
"""

import asyncio
import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
from sqlalchemy import Engine, select

from skillyard.costs.prices.book import PriceBook, load_prices
from skillyard.errors import ConfigError, UnknownName
from skillyard.evals.report import EvalReport, Verdict
from skillyard.gateway import ledger
from skillyard.gateway.complete import BudgetExhausted, Gateway, ItemRefused, ProviderUnavailable, WaitingForBatch
from skillyard.gateway.state import ATTEMPTS, reading
from skillyard.lake.publish import append
from skillyard.lake.tables import EVALS
from skillyard.lake.validate import validate
from skillyard.profiles import Profile, load_profile
from skillyard.routing.adequacy import LIBRARY
from skillyard.running.answer import AnswerFailed, Outcome, OwnerAsker, answer_by_library, judge, make_request, n_tokens_needed
from skillyard.running.items import Item
from skillyard.running.judge import judge_sentence
from skillyard.running.lease import release_lease, renew_lease, take_lease
from skillyard.running.ledger import drain_ledger
from skillyard.running.publish import cache_ttl
from skillyard.running.runs import Workspace, check_ready, cli_owner, owner_limits, run_lease, slug
from skillyard.settings import Settings
from skillyard.skills import Skill
from skillyard.skills.cases import Case, judge_case, load_cases, to_judge
from skillyard.tiers import TIERS

JUDGE_TIER = TIERS[-1]
AT_ONCE = 64
"""Cases on their way; the deployments' own limits hold besides."""
PROGRESS_EVERY_S = 5.0

Say = Callable[[str], None]


def eval_skill(settings: Settings, skill_name: str, tier: str | None = None, say: Say | None = None) -> EvalReport:
    """Ask every case on ``tier``, or on all tiers the skill may use; then the skill's default tier decides. ``say`` is told how far it is.

    RunLocked while a run of the skill is at work, ConfigError for a tier of a skill that asks no model.
    """
    space = Workspace.open(settings, skill_name)
    if say and space.skill.given_labels is not None:
        say(f"{skill_name}: evaluated with its own labels, for which its cases are written, not with yours")
    skill = space.skill.with_labels(None)
    space = replace(space, skill=skill)
    tiers = _tiers(skill, tier)
    profile, prices = load_profile(settings.profile, settings.include), load_prices(settings)
    cases, now = load_cases(skill), datetime.now(UTC)
    check_ready(skill, profile, prices, *([JUDGE_TIER] if any(map(_is_judged, cases)) else []))
    evaluator = Evaluator(space, profile, prices, f"eval-{now:%Y%m%dT%H%M%S%f}", cli_owner(), say)
    lease = run_lease(skill_name, settings.lake)
    take_lease(space.state, lease, evaluator.owner)
    try:
        asked = asyncio.run(evaluator.judge_all(cases, tiers))
        verdicts = tuple(v for v in asked if isinstance(v, Verdict))
        drain_ledger(space.lake, space.state, skill_name, f"{slug(skill_name)}-{evaluator.eval_id}")
        _keep(space, evaluator.eval_id, cases, verdicts, now)
    finally:
        release_lease(space.state, lease, evaluator.owner)
    unasked, decided_on = tuple(v for v in asked if isinstance(v, str)), tier or (skill.tier_default if tiers else LIBRARY)
    return EvalReport(skill_name, evaluator.eval_id, skill.min_pass_rate, decided_on, verdicts, unasked)


def _tiers(skill: Skill, tier: str | None) -> tuple[str, ...]:
    """Return the tiers to ask; none for a library."""
    if skill.kind == "library":
        if tier is not None:
            raise ConfigError(f"{skill.name} is a library skill: it asks no model. Leave out the tier.")
        return ()
    if tier is not None and tier not in skill.lanes:
        raise UnknownName(f"tier for {skill.name}", tier, skill.lanes)
    return (tier,) if tier else skill.lanes


@dataclass(slots=True)
class Evaluator:
    """Asks the cases of one evaluation."""

    space: Workspace
    profile: Profile
    prices: PriceBook
    eval_id: str
    owner: str
    """Of the lease."""
    say: Say | None = None

    async def judge_all(self, cases: Sequence[Case], tiers: Iterable[str]) -> list[Verdict | str]:
        """Return a verdict per tier and case, and one per case that the library settles; or why there is none."""
        skill = self.space.skill
        settled = {case.id: answer for case in cases if (answer := self._by_library(case))} if skill.kind != "llm" else {}
        gateway = Gateway(self.space.state, self.profile, self.prices, owner_limits(self.space.settings, skill, self.eval_id))
        asked = [(case, LIBRARY) for case in cases if case.id in settled]
        asked += [(case, tier) for tier in tiers for case in cases if case.id not in settled]
        told, at_once = _Told(self, len(asked)), asyncio.Semaphore(AT_ONCE)

        async def work(case: Case, tier: str) -> Verdict | str:
            async with at_once:
                found = await self._judge(case, settled.get(case.id) or tier, gateway)
                await told.step()
            while gateway.alerts and self.say:
                self.say(f"{skill.name}: {gateway.alerts.pop()}")
            return found

        try:
            return await asyncio.gather(*(work(case, tier) for case, tier in asked))
        finally:
            await gateway.stop()

    def _by_library(self, case: Case) -> "Answered | None":
        """Return what the skill's own code answers; None when a model is to be asked."""
        began = time.perf_counter()
        outcome = answer_by_library(case.source, self.space.skill, case.parameters)
        return _settled(case, outcome, round((time.perf_counter() - began) * 1000)) if outcome or case.refused else None

    async def _judge(self, case: Case, answered: "Answered | str", gateway: Gateway) -> Verdict | str:
        """Return the verdict on an answer; on that of a tier, when a tier is given, which is asked first."""
        tier = answered if isinstance(answered, str) else LIBRARY
        try:
            answer = await self._ask(case, answered, gateway) if isinstance(answered, str) else answered
            wrong = answer.failure or "; ".join(judge_case(case, answer.value)) or await self._judge_sentences(case, answer.value, gateway)
        except (ProviderUnavailable, BudgetExhausted, WaitingForBatch, _NoVerdict) as error:
            return f"{tier} {case.id}: {error}"
        return Verdict(case.id, tier, answer.model, not answer.failure, not wrong, wrong or None, answer.cost_usd, answer.latency_ms)

    async def _ask(self, case: Case, tier: str, gateway: Gateway) -> "Answered":
        skill = self.space.skill
        request = make_request(tier, _item(case), skill, self._asker(case), self.profile, "eval")
        if n_tokens_needed(request) > self.profile.context_tokens(tier):
            return Answered("", {}, "overflow: it does not fit the tier's window")
        try:
            answer = (await gateway.complete(request)).answer
        except ItemRefused as refused:
            return Answered("", {}, f"{refused.kind}: {refused.message}")
        paid = answer.cost_usd, await asyncio.to_thread(_latency_ms, self.space.state, answer.call_id)
        if answer.refusal:
            return Answered(answer.model, {}, f"refusal: {answer.refusal}", *paid)
        try:
            value = judge(skill, answer.content, answer.finish_reason, case.source, case.parameters)
        except AnswerFailed as failure:
            return Answered(answer.model, {}, f"{failure.kind}: {failure.message}", *paid)
        return Answered(answer.model, value, "", *paid)

    async def _judge_sentences(self, case: Case, value: Mapping[str, Any], gateway: Gateway) -> str:
        """Return which sentences the expert tier says are not true of an output that is right in every other way."""
        wrong = []
        for path, found, sentence in to_judge(case, value):
            item, asker = _item(case), self._asker(case)
            is_true = await judge_sentence(sentence, found, JUDGE_TIER, item, self.space.skill, asker, self.profile, gateway)
            if is_true is None:
                raise _NoVerdict(f"the judge gives no verdict on {sentence!r}")
            if not is_true:
                wrong.append(f"{path}: found {found!r}, of which the judge says it is not true: {sentence}")
        return "; ".join(wrong)

    def _asker(self, case: Case) -> OwnerAsker:
        """Return on whose behalf a case is asked: the team that owns the skill pays."""
        skill = self.space.skill
        fingerprint, lake = skill.fingerprint(case.parameters), self.space.lake.url
        return OwnerAsker(self.eval_id, "cli", skill.owner, fingerprint, case.parameters, lake)


class _NoVerdict(Exception):
    """A judge that was asked says neither yes nor no."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What a tier or a library made of a case."""

    model: str
    value: Mapping[str, Any]
    failure: str = ""
    """Why it is no answer that a run would take."""
    cost_usd: Decimal = Decimal(0)
    latency_ms: int | None = None


class _Told:
    """Says how far an evaluation is, and keeps its lease, every few seconds."""

    def __init__(self, evaluator: Evaluator, n: int) -> None:
        self._evaluator, self._n, self._n_done = evaluator, n, 0
        self._began = self._told = time.monotonic()

    async def step(self) -> None:
        """Count one verdict."""
        self._n_done += 1
        now, of = time.monotonic(), self._evaluator
        if now - self._told < PROGRESS_EVERY_S:
            return
        self._told, rate = now, self._n_done / (now - self._began)
        name = of.space.skill.name
        await asyncio.to_thread(renew_lease, of.space.state, run_lease(name, of.space.settings.lake), of.owner)
        if of.say:
            of.say(f"{name}: {self._n_done}/{self._n} cases, {rate:.1f}/s, {(self._n - self._n_done) / rate:.0f} s left")


def _settled(case: Case, outcome: Outcome | None, latency_ms: int) -> Answered:
    """Return what the skill's own code made of a case; a file that has to be refused is right when it is, for the reason expected."""
    model, value, found = (outcome.model, outcome.value, outcome.error_kind) if outcome else ("", None, "no answer")
    failure = f"{found}: {outcome.error_message if outcome else 'a model would be asked'}" if value is None else ""
    if case.refused:
        failure = "" if found == case.refused else f"expected to be refused as {case.refused}, {failure or 'but it was answered'}"
    return Answered(model, value or {}, failure, latency_ms=latency_ms)


def _is_judged(case: Case) -> bool:
    return any("judge" in assertions for assertions in case.expect.values())


def _latency_ms(state: Engine, call_id: str) -> int | None:
    """Return how long an answer took its provider, as the ledger has it; a stored answer's call may have left the ledger."""
    with reading(state) as connection:
        return connection.scalar(select(ATTEMPTS.c.latency_ms).where(ATTEMPTS.c.call_id == call_id))


def _keep(space: Workspace, eval_id: str, cases: Sequence[Case], verdicts: Sequence[Verdict], now: datetime) -> None:
    """Append the verdicts to the lake, and close their answers' journal: from now on they are cache entries."""
    by_id, fingerprint = {case.id: case for case in cases}, space.skill.fingerprint()
    same = {"eval_id": eval_id, "skill": space.skill.name, "fingerprint": fingerprint, "evaluated_at": now, "evaluated_on": now.date()}
    rows = pa.Table.from_pylist([_row(v, by_id[v.case_id], same) for v in verdicts], schema=EVALS.schema)
    validate(space.lake, EVALS, rows)
    append(space.lake, EVALS, rows, f"{slug(space.skill.name)}-{eval_id}")
    items: dict[str, list[str]] = {}
    for case in cases:
        items.setdefault(space.skill.fingerprint(case.parameters), []).append(_item(case).item_id)
    with space.state.begin() as connection:
        for of_parameters, ids in items.items():
            ledger.end_journal(connection, space.skill.name, of_parameters, ids, [], cache_ttl(space.skill))


def _row(verdict: Verdict, case: Case, same: Mapping[str, Any]) -> dict[str, Any]:
    return {**asdict(verdict), **same, "text": case.source.text or case.source.name}


def _item(case: Case) -> Item:
    name = f"eval:{case.id}"
    inputs = json.dumps(case.source.inputs, ensure_ascii=False) if case.source.inputs else None
    return Item(name, name, None, None, name, None, case.source.text, inputs, pictures=case.source.pictures)
