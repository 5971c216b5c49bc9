"""What the simulator is told to do: latency, faults, quality and limits, for all models and for one; and how batches go."""

import json
import math
import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import NormalDist
from typing import Any

CONNECTION_FAULTS = ("rate_limited", "server_error", "unavailable", "hang", "cut_before", "cut_after", "broken_body", "late")
"""Drawn anew each time the same request comes: a retry may pass. The last three are billed, the others are not."""
CONTENT_FAULTS = ("not_json", "breaks_schema", "refusal", "truncated")
"""A set function of model and prompt, like the answers; billed."""
FAULTS = CONNECTION_FAULTS + CONTENT_FAULTS
UNBILLED = frozenset({"rate_limited", "server_error", "unavailable", "hang", "cut_before", "context_length", "over_limit"})
"""The last two are no faults to configure: a prompt beyond ``context_tokens``, and a request beyond the model's limits."""
OPERATIONS = (
    "POST /v1/files",
    "GET /v1/files/*",
    "GET /v1/files/*/content",
    "DELETE /v1/files/*",
    "POST /v1/batches",
    "GET /v1/batches",
    "GET /v1/batches/*",
    "POST /v1/batches/*/cancel",
)
"""What rules can be ``on`` beside requests to a model."""
OUTCOMES = ("completed", "expired", "failed", "cancelled", "stuck")


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


@dataclass(frozen=True, slots=True)
class OutputTokens:
    """Log-normal lengths of the whole output, a set function of model and prompt; what the answer does not fill is reasoning."""

    median: float
    sigma: float = 0.5

    def at(self, share: float) -> int:
        """Return the length that this share of all outputs stays below."""
        return round(self.median * math.exp(self.sigma * NormalDist().inv_cdf(max(share, 1e-9))))


@dataclass(frozen=True, slots=True)
class BatchBehaviour:
    """How batches go that are created from now on."""

    seconds: float = 0.0
    """From creation to the end. The first tenth is spent validating and the last finalizing (or cancelling); rows are done in between."""
    outcome: str = "completed"
    """``failed``: the provider takes none of the rows. ``expired``, ``cancelled`` (by the provider) and ``stuck`` do half of the rows;
    ``stuck`` then stays in_progress until it is cancelled or its window ends."""
    expire_share: float = 0.0
    """Share of the rows that expire, as if they had the fault ``hang``: another batch may do them. The batch's end is ``expired`` then."""
    fail_share: float = 0.0
    """Share of the rows that fail with status 500, as if they had the fault ``server_error``."""
    window_s: float | None = None
    """An unfinished batch expires after this, with the rows done so far; without it, after 24 hours."""

    def __post_init__(self) -> None:
        if self.outcome not in OUTCOMES:
            raise ValueError(f"batch outcome {self.outcome!r}: allowed are {', '.join(OUTCOMES)}")

    def row_faults(self) -> dict[str, float]:
        """Return the probabilities that rows have on top of their model's."""
        return {"hang": self.expire_share, "server_error": self.fail_share}


