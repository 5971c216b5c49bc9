"""One model under the names that a profile, a provider's report and its exports give it.

``openai/gpt-6-luna`` is billed as ``gpt-6-luna-2026-01-15``, ``anthropic/claude-haiku-4-5`` as ``claude-haiku-4-5-20251001`` and exported
as ``Claude Haiku 4.5``, ``bedrock/us.anthropic.claude-opus-4-6-v1:0`` as ``Claude4.6Opus``.
"""

import re
from collections.abc import Collection

DATE = re.compile(r"[-@](?:\d{4}-\d{2}-\d{2}|\d{8}|latest)$")
VERSION = re.compile(r"-v\d+(?::\d+)*$")
VENDORS = re.compile(r"^(?:[a-z][a-z-]*\.){1,2}(?=[a-z])")
"""A region and a maker before a model of Bedrock."""
SAYS_NOTHING = ("instruct", "edition", "amazon", "bedrock")


def model_key(name: str) -> tuple[str, ...]:
    """Return what is the same for all names of a model: its words and numbers, in an order that does not depend on how it is written."""
    bare = VERSION.sub("", VENDORS.sub("", bare_name(name)))
    bare = DATE.sub("", VERSION.sub("", bare))
    words = re.findall(r"[a-z]+|\d+(?:\.\d+)*", bare)
    numbers = [part for word in words for part in re.sub(r"(?:\.0)+$", "", word).split(".")]
    return tuple(sorted(word for word in numbers if word not in SAYS_NOTHING))


def bare_name(name: str) -> str:
    """Return a model's name without the provider before it, in lower case."""
    return name.rpartition("/")[2].strip().lower()


def ledger_model(name: str, known: Collection[str]) -> str | None:
    """Return which of the ledger's models a report means: the one of this very name, else one of the same words, without a date first."""
    same = [model for model in known if bare_name(model) == bare_name(name)]
    alike = same or [model for model in known if model_key(model) == model_key(name)]
    return min(alike, key=lambda model: (DATE.search(bare_name(model)) is not None, model), default=None)
