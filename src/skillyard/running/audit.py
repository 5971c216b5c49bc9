"""Audit a skill: a sample of its results is answered on every tier it may use, and each answer compared with the highest tier's.

Paid once and written once: the sample is kept before anything is asked, the answers lie in the response store until the rows of ``audits``
stand, and a repeated audit of the same name adds nothing. It holds the skill's lease, as a run does.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from statistics import fmean
from typing import Any

import pyarrow as pa

from skillyard.costs.prices.book import PriceBook, load_prices
from skillyard.errors import RunIncomplete
from skillyard.gateway import ledger
from skillyard.lake.lake import Lake
from skillyard.lake.publish import append
from skillyard.lake.tables import AUDITS
from skillyard.lake.validate import validate
from skillyard.profiles import Profile, load_profile
from skillyard.running.audit_ask import LEFT_OUT, Auditor
from skillyard.running.audit_batch import collect, hand_over, is_waiting
from skillyard.running.audit_plan import AuditPlan, audit_id, audit_key, compared_tiers, load_plan, make_plan, save_plan
from skillyard.running.audit_rows import Bill, read_bill, rows_of
from skillyard.running.estimate import call_price
from skillyard.running.history import load_history
from skillyard.running.lease import release_lease, take_lease
from skillyard.running.ledger import drain_ledger
from skillyard.running.publish import cache_ttl
from skillyard.running.quote import usd
from skillyard.running.runs import Workspace, check_ready, cli_owner, run_lease
from skillyard.settings import AUDIT_SAMPLE, Settings
from skillyard.skills import Catalogue, Skill
from skillyard.skills.enabled import load_enabled
from skillyard.tiers import TIERS
from skillyard.tokens import estimate_messages


@dataclass(frozen=True, slots=True)
class AuditReport:
    """How an audit ended: sampled = audited + left out + pending."""

    audit_id: str
    skill: str
    state: str
    """``done``, ``nothing`` to audit, or ``dry_run``."""
    message: str
    n_candidates: int = 0
    n_sampled: int = 0
    n_audited: int = 0
    n_left_out: int = 0
    """Items whose expert answer failed its checks: there is nothing to compare with."""
    pending: dict[str, int] = field(default_factory=dict)
    """Items that could not be asked for, by reason."""
    agreement: dict[str, float] = field(default_factory=dict)
    """Weighted mean by tier, an answer that failed its checks counted as 0."""
    cost_usd: str = "0"
    """What the audit paid; of a dry run, what it is expected to pay, without judges."""


def auditable(settings: Settings) -> list[str]:
    """Return the enabled skills that have results on the lake: what runs by itself is audited by itself, and nothing else spends."""
    storage, known = Lake(settings.lake).storage, Catalogue(settings.include).names()
    return [name for name in sorted(load_enabled(settings.enabled, known)) if any(storage.folders(f"results/{name}/"))]


def audit(
    settings: Settings,
    skill: str,
    name: str | None = None,
    n: int = AUDIT_SAMPLE,
    at: datetime | None = None,
    dag_id: str = "cli",
    is_dry_run: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> AuditReport:
    """Audit ``n`` results of a skill; ``name`` (the night; the moment by default) makes two audits the same one.

    RunLocked while a run of the skill is at work; RunIncomplete when nothing at all could be asked for.
    """
    at = at or datetime.now(UTC)
    name = name or f"{at:%Y%m%dT%H%M%S}"
    space, profile = Workspace.open(settings, skill), load_profile(settings.profile, settings.include)
    if reason := why_nothing(space.skill, profile):
        return AuditReport(audit_id(skill, name), skill, "nothing", reason)
    if is_dry_run:
        prices = load_prices(settings)
        check_ready(space.skill, profile, prices)
        return _foretell(space, profile, prices, make_plan(space, profile, name, n, at))
    with _drawn(space, profile, name, n, at, dag_id, say) as auditor:
        return _finish(audit_key(skill, name), auditor) if auditor.plan.sample else _nothing_new(auditor.plan, skill)


def submit_audit(
    settings: Settings, skill: str, name: str, n: int, at: datetime, dag_id: str, say: Callable[[str], None] = lambda _: None
) -> int:
    """Draw an audit's sample and hand its requests to the batch APIs that the tiers offer; return how many. ``audit`` collects them."""
    space, profile = Workspace.open(settings, skill), load_profile(settings.profile, settings.include)
    offers = any(d.has_batch for tier in compared_tiers(space.skill, profile) for d in profile.deployments(tier))
    if why_nothing(space.skill, profile) or not offers:
        return 0
    key = audit_key(skill, name)
    with _drawn(space, profile, name, n, at, dag_id, say) as auditor:
        return 0 if space.lake.has(f"{key}/rows.parquet") else hand_over(auditor, key)


def is_submitted(settings: Settings, skill: str, name: str) -> bool:
    """Say whether a provider still works on what ``submit_audit`` handed over."""
    space, profile = Workspace.open(settings, skill), load_profile(settings.profile, settings.include)
    return is_waiting(space, profile, audit_key(skill, name))


@contextmanager
def _drawn(
    space: Workspace, profile: Profile, name: str, n: int, at: datetime, dag_id: str, say: Callable[[str], None]
) -> Iterator[Auditor]:
    """Hold the skill's lease and give the audit with its sample, kept on the lake unless it is empty."""
    prices, skill = load_prices(space.settings), space.skill.name
    check_ready(space.skill, profile, prices)
    lease, owner = run_lease(skill, space.settings.lake), cli_owner() if dag_id == "cli" else f"airflow:{dag_id}"
    take_lease(space.state, lease, owner)
    try:
        key = audit_key(skill, name)
        plan = load_plan(space, key, audit_id(skill, name)) or make_plan(space, profile, name, n, at)
        if plan.sample:
            space.lake.check_writable()
            save_plan(space.lake, key, plan)
        yield Auditor(space, profile, prices, plan, dag_id, (lease, owner), say)
    finally:
        release_lease(space.state, lease, owner)