@dataclass(slots=True)
class Rule:
    """A fault for the requests that match; ``nth`` counts the matching requests from 1, ``times`` bounds its use.

    It is for requests to a model, live or a batch's row, or else ``on`` one of the operations on files and batches.
    """

    fault: str
    on: str | None = None
    model: str | None = None
    contains: str | None = None
    nth: tuple[int, ...] = ()
    times: int | None = None
    n_matched: int = 0
    n_used: int = 0

    def __post_init__(self) -> None:
        if self.fault not in FAULTS:
            raise ValueError(f"fault {self.fault!r}: allowed are {', '.join(FAULTS)}")
        if self.on is None:
            return
        if self.on not in OPERATIONS:
            raise ValueError(f"rule on {self.on!r}: allowed are {', '.join(OPERATIONS)}")
        if self.fault not in CONNECTION_FAULTS or self.model or self.contains:
            raise ValueError(f"rule on {self.on!r}: it has a fault of {', '.join(CONNECTION_FAULTS)}, and neither model nor contains")

    def applies(self, model: str, text: str) -> bool:
        """Return whether this request to a model gets the fault, and count it."""
        if self.on or (self.model and self.model != model) or (self.contains and self.contains not in text):
            return False
        return self._counts()

    def applies_on(self, operation: str) -> bool:
        """Return whether this request about files or batches gets the fault, and count it."""
        return self.on == operation and self._counts()

    def _counts(self) -> bool:
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
    output_tokens: OutputTokens | None = None
    """Without it an output is as long as its answer."""
    max_in_flight: int | None = None
    """Live requests worked on at the same time; what is above it waits (``overflow: queue``) or gets 429 (``reject``)."""
    overflow: str = "queue"
    rpm: float | None = None
    """Live requests a minute: in any ``window_s`` at most rpm * window_s / 60 are taken, the others get 429."""
    tpm: float | None = None
    """Tokens a minute, likewise: those of the taken requests (input and actual output) and the prompt of the next."""
    window_s: float = 60.0

    def __post_init__(self) -> None:
        unknown = set(self.faults) - set(FAULTS)
        if unknown:
            raise ValueError(f"faults {sorted(unknown)}: allowed are {', '.join(FAULTS)}")
        if self.overflow not in ("queue", "reject"):
            raise ValueError(f"overflow {self.overflow!r}: allowed are queue, reject")


@dataclass(frozen=True, slots=True)
class Config:
    """The whole configuration; ``models`` overrides the default behaviour key by key."""

    default: Behaviour = Behaviour()
    models: Mapping[str, Behaviour] = field(default_factory=dict)
    rules: tuple[Rule, ...] = ()
    batch: BatchBehaviour = BatchBehaviour()
    seed: int = 1
    retry_after_s: float = 1.0
    said: Mapping[str, str] = field(default_factory=dict)
    """What every model answers to a prompt that holds a text, by that text; of several it holds the longest counts. Faults come after."""
    keep_requests: bool = False
    """Keep each request's body for ``/calls``."""

    def behaviour(self, model: str) -> Behaviour:
        """Return the model's behaviour, or the default."""
        return self.models.get(model, self.default)

    def set_content(self, prompt: str) -> str | None:
        """Return what is answered to a prompt, if that is set."""
        held = [text for text in self.said if text in prompt]
        return self.said[max(held, key=len)] if held else None


_OF_ALL = ("models", "rules", "batch", "seed", "retry_after_s", "said", "keep_requests")
"""Keys that are no model's behaviour."""


def read_config(source: str) -> dict[str, Any]:
    """Return the configuration as plain data from a JSON text, or from a JSON file."""
    value = json.loads(source if source.lstrip().startswith("{") else Path(source).read_text("utf-8"))
    if not isinstance(value, dict):
        raise ValueError(f"the configuration is a {type(value).__name__}: it has to be an object")
    return value


def parse_config(value: Mapping[str, Any]) -> Config:
    """Return the configuration; keys of a behaviour at the top level are the default of every model."""
    own = {k: v for k, v in value.items() if k not in _OF_ALL}
    default = _behaviour(Behaviour(), own)
    return Config(
        default=default,
        models={name: _behaviour(default, override) for name, override in value.get("models", {}).items()},
        rules=tuple(Rule(**{**rule, "nth": tuple(rule.get("nth", ()))}) for rule in value.get("rules", ())),
        batch=BatchBehaviour(**value.get("batch", {})),
        seed=value.get("seed", 1),
        retry_after_s=value.get("retry_after_s", 1.0),
        said=value.get("said", {}),
        keep_requests=value.get("keep_requests", False),
    )


def _behaviour(base: Behaviour, value: Mapping[str, Any]) -> Behaviour:
    changes = dict(value)
    if "latency" in changes:
        changes["latency"] = Latency(**changes["latency"])
    if changes.get("output_tokens") is not None:
        changes["output_tokens"] = OutputTokens(**changes["output_tokens"])
    return replace(base, **changes)
