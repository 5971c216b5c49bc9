"""The versions of the router on the lake, and which of them is the champion: the one that routes.

A version never changes: ``_routers/<version>.npz``. The pointer ``_routers/champion.json`` is replaced only as it was read (If-Match):
of two promotions at the same time one wins, and the other is told. Without a pointer, or with one that names ``heuristic``, declared
traits decide; so they do when the champion cannot be used.
"""

import json
import math
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from skillyard.errors import ConfigError, ObjectMissing, PublishConflict, SkillyardError, Transient, UnknownName
from skillyard.lake.lake import Lake
from skillyard.routing.decide import HEURISTIC
from skillyard.routing.policy import SkillPolicy
from skillyard.routing.router import Router, load_router, save_router
from skillyard.settings import Settings
from skillyard.tiers import TIERS

FOLDER = "_routers/"
POINTER = f"{FOLDER}champion.json"


class PromotionConflict(SkillyardError, Transient):
    """Another promotion or rollback came first: look at the champion of now before trying again."""


@dataclass(frozen=True, slots=True)
class Pointer:
    """Which version is in use, and how it came to be."""

    version: str
    previous: str
    """What a rollback goes back to."""
    promoted_at: str
    by: str
    why: str


@dataclass(frozen=True, slots=True)
class Champion:
    """What routes at this moment."""

    router: Router | None
    """None: declared traits decide."""
    problem: str
    """Why a champion that was promoted cannot be used; empty when all is well."""
    pointer: Pointer | None
    etag: str | None
    """Of the pointer as it was read."""

    @property
    def version(self) -> str:
        """What is to stand on result rows."""
        return self.router.version if self.router else HEURISTIC

    @property
    def text(self) -> str:
        """One sentence for a log."""
        if self.problem:
            return f"declared traits decide, the champion cannot be used: {self.problem}"
        if self.router is None:
            return "declared traits decide: no router is in use"
        return f"router {self.router.version} decides ({self.router.kind}, {self.router.n_evidence} rows of evidence)"


def champion(lake: Lake) -> Champion:
    """Return the router in use; one that is missing, corrupt, newer or of other tiers is a ``problem``, not an error."""
    try:
        pointer, etag = _read_pointer(lake)
    except ConfigError as error:
        return Champion(None, str(error), None, _etag(lake))
    if pointer is None or pointer.version == HEURISTIC:
        return Champion(None, "", pointer, etag)
    try:
        return Champion(load_version(lake, pointer.version), "", pointer, etag)
    except ConfigError as error:
        return Champion(None, str(error), pointer, etag)


def save_version(lake: Lake, router: Router) -> None:
    """Write a version; PublishConflict when another one has its name."""
    data, key = save_router(router), _key(router.version)
    if lake.storage.put_if_absent(key, data) is None and lake.storage.get(key) != data:
        raise PublishConflict(f"{lake.storage.uri(key)} is there already and differs: a version never changes. Train again.")


def load_version(lake: Lake, version: str) -> Router:
    """Return a version; UnknownName when it is not there, RouterUnusable when it cannot be used."""
    try:
        return load_router(lake.storage.get(_key(version)), TIERS)
    except ObjectMissing:
        raise UnknownName("router version", version, (row["version"] for row in list_versions(lake))) from None


def list_versions(lake: Lake) -> list[dict[str, Any]]:
    """Return the versions on the lake, oldest first: version, saved_at, size_bytes."""
    found = [info for info in lake.storage.list(FOLDER) if info.key.endswith(".npz")]
    names = [info.key.removeprefix(FOLDER).removesuffix(".npz") for info in found]
    return [{"version": n, "saved_at": info.modified_at, "size_bytes": info.size_bytes} for n, info in zip(names, found, strict=True)]


def describe_router(settings: Settings, version: str | None = None) -> dict[str, Any]:
    """Return what is known of a version, the champion by default, and which versions there are."""
    lake = Lake(settings.lake)
    current = champion(lake)
    router = current.router if version is None else load_version(lake, version)
    shown: dict[str, Any] = {
        "champion": current.version,
        "in_use": current.text,
        "pointer": asdict(current.pointer) if current.pointer else None,
    }
    if router is not None:
        made_of = ("version", "kind", "parent", "created_at", "window", "n_evidence", "trained_on", "metrics")
        shown |= {name: getattr(router, name) for name in made_of} | {"families": sorted(router.families)}
        shown["policies"] = {skill: _describe(policy) for skill, policy in sorted(router.policies.items())}
    return shown | {"versions": list_versions(lake)}


def promote(
    lake: Lake, version: str, by: str, why: str, now: datetime, over: Champion | None = None, previous: str | None = None
) -> Pointer:
    """Make a version (or ``heuristic``) the champion. ``over`` is the champion it was compared with: PromotionConflict if it changed.

    A version that is missing or cannot be used is refused, and the champion stays; so it does when it is that version. ``previous`` is
    what a rollback goes back to, the champion by default.
    """
    over = over or champion(lake)
    if version != HEURISTIC:
        load_version(lake, version)
    if over.pointer and over.pointer.version == version:
        return over.pointer
    before = previous or (over.pointer.version if over.pointer else HEURISTIC)
    pointer = Pointer(version, before, now.isoformat(), by, why)
    data = json.dumps(asdict(pointer), ensure_ascii=False, indent=1).encode()
    if lake.storage.replace_if_match(POINTER, data, over.etag) is None:
        raise PromotionConflict(
            f"{version} was not promoted: {lake.storage.uri(POINTER)} has changed meanwhile, to {champion(lake).version}. "
            "Another promotion or rollback came first; look at it with `skillyard router show`."
        )
    return pointer


def rollback(lake: Lake, by: str, now: datetime) -> Pointer:
    """Go back to the champion of before the last training or promotion, past all recalibrations since; doing it twice undoes it."""
    current = champion(lake)
    if current.pointer is None:
        raise ConfigError("no router has been promoted: there is nothing to go back to.")
    return promote(lake, current.pointer.previous, by, f"rollback from {current.pointer.version}", now, current)


def _describe(policy: SkillPolicy) -> dict[str, Any]:
    """Return a policy as plain values; a threshold that lets the top tier alone is null, since JSON has no infinity."""
    threshold = policy.threshold if math.isfinite(policy.threshold) else None
    return asdict(policy) | {"threshold": threshold, "is_proven": policy.is_proven}


def _read_pointer(lake: Lake) -> tuple[Pointer | None, str | None]:
    """Return the pointer and its etag, taken before its content: what was replaced in between is a conflict, never overwritten."""
    etag = _etag(lake)
    if etag is None:
        return None, None
    try:
        return Pointer(**json.loads(lake.storage.get(POINTER))), etag
    except (ValueError, TypeError):
        raise ConfigError(f"{lake.storage.uri(POINTER)} is no pointer to a router: promote a version anew.") from None


def _etag(lake: Lake) -> str | None:
    info = lake.storage.head(POINTER)
    return info.etag if info else None


def _key(version: str) -> str:
    return f"{FOLDER}{version}.npz"
