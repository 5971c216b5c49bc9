"""What the simulator is told to do: latency, faults and quality, for all models and for one."""

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

CONNECTION_FAULTS = ("rate_limited", "server_error", "unavailable", "hang", "cut_before", "cut_after", "broken_body")
"""Drawn anew each time the same request comes: a retry may pass. The last two are billed, the others are not."""
CONTENT_FAULTS = ("not_json", "breaks_schema", "refusal", "truncated")
"""A set function of model and prompt, like the answers; billed."""
FAULTS = CONNECTION_FAULTS + CONTENT_FAULTS
UNBILLED = frozenset({"rate_limited", "server_error", "unavailable", "hang", "cut_before"})


@dataclass(frozen=True, slots=True)
class Latency:
    """``fixed`` (ms), ``uniform`` (low_ms … high_ms) or ``lognormal`` (median ms, sigma)."""

    kind: str = "fixed"
    ms: float = 0.0
    low_ms: float = 0.0
    high_ms: float = 0.0
    sigma: float = 0.5

    def __post_init__(self) -> None:
        if self.kind not in ("fixed", "uniform", "lognormal"):
            raise ValueError(f"latency kind {self.kind!r}: allowed are fixed, uniform, lognormal")

    def draw_s(self, rng: random.Random) -> float:
        """Return one latency in seconds."""
        if self.kind == "uniform":
            return rng.uniform(self.low_ms, self.high_ms) / 1000
        if self.kind == "lognormal":
            return self.ms * rng.lognormvariate(0.0, self.sigma) / 1000
        return self.ms / 1000


@dataclass(slots=True)
class Rule:
    """A fault for the requests that match; ``nth`` counts the matching requests from 1, ``times`` bounds its use."""

    fault: str
    model: str | None = None
    contains: str | None = None
    nth: tuple[int, ...] = ()
    times: int | None = None
    n_matched: int = 0
    n_used: int = 0

    def __post_init__(self) -> None:
        if self.fault not in FAULTS:
            raise ValueError(f"fault {self.fault!r}: allowed are {', '.join(FAULTS)}")

    def applies(self, model: str, text: str) -> bool:
        """Return whether this request gets the fault, and count it."""
        if (self.model and self.model != model) or (self.contains and self.contains not in text):
            return False
        self.n_matched += 1
        if (self.nth and self.n_matched not in self.nth) or (self.times is not None and self.n_used >= self.times):
            return False
        self.n_used += 1
        return True


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How one model behaves."""

    latency: Latency = Latency()
    faults: Mapping[str, float] = field(default_factory=dict)
    wrong: float = 0.0
    """Share of answers whose values are wrong: other labels, quotes and numbers that do not occur in the text."""
    cached_fraction: float = 0.0
    """Share of the prompt tokens reported (and billed) as read from the provider's cache."""
    context_tokens: int | None = None
    """Longer prompts are refused with 400 context_length_exceeded, unbilled."""

    def __post_init__(self) -> None:
        unknown = set(self.faults) - set(FAULTS)
        if unknown:
            raise ValueError(f"faults {sorted(unknown)}: allowed are {', '.join(FAULTS)}")


@dataclass(frozen=True, slots=True)
class Config:
    """The whole configuration; ``models`` overrides the default behaviour key by key."""

    default: Behaviour = Behaviour()
    models: Mapping[str, Behaviour] = field(default_factory=dict)
    rules: tuple[Rule, ...] = ()
    seed: int = 1
    retry_after_s: float = 1.0
    keep_requests: bool = False
    """Keep each request's body for ``/calls``."""

    def behaviour(self, model: str) -> Behaviour:
        """Return the model's behaviour, or the default."""
        return self.models.get(model, self.default)


def read_config(source: str) -> dict[str, Any]:
    """Return the configuration as plain data from a JSON text, or from a JSON file."""
    value = json.loads(source if source.lstrip().startswith("{") else Path(source).read_text("utf-8"))
    if not isinstance(value, dict):
        raise ValueError(f"the configuration is a {type(value).__name__}: it has to be an object")
    return value


def parse_config(value: Mapping[str, Any]) -> Config:
    """Return the configuration; keys of a behaviour at the top level are the default of every model."""
    own = {k: v for k, v in value.items() if k not in ("models", "rules", "seed", "retry_after_s", "keep_requests")}
    default = _behaviour(Behaviour(), own)
    return Config(
        default=default,
        models={name: _behaviour(default, override) for name, override in value.get("models", {}).items()},
        rules=tuple(Rule(**{**rule, "nth": tuple(rule.get("nth", ()))}) for rule in value.get("rules", ())),
        seed=value.get("seed", 1),
        retry_after_s=value.get("retry_after_s", 1.0),
        keep_requests=value.get("keep_requests", False),
    )


def _behaviour(base: Behaviour, value: Mapping[str, Any]) -> Behaviour:
    changes = dict(value)
    if "latency" in changes:
        changes["latency"] = Latency(**changes["latency"])
    return replace(base, **changes)
