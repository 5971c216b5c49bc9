"""A router: one versioned value that decides where items start, and its form as bytes.

The bytes are an .npz archive without pickles: a JSON header, the weights of each family, and the sha256 of both.
"""

import hashlib
import io
import json
import math
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skillyard.errors import ConfigError
from skillyard.routing.decide import Decision, Traits, choose_tier, count_needed
from skillyard.routing.features import Features
from skillyard.routing.model import DENSE, FamilyModel, family_of
from skillyard.routing.ngrams import N_BUCKETS
from skillyard.routing.policy import SkillPolicy
from skillyard.tiers import TIERS

FORMAT = 1
"""Of the bytes. It grows with every change that an older reader would misread, spans that are hashed otherwise above all."""
_BROKEN = (ValueError, KeyError, TypeError, OSError, EOFError, IndexError, NotImplementedError, zipfile.BadZipFile, zlib.error)
Arrays = dict[str, NDArray[Any]]


class RouterUnusable(ConfigError):
    """The bytes of a router cannot be used: broken, of a newer format, or made for other tiers."""


@dataclass(frozen=True, slots=True, eq=False)
class Router:
    """What decides where items start, and what it was made of."""

    version: str
    kind: str
    """training: fitted anew; calibration: another router's weights with policies of newer evidence."""
    parent: str | None
    """The version it was made beside or from."""
    created_at: datetime
    window: tuple[datetime, datetime]
    """First and last observation."""
    n_evidence: int
    trained_on: str
    """sha256 of the evidence."""
    metrics: Mapping[str, Any]
    """Plain JSON values."""
    tiers: tuple[str, ...]
    families: Mapping[str, FamilyModel]
    policies: Mapping[str, SkillPolicy]
    """By skill."""

    def decide(
        self,
        skill: str,
        traits: Traits,
        features: Features,
        text: str,
        costs_usd: Mapping[str, float],
        windows: Mapping[str, int],
        first_tier: str | None = None,
    ) -> Decision:
        """Return where an item starts. A skill without evidence, or one whose highest tier has none, starts by its declared traits.

        ``costs_usd`` and ``windows`` are by tier: one call on it, and its context in tokens; ``first_tier`` overrides the evidence.
        """
        policy = self.policies.get(skill)
        if first_tier or policy is None or traits.tier_max not in policy.tiers:
            decision = choose_tier(traits, features, windows, first_tier)
            lacking = skill if policy is None else f"{skill} on {traits.tier_max}"
            return decision if first_tier else replace(decision, reason=f"no evidence for {lacking}: {decision.reason}")
        raw = self.families[family_of(skill)].score(skill, traits, features, text)
        score = round(1 - raw[policy.tiers[0]], 4)
        allowed = policy.tiers[: policy.tiers.index(traits.tier_max) + 1]
        n_needed = count_needed(traits, features)
        fitting = tuple(tier for tier in allowed if n_needed <= windows[tier])
        if not fitting:
            return Decision(allowed[-1], score, f"needs {n_needed} tokens, more than any allowed tier's window", self.version)
        if fitting != policy.tiers:
            policy = replace(policy, tiers=fitting)
        expected = policy.expected(raw, costs_usd)
        tier, reason = policy.choose_from(expected)
        if len(fitting) < len(allowed):
            reason += f"; {n_needed} tokens do not fit {', '.join(t for t in allowed if t not in fitting)}"
        return Decision(tier, score, reason, self.version, *expected[tier])


