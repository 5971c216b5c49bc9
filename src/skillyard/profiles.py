"""A profile says which deployments serve each tier: a YAML file under ``include/profiles``, or anywhere by its path."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from skillyard.errors import ConfigError, MissingKey, UnknownName
from skillyard.tiers import TIERS

SERVICE_TIERS = {
    None: "standard",
    "auto": "standard",
    "default": "standard",
    "standard_only": "standard",
    "flex": "flex",
    "priority": "priority",
}
"""By what a deployment's ``params`` may ask for, the price list of the price book."""


class DeploymentSpec(BaseModel):
    """One entry of a tier in the file."""

    model_config = ConfigDict(extra="forbid")

    name: str
    model: str
    api_key_env: str | None = None
    api_base: str | None = None
    api_base_env: str | None = None
    context_tokens: int = Field(gt=0)
    max_output_tokens: int = Field(gt=0)
    image_tokens: int | None = Field(default=None, gt=0)
    json_schema: bool = True
    concurrency: int = Field(default=16, gt=0)
    weight: float = Field(default=1.0, gt=0)
    rpm: int | None = Field(default=None, gt=0)
    tpm: int | None = Field(default=None, gt=0)
    utilisation: float | None = Field(default=None, gt=0, le=1)
    batch: bool = False
    region: str = ""
    params: dict[str, Any] = {}


class ProfileSpec(BaseModel):
    """The whole file: every tier has at least one deployment."""

    model_config = ConfigDict(extra="forbid")

    description: str
    tiers: dict[str, list[DeploymentSpec]]
    voters: dict[str, list[DeploymentSpec]] = {}


@dataclass(frozen=True, slots=True)
class Deployment:
    """A model at an endpoint. The key is resolved when a call is about to be made, never printed."""

    name: str
    tier: str
    model: str
    context_tokens: int
    max_output_tokens: int
    has_json_schema: bool
    concurrency: int
    """Requests it takes at once, over all processes."""
    params: Mapping[str, Any]
    weight: float = 1.0
    """Its part of a tier's requests, beside the other deployments'."""
    rpm: int | None = None
    """Requests a minute."""
    tpm: int | None = None
    """Tokens a minute, input and output limit together."""
    utilisation: float | None = None
    """For an endpoint of our own, paid by the hour: the share of that time in which it is expected to be busy."""
    has_batch: bool = False
    """It offers files and batches at a discount."""
    region: str = ""
    """Whose prices it is charged by, where the price book has such."""
    image_tokens: int | None = None
    """The most input tokens that a picture of a page can count as; None when it sees no pictures."""
    api_base: str | None = None
    api_key_env: str | None = None
    api_key: str | None = field(default=None, repr=False)

    @property
    def identity(self) -> tuple[str, str | None, tuple[tuple[str, str], ...]]:
        """What the answer depends on: asking the same identity the same way gives the same answer."""
        return (self.model, self.api_base, tuple(sorted((k, repr(v)) for k, v in self.params.items())))

    @property
    def service_tier(self) -> str:
        """The price list by which it is charged when asked live."""
        return SERVICE_TIERS[self.params.get("service_tier")]

    def service_tier_in(self, lane: str) -> str:
        """Return the price list by which it is charged in a lane."""
        return "batch" if lane == "batch" else self.service_tier

    @property
    def endpoint(self) -> str:
        """What shares limits and health: one model at one address for one key, whichever tiers and profiles it serves."""
        return f"{self.model} at {self.api_base or 'its provider'} for {self.api_key_env or 'nobody'}"


@dataclass(frozen=True, slots=True)
class Profile:
    """The deployments of every tier."""

    name: str
    description: str
    path: Path
    tiers: Mapping[str, tuple[Deployment, ...]]
    voters: Mapping[str, tuple[Deployment, ...]] = field(default_factory=dict)
    """By tier: asked what the tier is asked, one by one; their answers vote on its answer and are never served."""

    @property
    def pools(self) -> dict[str, tuple[Deployment, ...]]:
        """What a request can be sent to: any deployment of a tier, or one voter."""
        return {**self.tiers, **{voter_pool(d.name): (d,) for own in self.voters.values() for d in own}}

    def deployments(self, pool: str) -> tuple[Deployment, ...]:
        """Return the deployments of a tier, or a voter by its pool."""
        pools = self.pools if self.voters else self.tiers
        if pool not in pools:
            raise UnknownName("tier", pool, self.tiers)
        return pools[pool]

    def check_keys(self, tiers: Iterable[str]) -> None:
        """Raise MissingKey for the first deployment of these tiers whose variable is not set."""
        for deployment in (d for tier in tiers for d in self.deployments(tier)):
            if deployment.api_key_env and not deployment.api_key:
                raise MissingKey(deployment.api_key_env, deployment.name)

    def context_tokens(self, tier: str) -> int:
        """Return the smallest context window of a tier's deployments: any of them may be asked."""
        return min(d.context_tokens for d in self.deployments(tier))

    def distinct(self, tiers: Iterable[str]) -> tuple[str, ...]:
        """Return the tiers without those that would ask the same model the same way as an earlier one: it would answer the same."""
        found: list[str] = []
        for tier in tiers:
            if not any(self.is_same(tier, earlier) for earlier in found):
                found.append(tier)
        return tuple(found)

    def is_same(self, tier: str, other: str) -> bool:
        """Say whether two tiers are served by the same deployments asked the same way."""
        return {d.identity for d in self.deployments(tier)} == {d.identity for d in self.deployments(other)}


