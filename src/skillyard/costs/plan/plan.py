"""The scaling plan of this installation: what its work costs by class of complexity, what it would cost otherwise, and what to change.

It looks at the 30 days up to today. Measured is what the ledger says; modelled is marked as such: another tier's price for the same
tokens, a month made of fewer days.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from skillyard.costs.classifier import classifier_balance
from skillyard.costs.flags import AUDIT_DAYS, LEDGER_DAYS, find_flags, newest_quality
from skillyard.costs.ledger.operations import Operation, read_operations
from skillyard.costs.plan.changes import Change, batch_changes, cache_changes, cascade_changes, classifier_changes, tier_changes
from skillyard.costs.plan.complexity import ClassRow, class_rows
from skillyard.costs.plan.projection import Repriced, Span, reprice, sample, total
from skillyard.costs.prices.book import PLACES, load_prices
from skillyard.costs.rules import Flag
from skillyard.errors import ConfigError, UnknownName
from skillyard.lake.lake import Lake
from skillyard.lake.read import read, scan
from skillyard.lake.tables import DOCUMENTS, LLM_CALLS
from skillyard.profiles import load_profile
from skillyard.running.evidence import load_sound
from skillyard.running.publish import cache_ttl
from skillyard.running.routers import champion
from skillyard.running.training import learnable
from skillyard.settings import Settings
from skillyard.skills import Catalogue, Skill, SkillError
from skillyard.skills.enabled import load_enabled

DAYS = 30
TARGETS = "60 to 75 % lower cost than everything on the expert tier, at 95 % of its quality or more, with under 30 % of the items on it"
"""What is published for tiered routing."""
LEAST_SAVED = Decimal("0.01")
"""Share of a month's cost; what saves less is not worth a change."""
UNKNOWN = "unknown, at most"
SERVING = ("answer", "routing", "vote")
"""Why a call is made that an answer needs; the others watch over quality."""


@dataclass(frozen=True, slots=True)
class Projection:
    """One way of doing the same work."""

    name: str
    basis: str
    """measured or modelled; measured days are scaled to a month."""
    month: Span
    saved_share: Decimal
    """Of the cost with everything on the highest tier."""


@dataclass(frozen=True, slots=True)
class Missing:
    """What is not known yet, and what would tell."""

    what: str
    command: str


@dataclass(frozen=True, slots=True)
class Plan:
    """The filled template."""

    made_on: date
    """The last day that was looked at."""
    first: date
    """The first one with calls."""
    profile: str
    router: str
    """The champion's version, or heuristic, and what is wrong with it if anything is."""
    n_documents: int
    """On the lake."""
    n_answered_documents: int
    n_items: int
    n_modelled: int
    """Items that the modelled figures rest on."""
    cost_usd: Mapping[str, Decimal]
    """Measured, by the purpose of the calls; UNKNOWN: reserved by calls of unknown outcome."""
    per_1000_documents_usd: Decimal
    """Measured: what answering cost, by document that was worked on."""
    classes: tuple[ClassRow, ...]
    projections: tuple[Projection, ...]
    quality: tuple[Mapping[str, Any], ...]
    """Each skill's newest row of ``quality_daily``."""
    red_flags: tuple[Flag, ...]
    changes: tuple[Change, ...]
    """Those that save most first."""
    missing: tuple[Missing, ...]


def make_plan(settings: Settings, today: date) -> Plan:
    """Return the plan as of a day; ConfigError says what to run first when there is nothing to plan with."""
    lake, first = Lake(settings.lake), today - timedelta(days=DAYS - 1)
    operations = [operation for operation in read_operations(lake, first, today) if operation.last_tier is not None]
    if not operations:
        raise ConfigError(f"no model has answered anything from {first} to {today}. {_first_command(settings, lake)}")
    first = _first_day(lake, first)
    skills, scores, profile = _skills(settings, operations), _scores(lake, operations), load_profile(settings.profile, settings.include)
    paid = [operation for operation in operations if operation.skill in skills and not operation.is_cached]
    repriced = reprice(lake, sample(paid), skills, profile, load_prices(settings), first)
    per_month = Decimal(DAYS) / ((today - first).days + 1)
    factor = per_month * len(paid) / max(len(repriced), 1)
    flags, costs = find_flags(settings, today), _costs(lake, first, today)
    n_answered, projections = len({operation.doc_id for operation in operations}), _projections(repriced, factor)
    changes = [
        *cache_changes(lake, first, today, scores, per_month),
        *cascade_changes(flags, min(LEDGER_DAYS, (today - first).days + 1)),
        *classifier_changes({name: classifier_balance(settings, name, first) for name in skills}),
        *batch_changes(repriced, factor),
        *_tier_changes(settings, skills, repriced, factor, today),
    ]
    return Plan(
        made_on=today,
        first=first,
        profile=profile.name,
        router=champion(lake).text,
        n_documents=len(set(read(lake, DOCUMENTS.name, ["doc_id"]).column("doc_id").to_pylist())),
        n_answered_documents=n_answered,
        n_items=len(operations),
        n_modelled=len(repriced),
        cost_usd=costs,
        per_1000_documents_usd=(1000 * sum((costs.get(why, Decimal(0)) for why in SERVING), Decimal(0)) / n_answered).quantize(PLACES),
        classes=tuple(class_rows(operations, scores, {name: cache_ttl(skill) for name, skill in skills.items()})),
        projections=projections,
        quality=tuple(newest_quality(lake, today)),
        red_flags=tuple(flags),
        changes=_worthwhile(changes, projections[0].month.usd),
        missing=tuple(_missing(settings, lake, {operation.skill for operation in operations}, skills, costs, today)),
    )


