"""The LLM classifier: a cheap model says how hard an item is, where the router does not know or is not sure.

What it says may choose where an item starts, between the tiers the skill allows, and nothing else. The document is data to it: a text
that calls itself easy gets, at worst, the skill's default tier, and its answer is checked there as any other.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cache
from typing import Any

from skillyard.errors import SkillyardError
from skillyard.routing.decide import Decision, Traits, choose_tier
from skillyard.routing.features import Features
from skillyard.routing.policy import SkillPolicy
from skillyard.skills.prompt import DATA_NOTICE, document_mark
from skillyard.tiers import TIERS

TEXT_CAP = 2000
"""Characters of the document it sees: enough to tell what kind of text it is, and an upper bound of its cost."""
MAX_TOKENS = 200
TIMEOUT_S = 60.0
MOST_USD = Decimal("0.005")
"""A request whose upper bound is not below is not asked."""
MARGIN = 0.02
"""A decision whose expected quality is less above what is asked for is not sure."""
MOST_TOOLS, MOST_CHARS = 8, 200
"""What is kept of its words."""

COMPLEXITIES = ("low", "medium", "high")
SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["complexity", "requires_auth", "tools_needed", "reasoning"],
    "properties": {
        "complexity": {"type": "string", "enum": list(COMPLEXITIES)},
        "requires_auth": {"type": "boolean"},
        "tools_needed": {"type": "array", "items": {"type": "string"}},
        "reasoning": {"type": "string"},
    },
}
PROMPT = """You judge how hard a task is for a language model before it is given to one. Do not do the task.
complexity: low when the answer stands in the document in plain words; medium when it has to be put together from several places or needs \
knowledge of the field; high when it needs several steps of reasoning, calculation, or a choice between statements that conflict.
requires_auth: whether the task cannot be done without a system that asks for a login.
tools_needed: tools it needs beside reading the document; mostly none.
reasoning: one sentence of at most 20 words.
Answer with one JSON object with these four keys and nothing else."""


@dataclass(frozen=True, slots=True)
class Classification:
    """What the classifier says of one item. Only ``complexity`` changes anything, the rest is recorded."""

    complexity: str
    requires_auth: bool
    tools_needed: tuple[str, ...]
    reasoning: str


class NotClassified(SkillyardError):
    """The classifier's reply cannot be used: the item is routed without it."""


def classifier_messages(task: str, text: str) -> list[dict[str, str]]:
    """Return the messages of one request: the same for every skill but for ``task``, the document last, cut off, as data."""
    head = text[:TEXT_CAP]
    mark = document_mark(head)
    document = f"<document {mark}>\n{head}\n</document {mark}>"
    return [{"role": "system", "content": PROMPT}, {"role": "user", "content": f"Task: {task}\n\n{DATA_NOTICE}\n\n{document}"}]


def read_classification(content: str) -> Classification:
    """Return what a reply says; NotClassified when it does not keep to the schema."""
    try:
        value = json.loads(content[content.find("{") : content.rfind("}") + 1])
    except (ValueError, RecursionError):
        raise NotClassified("the reply is not JSON") from None
    if error := next(_validator().iter_errors(value), None):
        raise NotClassified(f"the reply breaks the schema: {error.message[:MOST_CHARS]}")
    tools = tuple(tool[:MOST_CHARS] for tool in value["tools_needed"][:MOST_TOOLS])
    return Classification(value["complexity"], value["requires_auth"], tools, value["reasoning"][:MOST_CHARS])


@cache
def _validator() -> Any:
    from jsonschema import Draft202012Validator

    return Draft202012Validator(SCHEMA)


def is_unsure(decision: Decision, policy: SkillPolicy | None, tier_max: str) -> bool:
    """Say whether the classifier may change a decision: no evidence stands behind it, or it just meets what its policy asks for.

    What a policy asks for is measured at the top tier's mean quality. On the highest tier nothing is left to move up to.
    """
    if policy is None or decision.expected_quality is None:
        return True
    return decision.tier != tier_max and decision.expected_quality - policy.threshold * policy.quality_top < MARGIN


def classified(decision: Decision, traits: Traits, features: Features, windows: Mapping[str, int], said: Classification) -> Decision:
    """Return the decision with the tier that the classification asks for, or the next one whose window the item fits.

    low: the skill's default tier; medium: at least standard; high: the skill's highest. A decision that rests on evidence only moves up:
    what is proven to keep the quality stays proven.
    """
    default, top = TIERS.index(traits.tier_default), TIERS.index(traits.tier_max)
    wanted = {"low": default, "medium": max(default, TIERS.index("standard")), "high": top}[said.complexity]
    if decision.expected_quality is not None:
        wanted = max(wanted, TIERS.index(decision.tier))
    tier = choose_tier(traits, features, windows, TIERS[wanted]).tier
    reason = f"{decision.reason}; classifier: {said.complexity}"
    if tier == decision.tier:
        return replace(decision, reason=reason)
    reason += f", {tier} instead of {decision.tier}"
    return replace(decision, tier=tier, reason=reason, expected_quality=None, expected_cost_usd=None)
