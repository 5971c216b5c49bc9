"""The router learns: a weekly challenger that has to be better to be promoted, and every night the champion's calibration.

Whatever goes wrong, the champion stays: the pointer is replaced last, and only if it is still the one that was read first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from skillyard.errors import UnknownName
from skillyard.lake.lake import Lake
from skillyard.routing.decide import Traits
from skillyard.routing.evidence import Evidence, EvidenceError, still_valid
from skillyard.routing.replay import LEAST_DOCUMENTS, Comparison, Interval, Replay, SkillReplay, compare, replay
from skillyard.routing.router import Router
from skillyard.routing.training import recalibrate, train
from skillyard.running.decider import traits_of
from skillyard.running.evidence import gather
from skillyard.running.routers import Champion, champion, load_version, promote, save_version
from skillyard.settings import Settings
from skillyard.skills import Catalogue, SkillError

NO_EVIDENCE = "no evidence: nothing was audited or evaluated in the last 180 days. Run an audit, or skillyard skills eval"


@dataclass(frozen=True, slots=True)
class Learnable:
    """The evidence that still holds, and what has to be known of its skills."""

    rows: list[Evidence]
    traits: Mapping[str, Traits]
    targets: Mapping[str, float]
    """Share of the highest tier's quality that each skill keeps."""
    text: str
    """What was found and what was left out."""


@dataclass(frozen=True, slots=True)
class TrainingReport:
    """What a training or a recalibration did, and why."""

    kind: str
    """training or calibration."""
    is_promoted: bool
    reason: str
    champion: str
    """The version in use before."""
    challenger: str | None
    """The version that was made."""
    evidence: str
    skills: dict[str, str]
    """By skill: what the challenger's threshold rests on."""
    comparison: Comparison | None

    @property
    def text(self) -> str:
        """The report for people, in lines."""
        if self.challenger is None:
            return f"{self.champion} stays: {self.reason}\n{self.evidence}"
        done = f"{self.challenger} is promoted over {self.champion}" if self.is_promoted else f"{self.champion} stays"
        skills = [f"{skill}: {said}" for skill, said in self.skills.items()]
        return "\n".join([f"{done}: {self.reason}", self.evidence, *skills, *_compared(self.comparison)])


def train_challenger(settings: Settings, now: datetime, is_dry_run: bool = False, by: str = "router_training") -> TrainingReport:
    """Train on the evidence that holds, replay the challenger beside the champion, promote it if it is better with confidence.

    A dry run writes nothing. PromotionConflict when the champion changed meanwhile: it was not compared with the new one.
    """
    lake = Lake(settings.lake)
    current, found = champion(lake), learnable(settings, now)
    if not found.rows:
        return _nothing("training", current, found)
    challenger = train(found.rows, found.traits, found.targets, current.router, now)
    comparison = compare(current.router, challenger, found.rows, found.traits, found.targets)
    is_promoted, reason = decide_promotion(current, comparison)
    if not is_dry_run:
        save_version(lake, challenger)
        if is_promoted:
            promote(lake, challenger.version, by, reason, now, current)
    said = f"dry run, nothing was written: {reason}" if is_dry_run else reason
    return _report("training", is_promoted and not is_dry_run, said, current, challenger, found, comparison)


def recalibrate_champion(settings: Settings, now: datetime, by: str = "quality_audit") -> TrainingReport:
    """Fit the champion's calibration and thresholds to the evidence that holds. Without a champion, try to train the first one.

    What a rollback goes back to stays as it was: nights do not bury the champion of before the last training.
    """
    lake = Lake(settings.lake)
    current = champion(lake)
    if current.router is None and not current.problem and current.pointer is None:
        return train_challenger(settings, now, by=by)
    found = learnable(settings, now)
    if current.router is None or current.pointer is None or not found.rows:
        return _nothing("calibration", current, found)
    calibrated = recalibrate(current.router, found.rows, found.traits, found.targets, now)
    before = current.router.policies
    if calibrated.policies == before:
        return _report("calibration", False, "the evidence says the same as before", current, calibrated, found, None)
    save_version(lake, calibrated)
    moved = [skill for skill, policy in calibrated.policies.items() if skill not in before or policy.threshold != before[skill].threshold]
    reason = f"recalibrated; another threshold for {', '.join(sorted(moved)) or 'no skill'}"
    promote(lake, calibrated.version, by, reason, now, current, current.pointer.previous)
    return _report("calibration", True, reason, current, calibrated, found, None)


