"""Evidence: what each tier made of one item, beside what the expert or a case expects; which of it still holds; how it is split.

Rows come from audits (an item of production answered on every tier its skill may use) and from evals (a skill's own cases).
"""

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from skillyard.errors import ConfigError
from skillyard.tiers import TIERS

FIT, CALIBRATE = 0.5, 0.8
"""Upper ends of the first two splits on [0, 1); the rest is for replay alone."""
SOURCES = ("audit", "eval")

CHANGE_LEVEL = 0.01
N_SHUFFLES = 999
LEAST_CHANGE = 2.3
"""Below this many standard errors nothing is significant: no need to shuffle."""


@dataclass(frozen=True, slots=True)
class Observation:
    """What one tier made of one item."""

    passed: bool
    """The answer passed its schema and its named checks."""
    quality: float
    """0..1: agreement with the expert's answer or with what the case expects; 0.0 when not passed."""
    cost_usd: float
    latency_s: float | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """One item of one skill and its outcomes."""

    skill: str
    fingerprint: str
    item_id: str
    group: str
    """The document, or eval:<skill>:<case>: never divided between fitting, calibration and replay."""
    text: str
    language: str | None
    outcomes: Mapping[str, Observation]
    """By tier."""
    weight: float
    """Inverse of the chance it was sampled with; 1.0 for evals."""
    served_tier: str | None
    """None for evals."""
    observed_at: datetime
    """UTC, with its zone."""
    source: str
    """One of SOURCES."""


class EvidenceError(ConfigError):
    """A row of evidence cannot be learned from."""


def check_evidence(rows: Iterable[Evidence]) -> None:
    """Raise EvidenceError for the first row that cannot be learned from, or when there is none."""
    n_rows = 0
    for n_rows, row in enumerate(rows, 1):
        problem = _problem(row)
        if problem:
            raise EvidenceError(
                f"evidence row {n_rows} (skill {row.skill!r}, item {row.item_id!r}): {problem}. Correct or leave out the row."
            )
    if not n_rows:
        raise EvidenceError("no evidence: run an audit or the skill's evals on every tier first.")


def split_of(group: str) -> Literal["fit", "calibrate", "replay"]:
    """Return the one use that a group's rows have, the same for ever."""
    share = hash_share("split", group)
    return "fit" if share < FIT else "calibrate" if share < CALIBRATE else "replay"


def hash_share(salt: str, group: str) -> float:
    """Return a number in [0, 1) that is uniform over groups, and independent between salts."""
    digest = hashlib.sha256(f"{salt}{group}".encode()).digest()
    return int.from_bytes(digest[:6]) / 2**48


def still_valid(rows: Sequence[Evidence], fingerprint: str) -> list[Evidence]:
    """Return the rows of one skill that say how its tiers do now; ``fingerprint`` is the skill's current one.

    The history, newest first (the current fingerprint before any other), is cut where the tiers' qualities change. What holds is the
    newest regime and every earlier one that does not differ from it: so evidence carries over to a new fingerprint until audits
    disagree, a drift is seen in the first night that shows it, and a recovery brings the evidence from before the drift back.
    Audits and evals have different items, hence each a history of its own; an eval from a time that the audits disown does not hold.
    """
    check_evidence(rows)
    skills = sorted({row.skill for row in rows})
    if len(skills) > 1:
        raise EvidenceError(f"evidence of {len(skills)} skills ({', '.join(skills)}) at once: pass one skill's rows at a time.")
    audits, disowned = _current([row for row in rows if row.source == "audit"], fingerprint)
    spans = [(min(row.observed_at for row in regime), max(row.observed_at for row in regime)) for regime in disowned]
    evals = [row for row in rows if row.source == "eval" and not any(first <= row.observed_at <= last for first, last in spans)]
    return audits + _current(evals, fingerprint)[0]


def _current(rows: Sequence[Evidence], fingerprint: str) -> tuple[list[Evidence], list[list[Evidence]]]:
    """Return the rows that agree with the newest regime, and the regimes that do not."""
    blocks: dict[tuple[bool, date, str], list[Evidence]] = {}
    for row in rows:
        key = (row.fingerprint == fingerprint, row.observed_at.astimezone(UTC).date(), row.fingerprint)
        blocks.setdefault(key, []).append(row)
    newest_first = [blocks[key] for key in sorted(blocks, reverse=True)]
    held: list[Evidence] = []
    disowned = []
    for n, regime in enumerate(_regimes(newest_first)):
        flat = [row for block in regime for row in block]
        if n == 0:
            newest = flat
        if n == 0 or find_change([newest, flat]) is None:
            held += flat
        else:
            disowned.append(flat)
    return held, disowned