def _worthwhile(changes: Iterable[Change], month_usd: Decimal) -> tuple[Change, ...]:
    """Return the changes that save at least LEAST_SAVED of a month's cost, those that save most first."""
    return tuple(sorted((c for c in changes if c.saves_usd > LEAST_SAVED * month_usd), key=lambda change: -change.saves_usd))


def _first_command(settings: Settings, lake: Lake) -> str:
    """Return what to run when no model has answered anything yet."""
    if next(scan(lake, DOCUMENTS.name, ["doc_id"]), None) is None:
        return f"Begin with documents: skillyard ingest (it reads {settings.inbox}), then skillyard run SKILL --probe"
    return "Answer a paid sample of 50 items first: skillyard run SKILL --probe (skillyard skills list names the skills)"


def _first_day(lake: Lake, first: date) -> date:
    """Return the first day from ``first`` on that has calls."""
    found = scan(lake, LLM_CALLS, ["usage_date"], pc.field("usage_date") >= first)
    days: list[date] = [pc.min(batch.column("usage_date")).as_py() for batch in found if batch.num_rows]
    return min(days)


def _skills(settings: Settings, operations: Iterable[Operation]) -> dict[str, Skill]:
    """Return the skills that were asked and can still be loaded."""
    asked = {operation.skill for operation in operations}
    return {skill.name: skill for skill in load_sound(Catalogue(settings.include), asked)}


def _scores(lake: Lake, operations: Iterable[Operation]) -> dict[tuple[str, str], float]:
    """Return the route_score of every item that has a result, by skill and item."""
    found: dict[tuple[str, str], float] = {}
    for skill in sorted({operation.skill for operation in operations}):
        try:
            rows = read(lake, f"results/{skill}", ["item_id", "route_score"])
        except UnknownName:
            continue
        found |= {(skill, item): score for item, score in zip(*(column.to_pylist() for column in rows.columns), strict=True)}
    return found


def _costs(lake: Lake, first: date, last: date) -> dict[str, Decimal]:
    """Return what the settled calls of these days cost, and what those of unknown outcome reserve, by purpose."""
    where = (pc.field("usage_date") >= first) & (pc.field("usage_date") <= last)
    found: dict[str, Decimal] = {}
    for batch in scan(lake, LLM_CALLS, ["purpose", "status", "cost_usd", "reserved_usd"], where):
        rows = pa.Table.from_batches([batch]).group_by(["purpose", "status"]).aggregate([("cost_usd", "sum"), ("reserved_usd", "sum")])
        for row in rows.to_pylist():
            is_unknown = row["status"] == "unknown"
            name, usd = (UNKNOWN, row["reserved_usd_sum"]) if is_unknown else (row["purpose"], row["cost_usd_sum"])
            found[name] = found.get(name, Decimal(0)) + (usd or Decimal(0))
    return dict(sorted(found.items()))


def _projections(repriced: list[Repriced], factor: Decimal) -> tuple[Projection, ...]:
    ways = {
        "today": ("measured", [item.today_usd for item in repriced]),
        "the champion's policy": ("modelled", [item.routed_usd for item in repriced]),
        "all on the highest tier": ("modelled", [list(item.tier_usd.values())[-1] for item in repriced]),
        "all on the lowest tier, unchecked": ("modelled", [next(iter(item.tier_usd.values())) for item in repriced]),
    }
    on_top = sum(ways["all on the highest tier"][1], Decimal(0))
    return tuple(
        Projection(name, basis, total(usd, factor), 1 - sum(usd, Decimal(0)) / on_top if on_top else Decimal(0))
        for name, (basis, usd) in ways.items()
        if name != "the champion's policy" or any(item.is_routed for item in repriced)
    )


def _tier_changes(settings: Settings, skills: Mapping[str, Skill], repriced: list[Repriced], factor: Decimal, today: date) -> list[Change]:
    """Return the changes of tier for the skills that the champion has proven nothing for."""
    known, router = learnable(settings, datetime.combine(today, time.max, UTC)), champion(Lake(settings.lake)).router
    proven = {name for name, policy in router.policies.items() if policy.is_proven} if router else set()
    highest = {name: skill.lanes[-1] for name, skill in skills.items() if name not in proven}
    return tier_changes(known.rows, highest, known.targets, repriced, factor)


def _missing(
    settings: Settings, lake: Lake, asked: Set[str], skills: Mapping[str, Skill], costs: Mapping[str, Decimal], today: date
) -> Iterator[Missing]:
    audited, current = {row["skill"] for row in newest_quality(lake, today)}, champion(lake)
    gone = sorted(asked - skills.keys())
    if gone:
        yield Missing(f"what {_listed(gone)} would cost otherwise: their folders are gone or broken", "skillyard skills check")
    unaudited = [name for name, skill in skills.items() if name not in audited and len(skill.lanes) > 1]
    if unaudited:
        yield Missing(
            f"what routing keeps of the quality of {_listed(unaudited)}: no audit of {AUDIT_DAYS} days", "skillyard quality audit SKILL"
        )
    if current.problem:
        yield Missing(f"why the router cannot be used: {current.problem}", "skillyard router show")
    elif current.router is None:
        yield Missing("where items could start more cheaply: no router is trained", "skillyard router train")
    unasked = [name for name in load_enabled(settings.enabled) if name not in skills and _asks_models(settings, name)]
    if unasked:
        yield Missing(f"what {_listed(unasked)} cost: enabled, and not asked in these days", "skillyard run SKILL --probe")
    if costs.get(UNKNOWN):
        yield Missing(f"what calls of unknown outcome cost: at most ${costs[UNKNOWN]:.6f}", "skillyard cost reconcile BILL")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _asks_models(settings: Settings, name: str) -> bool:
    try:
        return Catalogue(settings.include).load(name).kind != "library"
    except (UnknownName, SkillError):
        return False