def replay_versions(settings: Settings, version: str | None, now: datetime) -> list[Replay]:
    """Return what a version (the champion by default) and declared traits would have served, on the evidence that no router learns from."""
    lake = Lake(settings.lake)
    router = load_version(lake, version) if version else champion(lake).router
    found = learnable(settings, now)
    if not found.rows:
        raise EvidenceError(f"{NO_EVIDENCE}.")
    return [replay(one, found.rows, found.traits, found.targets) for one in ((router, None) if router else (None,))]


def decide_promotion(current: Champion, comparison: Comparison) -> tuple[bool, str]:
    """Return whether the challenger is promoted, and why (not).

    Declared traits are for skills without evidence, and have proven nothing: the first champion need not save what they do. Its
    thresholds are proven on evidence of their own; it is enough that the replay does not say otherwise. A skill without proof starts on
    its highest tier.
    """
    own = comparison.challenger.overall
    is_first = current.router is None and own is not None and own.n_rows >= LEAST_DOCUMENTS and own.retained.high >= own.target
    if comparison.is_better or not is_first or own is None:
        return comparison.is_better, comparison.reason
    return True, f"the first champion: it keeps {_span(own.retained)} of the top tier's quality on {own.n_rows} rows"


def learnable(settings: Settings, now: datetime) -> Learnable:
    """Return the evidence that still holds of the skills that can be loaded."""
    gathered, catalogue = gather(settings, now=now), Catalogue(settings.include)
    rows: list[Evidence] = []
    traits, targets = {}, {}
    for name in sorted({row.skill for row in gathered.rows}):
        try:
            skill = catalogue.load(name)
            own, fingerprint = traits_of(skill, {}), skill.fingerprint()
        except (UnknownName, SkillError):
            continue
        traits[name], targets[name] = own, skill.retained_target
        rows += still_valid([row for row in gathered.rows if row.skill == name], fingerprint)
    return Learnable(rows, traits, targets, f"{gathered.text}; {len(rows)} of them still hold")


def _nothing(kind: str, current: Champion, found: Learnable) -> TrainingReport:
    reason = NO_EVIDENCE if not found.rows else current.text
    return TrainingReport(kind, False, reason, current.version, None, found.text, {}, None)


def _report(
    kind: str, is_promoted: bool, reason: str, current: Champion, made: Router, found: Learnable, comparison: Comparison | None
) -> TrainingReport:
    skills = {skill: policy.reason for skill, policy in sorted(made.policies.items())}
    return TrainingReport(kind, is_promoted, reason, current.version, made.version, found.text, skills, comparison)


def _compared(comparison: Comparison | None) -> Sequence[str]:
    if comparison is None or comparison.challenger.overall is None:
        return []
    pairs = [("champion", comparison.champion), ("challenger", comparison.challenger)]
    return [f"{who} on {one.n_rows} replayed rows: {describe(one)}" for who, made in pairs if (one := made.overall)]


def describe(measured: SkillReplay) -> str:
    """Return a replay's figures in words."""
    shares = ", ".join(f"{tier} {share:.0%}" for tier, share in measured.shares.items() if share)
    return f"saves {_span(measured.saved)}, keeps {_span(measured.retained)} (target {measured.target:.0%}); starts {shares}"


def replay_rows(made: Replay) -> list[dict[str, str | int]]:
    """Return a table of a replay: a row per skill, and one for all of them."""
    overall = [made.overall] if made.overall else []
    return [
        {
            "router": made.version,
            "skill": one.skill,
            "rows": one.n_rows,
            "saved": _span(one.saved),
            "kept": _span(one.retained),
            "kept at least": f"{one.retained_lower:.1%}",
            "target": f"{one.target:.0%}",
            "starts": ", ".join(f"{tier} {share:.0%}" for tier, share in one.shares.items() if share),
        }
        for one in [*made.skills.values(), *overall]
    ]


def _span(interval: Interval) -> str:
    return f"{interval.value:.1%} [{interval.low:.1%}, {interval.high:.1%}]"