def _regimes(blocks: list[list[Evidence]]) -> list[list[list[Evidence]]]:
    cut = find_change(blocks)
    return [blocks] if cut is None else _regimes(blocks[:cut]) + _regimes(blocks[cut:])


def find_change(blocks: Sequence[Sequence[Evidence]]) -> int | None:
    """Return before which block the mean quality of a tier changes (p < CHANGE_LEVEL over all tiers and cuts together), if it does.

    The largest standardised cumulative sum of residuals, against what it is when they are shuffled: exact for samples of any size. What
    a block has of one group is one residual.
    """
    groups = {key: n for n, key in enumerate(dict.fromkeys((n, row.group) for n, block in enumerate(blocks) for row in block))}
    cuts = np.cumsum([len({row.group for row in block}) for block in blocks])[:-1]
    residuals = _residuals(
        [row for block in blocks for row in block], [groups[n, row.group] for n, block in enumerate(blocks) for row in block]
    )
    if not len(cuts) or not residuals.size:
        return None
    scale = np.sqrt(cuts * (len(groups) - cuts) / len(groups))[:, None]
    statistics = (np.abs(np.cumsum(residuals, axis=0)[cuts - 1]) / scale).max(axis=1)
    if statistics.max() < LEAST_CHANGE:
        return None
    rng = np.random.default_rng(0)
    shuffled = (np.abs(np.cumsum(rng.permutation(residuals), axis=0)[cuts - 1]) / scale for _ in range(N_SHUFFLES))
    n_larger = sum(bool(one.max() >= statistics.max()) for one in shuffled)
    return int(statistics.argmax()) + 1 if (n_larger + 1) / (N_SHUFFLES + 1) < CHANGE_LEVEL else None


def _residuals(rows: Sequence[Evidence], group_of: Sequence[int]) -> NDArray[np.float64]:
    """Return groups × tiers: weighted differences from the tier's mean, scaled to variance 1; a tier that never varies is left out."""
    columns = []
    weights, n_rows = np.array([row.weight for row in rows]), np.bincount(group_of)
    for tier in TIERS:
        has = np.array([tier in row.outcomes for row in rows], bool)
        quality = np.array([row.outcomes[tier].quality if tier in row.outcomes else 0.0 for row in rows])
        if has.any():
            mean = np.average(quality[has], weights=weights[has])
            residual = np.bincount(group_of, np.where(has, weights * (quality - mean), 0.0)) / n_rows
            spread = residual.std()
            if spread > 1e-12:
                columns.append((residual - residual.mean()) / spread)
    return np.column_stack(columns) if columns else np.empty((len(n_rows), 0))


def _problem(row: Evidence) -> str:
    if not row.text.strip():
        return "its text is empty; a router learns from texts"
    if not (math.isfinite(row.weight) and row.weight > 0):
        return f"weight is {row.weight}; allowed: a finite number above 0"
    if row.observed_at.tzinfo is None:
        return f"observed_at is {row.observed_at} without a zone; allowed: UTC"
    if row.source not in SOURCES:
        return f"source is {row.source!r}; allowed: {', '.join(SOURCES)}"
    if not row.outcomes:
        return "it has no outcome on any tier; at least one is needed"
    problems = (_outcome_problem(tier, outcome) for tier, outcome in row.outcomes.items())
    return next(filter(None, problems), "")


def _outcome_problem(tier: str, outcome: Observation) -> str:
    if tier not in TIERS:
        return f"unknown tier {tier!r}; allowed: {', '.join(TIERS)}"
    if not 0 <= outcome.quality <= 1:  # False for NaN too
        return f"quality on {tier} is {outcome.quality}; allowed: 0 to 1"
    if outcome.quality and not outcome.passed:
        return f"quality on {tier} is {outcome.quality} although the answer failed its checks; allowed: 0.0"
    if not (math.isfinite(outcome.cost_usd) and outcome.cost_usd >= 0):
        return f"cost_usd on {tier} is {outcome.cost_usd}; allowed: a finite number from 0"
    return ""
