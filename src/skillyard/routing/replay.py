"""Replay: what a router would have served and cost on evidence that no router has learned from, and whether another is better.

Only the replay split is looked at. Intervals resample documents (percentile bootstrap, two-sided 95 %); what a promotion rests on is
proven besides by the tests of bounds.py, which hold for any number of rows: a bootstrap of a few rows that all went well has no width.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from skillyard.routing.bounds import ALPHA, is_positive, lower_bound
from skillyard.routing.decide import Traits, choose_tier
from skillyard.routing.evidence import Evidence, check_evidence, hash_share, split_of
from skillyard.routing.features import extract_features
from skillyard.routing.outcomes import Floats, replayable, tabulate, tiers_of
from skillyard.routing.policy import DEFAULT_TARGET
from skillyard.routing.router import Router
from skillyard.tiers import TIERS

ALL = "all skills"
N_RESAMPLES = 1000
LEAST_DOCUMENTS = 30
"""With fewer nothing is compared."""
WINDOWS = dict.fromkeys(TIERS, 10**9)
"""Texts of evidence have been answered: they fit."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A value and its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class SkillReplay:
    """One router on one skill, or on all of them."""

    skill: str
    n_rows: int
    target: float
    saved: Interval
    """Share of the cost of starting everything on the top tier."""
    retained: Interval
    """Share of the top tier's quality."""
    retained_lower: float
    """Its lower confidence bound (one-sided, 95 %), valid for any number of rows."""
    shares: Mapping[str, float]
    """Of the rows that start on each tier."""


@dataclass(frozen=True, slots=True)
class Replay:
    """One router on all skills that have evidence to replay."""

    version: str
    skills: Mapping[str, SkillReplay]
    overall: SkillReplay | None
    """None when no row can be replayed."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A challenger beside the champion on the same rows."""

    is_better: bool
    reason: str
    champion: Replay
    challenger: Replay
    saved_more: Mapping[str, Interval]
    """By skill, and ALL: the challenger's share saved less the champion's, paired."""
    kept_more: Mapping[str, Interval]
    """The same of the quality retained."""


@dataclass(frozen=True, slots=True, eq=False)
class _Sums:
    """One router's weighted sums by document."""

    groups: tuple[str, ...]
    columns: Floats
    """Documents × (served quality, the top tier's, its share to keep, served cost, the top tier's, weight)."""
    starts: Mapping[str, float]
    """Weight of the rows that start on each tier."""
    n_rows: int


def replay(router: Router | None, rows: Sequence[Evidence], traits: Mapping[str, Traits], targets: Mapping[str, float]) -> Replay:
    """Return what a router (None: the heuristics) saves and keeps, by skill. Skills without traits are passed over."""
    return _summarise(router, _replay_skills(router, rows, traits, targets), targets)


def compare(
    champion: Router | None, challenger: Router, rows: Sequence[Evidence], traits: Mapping[str, Traits], targets: Mapping[str, float]
) -> Comparison:
    """Return whether the challenger is better with confidence, and why (not).

    Its thresholds are proven on the calibrate split. Here it has to save more than the champion (paired interval above 0), or to keep
    more (paired interval above 0) of a quality that the champion is proven to miss, or does not prove while the challenger does. In no
    case may it be proven to miss the target, over all skills or on one that the champion serves better.
    """
    own, other = (_replay_skills(router, rows, traits, targets) for router in (challenger, champion))
    pairs = {skill: (own[skill], other[skill]) for skill in own}
    if own:
        pairs[ALL] = (_pool(own), _pool(other))
    saved_more = {skill: _difference(b.columns[:, 3] - a.columns[:, 3], a.columns[:, 4]) for skill, (a, b) in pairs.items()}
    kept_more = {skill: _difference(a.columns[:, 0] - b.columns[:, 0], a.columns[:, 1]) for skill, (a, b) in pairs.items()}
    is_better, reason = _judge(challenger, pairs, saved_more, kept_more)
    return Comparison(is_better, reason, _summarise(champion, other, targets), _summarise(challenger, own, targets), saved_more, kept_more)


def _judge(
    challenger: Router, pairs: Mapping[str, tuple[_Sums, _Sums]], saved_more: Mapping[str, Interval], kept_more: Mapping[str, Interval]
) -> tuple[bool, str]:
    n_documents = len(pairs[ALL][0].groups) if pairs else 0
    if n_documents < LEAST_DOCUMENTS:
        return False, f"not enough evidence (n={n_documents} documents to replay, {LEAST_DOCUMENTS} are needed)"
    if not any(policy.is_proven for policy in challenger.policies.values()):
        return False, "not enough evidence: the challenger has proven its target for no skill"
    own, other = pairs[ALL]
    level = ALPHA / len(pairs)
    missing = [skill for skill, (a, b) in pairs.items() if _misses(a, level) and a.columns[:, 0].sum() < b.columns[:, 0].sum()]
    if missing:
        return False, f"it keeps too little of the top tier's quality: {', '.join(f'{s} {_ratio(pairs[s][0], 0, 1):.1%}' for s in missing)}"
    saved, kept = saved_more[ALL], kept_more[ALL]
    said = f"beside the champion it saves {_say(saved)} of the top tier's cost and keeps {_say(kept)} of its quality, on {own.n_rows} rows"
    if saved.low > 0 and not _misses(own, ALPHA):
        return True, said
    if kept.low > 0 and _misses(other, ALPHA) and not _misses(own, ALPHA):
        return True, f"{said}; the champion misses the target"
    if kept.low > 0 and _keeps(own) and not _keeps(other):
        return True, f"{said}; the champion does not prove the target"
    return False, f"{said}: neither is enough with confidence"


def _say(interval: Interval) -> str:
    return f"{interval.value:+.1%} [{interval.low:+.1%}, {interval.high:+.1%}]"