def why_nothing(skill: Skill, profile: Profile) -> str:
    """Return why a skill can never be audited on a profile, or nothing."""
    if skill.kind == "library":
        return f"{skill.name} asks no model: there is nothing to compare"
    if skill.max_pictures:
        return f"{skill.name} shows pictures, which no audit reads again"
    if len(set(compared_tiers(skill, profile).values())) < 2:
        return f"{skill.name} has one tier in the profile {profile.name}: there is nothing to compare"
    return ""


def _finish(key: str, auditor: Auditor) -> AuditReport:
    """Do what is left of an audit: the answers, its rows on the lake, its answers from journal to cache."""
    lake, plan, skill = auditor.space.lake, auditor.plan, auditor.space.skill
    if not lake.has(f"{key}/rows.parquet"):
        report, rows = _answer(auditor, key)
        lake.write_json(f"{key}/report.json", asdict(report))
        lake.write_frame_once(f"{key}/rows.parquet", pa.Table.from_pylist(rows, schema=AUDITS.schema))
    found = lake.read_frame(f"{key}/rows.parquet")
    if found.num_rows:
        validate(lake, AUDITS, found)
        append(lake, AUDITS, found, plan.audit_id)
    with auditor.space.state.begin() as connection:
        ledger.end_run_journal(connection, skill.name, plan.audit_id, cache_ttl(skill))
    return AuditReport(**lake.read_json(f"{key}/report.json"))


def _answer(auditor: Auditor, key: str) -> tuple[AuditReport, list[dict[str, Any]]]:
    """Ask for every sampled result on every tier, take the ledger to the lake, and return the rows of ``audits``."""
    space, plan = auditor.space, auditor.plan
    collect(auditor, key)
    audited = asyncio.run(auditor.answer_all())
    drain_ledger(space.lake, space.state, space.skill.name, plan.audit_id)
    why_not = Counter(one.why_not for one in audited if one.why_not)
    n_left_out = why_not.pop(LEFT_OUT, 0)
    if why_not.total() == len(audited):
        raise RunIncomplete(
            f"{plan.audit_id}: none of {len(audited)} results could be asked for ({dict(why_not)}). What was paid is kept: "
            "repeat the audit under its name, and only what is missing is asked."
        )
    bill = read_bill(space.lake, space.skill.name, plan, auditor.prices)
    rows = [r for one in audited if one.answers for r in rows_of(one, plan, space.skill, auditor.names[one.sampled.tier], bill)]
    return _report(auditor, len(audited), n_left_out, dict(why_not), rows, bill), rows


def _report(
    auditor: Auditor, n_sampled: int, n_left_out: int, pending: dict[str, int], rows: Sequence[dict[str, Any]], bill: Bill
) -> AuditReport:
    plan, n_audited = auditor.plan, n_sampled - n_left_out - sum(pending.values())
    return AuditReport(
        plan.audit_id,
        auditor.space.skill.name,
        "done",
        f"{n_audited} of {n_sampled} results compared with the highest tier's answers",
        plan.n_candidates,
        n_sampled,
        n_audited,
        n_left_out,
        pending,
        {tier: _mean([row for row in rows if row["tier"] == tier]) for tier in TIERS if any(row["tier"] == tier for row in rows)},
        f"{bill.paid_by(plan.audit_id):f}",
    )


def _mean(rows: Sequence[dict[str, Any]]) -> float:
    return fmean([row["agreement"] for row in rows], [row["weight"] for row in rows])


def _nothing_new(plan: AuditPlan, skill: str) -> AuditReport:
    said = "every current result was drawn by an earlier audit" if plan.newest_at else "there are no current results yet"
    return AuditReport(plan.audit_id, skill, "nothing", said)


def _foretell(space: Workspace, profile: Profile, prices: PriceBook, plan: AuditPlan) -> AuditReport:
    """Return what an audit would ask and cost, from what answers have cost before, or as long as they may be."""
    if not plan.sample:
        return _nothing_new(plan, space.skill.name)
    skill, names = space.skill, compared_tiers(space.skill, profile)
    history = load_history(space.lake, skill.name, skill.fingerprint(), skill.limits.output_tokens, profile, prices, plan.drawn_at)
    steps = [(step.tier, step.cost_usd) for operation in history.operations for step in operation.steps]
    past = {tier: [cost for own, cost in steps if own == tier and cost is not None] for tier in names}
    asked: Counter[str] = Counter()
    cost = 0.0
    for sampled in plan.sample:
        n_input = estimate_messages(skill.messages(sampled.item.source, sampled.parameters))
        for tier in set(names.values()) - {names[sampled.tier]}:
            price = call_price(profile.deployments(tier), prices, plan.drawn_at)
            cost += fmean(past[tier]) if past[tier] else price.of(n_input, skill.limits.output_tokens)
            asked[tier] += 1
    said = f"would ask {', '.join(f'{tier} {asked[tier]} times' for tier in TIERS if asked[tier])}"
    return AuditReport(plan.audit_id, skill.name, "dry_run", said, plan.n_candidates, len(plan.sample), cost_usd=usd(cost))