def save_router(router: Router) -> bytes:
    """Return the router as bytes: the same router gives the same bytes."""
    header = {
        "format": FORMAT,
        "version": router.version,
        "kind": router.kind,
        "parent": router.parent,
        "created_at": router.created_at.isoformat(),
        "window": [moment.isoformat() for moment in router.window],
        "n_evidence": router.n_evidence,
        "trained_on": router.trained_on,
        "metrics": router.metrics,
        "tiers": router.tiers,
        "dense": DENSE,
        "families": {
            name: {"tiers": model.tiers, "levels": model.levels, "level": model.level, "metrics": model.metrics}
            for name, model in router.families.items()
        },
        "policies": {skill: asdict(policy) | {"threshold": _finite(policy.threshold)} for skill, policy in router.policies.items()},
    }
    arrays: Arrays = {"header": np.frombuffer(json.dumps(header, allow_nan=False).encode(), np.uint8)}
    for name, model in router.families.items():
        buckets = np.flatnonzero(model.spans.any(axis=1)).astype(np.int32)
        arrays |= {f"{name}.buckets": buckets, f"{name}.spans": model.spans[buckets], f"{name}.dense": model.dense}
    held = io.BytesIO()
    np.savez_compressed(held, allow_pickle=False, sha256=_digest(arrays), **arrays)
    return held.getvalue()


def load_router(data: bytes, tiers: Sequence[str] = TIERS) -> Router:
    """Return the router in the bytes. RouterUnusable says why it cannot be used, and what to do."""
    again = "Train a new one (skillyard router train) or go back (skillyard router rollback)."
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        found = arrays.pop("sha256")
        header = json.loads(arrays["header"].tobytes())
        version, made_for, form = str(header["version"]), tuple(header["tiers"]), int(header["format"])
    except _BROKEN as error:
        raise RouterUnusable(f"{len(data)} bytes are no router, or it is broken ({type(error).__name__}: {error}). {again}") from error
    if form > FORMAT:
        raise RouterUnusable(f"router {version} has format {form}; this Skillyard reads up to {FORMAT}. Update it, or: {again}")
    if not np.array_equal(found, _digest(arrays)):
        raise RouterUnusable(f"router {version} was changed after it was made: its sha256 is another. {again}")
    if made_for != tuple(tiers):
        raise RouterUnusable(f"router {version} was made for the tiers {', '.join(made_for)}; they are {', '.join(tiers)} now. {again}")
    if tuple(header["dense"]) != DENSE:
        raise RouterUnusable(f"router {version} was made with other features than this Skillyard has. {again}")
    return _read(header, arrays)


def _read(header: Mapping[str, Any], arrays: Arrays) -> Router:
    first, last = (datetime.fromisoformat(moment) for moment in header["window"])
    return Router(
        version=header["version"],
        kind=header["kind"],
        parent=header["parent"],
        created_at=datetime.fromisoformat(header["created_at"]),
        window=(first, last),
        n_evidence=header["n_evidence"],
        trained_on=header["trained_on"],
        metrics=header["metrics"],
        tiers=tuple(header["tiers"]),
        families={name: _read_family(name, held, arrays) for name, held in header["families"].items()},
        policies={skill: _read_policy(held) for skill, held in header["policies"].items()},
    )


def _read_family(name: str, held: Mapping[str, Any], arrays: Arrays) -> FamilyModel:
    spans = np.zeros((N_BUCKETS, len(held["tiers"]) + 1), np.float32)
    spans[arrays[f"{name}.buckets"]] = arrays[f"{name}.spans"]
    levels = {skill: tuple(level) for skill, level in held["levels"].items()}
    return FamilyModel(tuple(held["tiers"]), spans, arrays[f"{name}.dense"], levels, tuple(held["level"]), held["metrics"])


def _read_policy(held: Mapping[str, Any]) -> SkillPolicy:
    read = {
        "threshold": math.inf if held["threshold"] is None else held["threshold"],
        "calibration": {tier: (slope, intercept) for tier, (slope, intercept) in held["calibration"].items()},
        "tiers": tuple(held["tiers"]),
    }
    return SkillPolicy(**{**held, **read})


def _finite(threshold: float) -> float | None:
    """JSON has no infinity."""
    return threshold if math.isfinite(threshold) else None


def _digest(arrays: Arrays) -> NDArray[np.uint8]:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"{name} {array.dtype.str} {array.shape} ".encode() + np.ascontiguousarray(array).tobytes())
    return np.frombuffer(digest.digest(), np.uint8)