def voter_pool(name: str) -> str:
    """Return the pool that one voter is."""
    return f"voter {name}"


def load_profile(name: str, include: Path, env: Mapping[str, str] | None = None) -> Profile:
    """Read a profile by name or path; keys and addresses named by ``*_env`` come from the environment."""
    env = os.environ if env is None else env
    folder = include / "profiles"
    path = Path(name) if name.endswith((".yaml", ".yml")) else folder / f"{name}.yaml"
    if not path.is_file():
        raise UnknownName("profile", name, (p.stem for p in folder.glob("*.yaml")))
    try:
        spec = ProfileSpec.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (yaml.YAMLError, ValidationError) as error:
        raise ConfigError(f"{path}: {error}") from None
    if set(spec.tiers) != set(TIERS) or not all(spec.tiers.values()):
        raise ConfigError(f"{path}: tiers: each of {', '.join(TIERS)} needs at least one deployment, and no other tier is allowed.")
    tiers = {tier: tuple(_resolve(tier, d, path, env) for d in spec.tiers[tier]) for tier in TIERS}
    voters = {tier: tuple(_resolve(tier, d, path, env) for d in own) for tier, own in spec.voters.items()}
    _check_voters(voters, tiers, path)
    return Profile(path.stem, spec.description, path, tiers, voters)


def _check_voters(voters: Mapping[str, tuple[Deployment, ...]], tiers: Mapping[str, tuple[Deployment, ...]], path: Path) -> None:
    if unknown := set(voters) - set(tiers):
        raise ConfigError(f"{path}: voters: unknown tier {min(unknown)!r}; allowed: {', '.join(tiers)}.")
    names = [d.name for own in voters.values() for d in own]
    if len(names) != len(set(names)) or not {d.name for own in tiers.values() for d in own}.isdisjoint(names):
        raise ConfigError(f"{path}: voters: each needs a name that no other voter and no deployment has; found {', '.join(names)}.")
    for voter in (d for own in voters.values() for d in own):
        if voter.identity in {d.identity for d in tiers[voter.tier]}:
            raise ConfigError(f"{path}: voter {voter.name!r} is what it votes on, asked the same way: give it another model, or remove it.")


def _resolve(tier: str, spec: DeploymentSpec, path: Path, env: Mapping[str, str]) -> Deployment:
    base = spec.api_base or (env.get(spec.api_base_env) if spec.api_base_env else None)
    if spec.api_base_env and not base:
        raise ConfigError(f"{path}: deployment {spec.name!r} needs {spec.api_base_env}: set it to the endpoint's address.")
    if spec.batch and not spec.model.startswith("openai/"):
        raise ConfigError(
            f"{path}: deployment {spec.name!r}: batch: true is for OpenAI-compatible endpoints (openai/…), not for {spec.model}: remove it."
        )
    asked = spec.params.get("service_tier")
    if not isinstance(asked, str | None) or asked not in SERVICE_TIERS:
        allowed = ", ".join(filter(None, SERVICE_TIERS))
        raise ConfigError(f"{path}: deployment {spec.name!r}: service_tier {asked!r} has no price list; allowed are {allowed}.")
    return Deployment(
        name=spec.name,
        tier=tier,
        model=spec.model,
        context_tokens=spec.context_tokens,
        max_output_tokens=spec.max_output_tokens,
        has_json_schema=spec.json_schema,
        concurrency=spec.concurrency,
        params=spec.params,
        weight=spec.weight,
        rpm=spec.rpm,
        tpm=spec.tpm,
        utilisation=spec.utilisation,
        has_batch=spec.batch,
        region=spec.region,
        image_tokens=spec.image_tokens,
        api_base=base,
        api_key_env=spec.api_key_env,
        api_key=env.get(spec.api_key_env) if spec.api_key_env else None,
    )
