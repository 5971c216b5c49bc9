"""Training fits a router anew; recalibration keeps the champion's weights and fits calibration and thresholds to what holds now.

Rows are evidence that still holds (evidence.still_valid), of any number of skills. The fit split gives weights and calibration, the
calibrate split thresholds; the replay split is not looked at. Calibration needs probabilities of rows that the model has not seen:
each fold of the fit split is scored by a model of the others.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from skillyard.routing.decide import Traits
from skillyard.routing.evidence import Evidence, EvidenceError, check_evidence, hash_share, split_of
from skillyard.routing.features import extract_features
from skillyard.routing.fit import fit_family
from skillyard.routing.model import FamilyModel, family_of
from skillyard.routing.outcomes import Outcomes, replayable, tabulate, tiers_of
from skillyard.routing.policy import DEFAULT_TARGET, SkillPolicy, fit_policy
from skillyard.routing.router import Router
from skillyard.tiers import TIERS

N_FOLDS = 3
Scores = dict[int, dict[str, float]]
"""Raw probabilities by the identity of a row."""


def train(
    rows: Sequence[Evidence], traits: Mapping[str, Traits], targets: Mapping[str, float], parent: Router | None, now: datetime
) -> Router:
    """Return a new router of the skills in ``traits`` that have evidence. ``parent`` is the champion it is to be compared with."""
    families, scores = {}, Scores()
    known = _known(rows, traits)
    for family in sorted({family_of(row.skill) for row in known}):
        own = [row for row in known if family_of(row.skill) == family]
        fit = [row for row in own if split_of(row.group) == "fit"]
        if not fit:
            continue
        families[family] = fit_family(fit, traits, TIERS)
        scores |= _score(families[family], [row for row in own if split_of(row.group) == "calibrate"], traits)
        for fold in range(N_FOLDS):
            rest = [row for row in fit if _fold(row) != fold]
            model = fit_family(rest, traits, TIERS) if rest else families[family]
            scores |= _score(model, [row for row in fit if _fold(row) == fold], traits)
    policies = _fit_policies([row for row in known if family_of(row.skill) in families], scores, traits, targets, {})
    return _router("training", families, policies, known, parent, now)


def recalibrate(
    champion: Router, rows: Sequence[Evidence], traits: Mapping[str, Traits], targets: Mapping[str, float], now: datetime
) -> Router:
    """Return the champion with calibration and thresholds of the rows given; a skill without rows keeps what it has.

    Weights stay, and with them how far their differences can be trusted (the slopes): only levels are fitted anew. Families that the
    champion does not know wait for a training; without rows of others it is returned as it is.
    """
    known = [row for row in _known(rows, traits) if family_of(row.skill) in champion.families]
    if not known:
        return champion
    scores = Scores()
    for family, model in champion.families.items():
        scores |= _score(model, [row for row in known if family_of(row.skill) == family and split_of(row.group) != "replay"], traits)
    kept = {skill: policy for skill, policy in champion.policies.items() if skill in traits}
    slopes = {skill: {tier: slope for tier, (slope, _) in policy.calibration.items()} for skill, policy in kept.items()}
    return _router("calibration", champion.families, kept | _fit_policies(known, scores, traits, targets, slopes), known, champion, now)


def _known(rows: Sequence[Evidence], traits: Mapping[str, Traits]) -> list[Evidence]:
    check_evidence(rows)
    known = [row for row in rows if row.skill in traits]
    if not known:
        skills = ", ".join(sorted({row.skill for row in rows}))
        raise EvidenceError(f"the evidence is of skills that are not in the catalogue ({skills}): nothing to learn from.")
    return known


def _fold(row: Evidence) -> int:
    return int(hash_share("cross-fit", row.group) * N_FOLDS)


def _score(model: FamilyModel, rows: Iterable[Evidence], traits: Mapping[str, Traits]) -> Scores:
    return {id(row): model.score(row.skill, traits[row.skill], extract_features(row.text, row.language), row.text) for row in rows}


def _fit_policies(
    rows: Sequence[Evidence],
    scores: Scores,
    traits: Mapping[str, Traits],
    targets: Mapping[str, float],
    slopes: Mapping[str, Mapping[str, float]],
) -> dict[str, SkillPolicy]:
    policies = {}
    for skill in sorted({row.skill for row in rows}):
        own = [row for row in rows if row.skill == skill]
        tiers = tiers_of(own, traits[skill].tier_max)
        if tiers:
            fit, held_out = (_tabulate(own, scores, tiers, use) for use in ("fit", "calibrate"))
            policies[skill] = fit_policy(skill, targets.get(skill, DEFAULT_TARGET), fit, held_out, slopes.get(skill))
    return policies


def _tabulate(rows: Sequence[Evidence], scores: Scores, tiers: Sequence[str], use: str) -> Outcomes:
    held = replayable((row for row in rows if split_of(row.group) == use and id(row) in scores), tiers)
    return tabulate(held, tiers, [scores[id(row)] for row in held])


def _router(
    kind: str,
    families: Mapping[str, FamilyModel],
    policies: Mapping[str, SkillPolicy],
    rows: Sequence[Evidence],
    parent: Router | None,
    now: datetime,
) -> Router:
    trained_on = digest(rows)
    return Router(
        version=f"{now:%Y%m%dT%H%M%S}-{trained_on[:8]}",
        kind=kind,
        parent=parent.version if parent else None,
        created_at=now,
        window=(min(row.observed_at for row in rows), max(row.observed_at for row in rows)),
        n_evidence=len(rows),
        trained_on=trained_on,
        metrics=_metrics(families, policies, rows),
        tiers=TIERS,
        families=families,
        policies=policies,
    )


def digest(rows: Iterable[Evidence]) -> str:
    """Return the sha256 of what rows hold, in whatever order they come."""
    lines = sorted(
        json.dumps(
            [row.skill, row.fingerprint, row.item_id, row.group, row.text, row.weight, row.observed_at.isoformat()]
            + [[tier, o.passed, o.quality, o.cost_usd] for tier, o in sorted(row.outcomes.items())]
        )
        for row in rows
    )
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _metrics(families: Mapping[str, FamilyModel], policies: Mapping[str, SkillPolicy], rows: Sequence[Evidence]) -> dict[str, Any]:
    """Return plain values: each family's fit, each skill's proof, the false accepts of its checks, and what to be told of."""
    unproven = [skill for skill, policy in policies.items() if not policy.is_proven]
    return {
        "families": {family: dict(model.metrics) for family, model in families.items()},
        "false_accepts": {skill: _false_accepts([row for row in rows if row.skill == skill]) for skill in policies},
        "warnings": [f"{skill}: {policies[skill].reason}" for skill in unproven] + _one_class(rows),
    }


def _false_accepts(rows: Sequence[Evidence]) -> dict[str, float]:
    """Return by tier how bad answers are that pass their checks: 1 less their mean quality."""
    made = {}
    for tier in TIERS:
        passed = [(row.weight, row.outcomes[tier].quality) for row in rows if tier in row.outcomes and row.outcomes[tier].passed]
        if passed:
            made[tier] = sum(weight * (1 - quality) for weight, quality in passed) / sum(weight for weight, _ in passed)
    return made


def _one_class(rows: Sequence[Evidence]) -> list[str]:
    """Return a sentence for each family and tier below the top whose outcomes are all alike: there is nothing to tell apart."""
    seen: dict[tuple[str, str], set[float]] = {}
    for row in rows:
        for tier, outcome in row.outcomes.items():
            if tier != TIERS[-1]:  # the reference, always good
                seen.setdefault((family_of(row.skill), tier), set()).add(outcome.quality)
    alike = [(family, tier, values.pop()) for (family, tier), values in sorted(seen.items()) if len(values) == 1]
    return [f"{family}: every outcome on {tier} has quality {quality:g}, one class only" for family, tier, quality in alike]