def _replay_skills(
    router: Router | None, rows: Sequence[Evidence], traits: Mapping[str, Traits], targets: Mapping[str, float]
) -> dict[str, _Sums]:
    check_evidence(rows)
    by_skill: dict[str, list[Evidence]] = {}
    for row in rows:
        if row.skill in traits and split_of(row.group) == "replay":
            by_skill.setdefault(row.skill, []).append(row)
    made = {}
    for skill in sorted(by_skill):
        own, tiers = by_skill[skill], tiers_of(by_skill[skill], traits[skill].tier_max)
        held = replayable(own, tiers)
        if held and tiers:
            made[skill] = _sum_up([_start(router, row, traits[skill]) for row in held], held, tiers, targets.get(skill, DEFAULT_TARGET))
    return made


def _start(router: Router | None, row: Evidence, traits: Traits) -> str:
    features = extract_features(row.text, row.language)
    if router is None:
        return choose_tier(traits, features, WINDOWS).tier
    return router.decide(row.skill, traits, features, row.text, {}, WINDOWS).tier


def _sum_up(starts: Sequence[str], rows: Sequence[Evidence], tiers: Sequence[str], target: float) -> _Sums:
    """A start on a tier that has no outcomes counts as one on the next that has, or on the top."""
    outcomes = tabulate(rows, tiers)
    ranks = [TIERS.index(tier) for tier in tiers]
    column = np.array([next((n for n, rank in enumerate(ranks) if rank >= TIERS.index(start)), len(tiers) - 1) for start in starts])
    quality, cost = (values[np.arange(len(rows)), column] for values in outcomes.served())
    top_quality, top_cost = outcomes.quality[:, -1], outcomes.cost_usd[:, -1]
    columns = np.column_stack([quality, top_quality, target * top_quality, cost, top_cost, np.ones(len(rows))])
    return _Sums(
        groups=tuple(rows[n].group for n in outcomes.group_starts),
        columns=outcomes.by_group(columns),
        starts={tier: float(outcomes.weight[column == n].sum()) for n, tier in enumerate(tiers)},
        n_rows=len(rows),
    )


def _pool(skills: Mapping[str, _Sums]) -> _Sums:
    """Return the sums over all skills; a document that several skills worked on is one."""
    groups = sorted({group for sums in skills.values() for group in sums.groups}, key=lambda group: (hash_share("order", group), group))
    position = {group: n for n, group in enumerate(groups)}
    columns = np.zeros((len(position), 6))
    for sums in skills.values():
        np.add.at(columns, [position[group] for group in sums.groups], sums.columns)
    starts = {tier: sum(sums.starts.get(tier, 0.0) for sums in skills.values()) for tier in TIERS}
    return _Sums(tuple(groups), columns, starts, sum(sums.n_rows for sums in skills.values()))


def _keeps(sums: _Sums) -> bool:
    """Whether it is proven that the target is kept."""
    return bool(is_positive(sums.columns[:, [0]] - sums.columns[:, [2]], float(sums.columns[:, 5].max()))[0])


def _misses(sums: _Sums, level: float) -> bool:
    """Whether it is proven that the target is missed."""
    return bool(is_positive(sums.columns[:, [2]] - sums.columns[:, [0]], float(sums.columns[:, 5].max()), level)[0])


def _ratio(sums: _Sums, part: int, whole: int) -> float:
    total = sums.columns.sum(axis=0)
    return float(total[part] / total[whole]) if total[whole] else math.nan


def _resample(columns: Floats) -> Floats:
    """Return the column sums of N_RESAMPLES draws of as many documents; the same draws for the same number of documents."""
    n_groups = len(columns)
    rng = np.random.default_rng(0)
    return np.array([np.bincount(rng.integers(n_groups, size=n_groups), minlength=n_groups) @ columns for _ in range(N_RESAMPLES)])


def _interval(value: float, resampled: Floats) -> Interval:
    finite = resampled[np.isfinite(resampled)]
    low, high = np.quantile(finite, [0.025, 0.975]) if finite.size else (math.nan, math.nan)
    return Interval(value, float(low), float(high))


def _share(part: Floats, whole: Floats) -> Floats:
    shares: Floats = np.divide(part, whole, out=np.full(len(part), math.nan), where=whole > 0)
    return shares


def _difference(part: Floats, whole: Floats) -> Interval:
    drawn = _resample(np.column_stack([part, whole]))
    return _interval(float(part.sum() / whole.sum()) if whole.sum() else math.nan, _share(drawn[:, 0], drawn[:, 1]))


def _measure(skill: str, sums: _Sums, target: float) -> SkillReplay:
    drawn = _resample(sums.columns)
    total = sum(sums.starts.values())
    return SkillReplay(
        skill=skill,
        n_rows=sums.n_rows,
        target=target,
        saved=_interval(1 - _ratio(sums, 3, 4), 1 - _share(drawn[:, 3], drawn[:, 4])),
        retained=_interval(_ratio(sums, 0, 1), _share(drawn[:, 0], drawn[:, 1])),
        retained_lower=lower_bound(sums.columns[:, 0], sums.columns[:, 1], float(sums.columns[:, 5].max())),
        shares={tier: weight / total for tier, weight in sums.starts.items()},
    )


def _summarise(router: Router | None, skills: Mapping[str, _Sums], targets: Mapping[str, float]) -> Replay:
    measured = {skill: _measure(skill, sums, targets.get(skill, DEFAULT_TARGET)) for skill, sums in skills.items()}
    overall = None
    if skills:
        pooled = _pool(skills)
        overall = _measure(ALL, pooled, _ratio(pooled, 2, 1))
    return Replay(router.version if router else "heuristic", measured, overall)
