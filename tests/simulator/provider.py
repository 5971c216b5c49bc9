"""What the provider decides about requests to its models, and its record of them: calls, counts and the bill."""

import json
import random
import secrets
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.simulator.answers import answer, broken, document_of, n_tokens, plain_text, prompt_hash, share, shown
from tests.simulator.bill import Bill
from tests.simulator.config import CONNECTION_FAULTS, CONTENT_FAULTS, UNBILLED, Config, parse_config

_REFUSAL = "I cannot help with this document."
TOKENS_A_PICTURE = 1_105


@dataclass(frozen=True, slots=True)
class Reply:
    """What one request gets, decided before any waiting; ``reasoning_tokens`` are within ``completion_tokens``."""

    fault: str | None
    content: str = ""
    finish_reason: str = "stop"
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    reasoning_tokens: int = 0

    @property
    def is_billed(self) -> bool:
        """Whether the work is done and invoiced, whatever becomes of the answer."""
        return self.fault not in UNBILLED


@dataclass(slots=True)
class Provider:
    """The state of one simulator; files, batches and limits have theirs."""

    settings: dict[str, Any]
    bill: Bill = field(default_factory=Bill)
    config: Config = field(init=False)
    calls: list[dict[str, Any]] = field(init=False)
    n_seen: Counter[bytes] = field(init=False)
    n_by_model: Counter[str] = field(init=False)
    n_by_fault: Counter[str] = field(init=False)
    n_by_operation: Counter[str] = field(init=False)
    rng: random.Random = field(init=False)
    prefix: str = field(default_factory=lambda: f"chatcmpl-sim-{secrets.token_hex(3)}")
    n_requests: int = 0

    def __post_init__(self) -> None:
        self.configure({})
        self.forget()

    def configure(self, changes: Mapping[str, Any]) -> None:
        """Replace the given keys of the configuration; rules start counting anew."""
        settings = {**self.settings, **changes}
        self.config = parse_config(settings)
        self.settings = settings

    def forget(self) -> None:
        """Start over: no calls, no counts, an empty bill, the seed's first latencies. The configuration stays."""
        self.configure({})
        self.calls, self.bill.lines = [], []
        self.n_seen, self.n_by_model, self.n_by_fault, self.n_by_operation = Counter(), Counter(), Counter(), Counter()
        self.rng = random.Random(self.config.seed)

    def problem(self, body: Any) -> tuple[int, str, str | None] | None:
        """Return status, message and code for what is wrong with a request, or none."""
        if not isinstance(body, dict) or not {"model", "messages"} <= body.keys():
            return 400, "the body has to be a JSON object with model and messages", None
        if body["model"] not in self.bill.prices:
            return 404, f"The model {body['model']!r} does not exist", "model_not_found"
        if not body["messages"]:
            return 400, "messages may not be empty", None
        return None

    def decide(self, body: Mapping[str, Any], more_faults: Mapping[str, float] | None = None) -> Reply:
        """Return the reply to a request: a set function of model and prompt, apart from connection faults."""
        model, messages = body["model"], body["messages"]
        schema = ((body.get("response_format") or {}).get("json_schema") or {}).get("schema")
        key, seed = prompt_hash(messages, schema), str(self.config.seed)
        behaviour = self.config.behaviour(model)
        prompt_tokens = n_prompt_tokens(messages)
        if behaviour.context_tokens is not None and prompt_tokens > behaviour.context_tokens:
            return Reply("context_length", prompt_tokens=prompt_tokens)
        fault = self._fault(model, key, plain_text(messages[-1].get("content")), more_faults or {})
        is_wrong = share(seed, "wrong", model, key) < behaviour.wrong
        content = self.config.set_content("\n\n".join(shown(m.get("content")) for m in messages)) if self.config.said else None
        if content is None:
            content = answer(document_of(messages), schema, key + model.encode() if is_wrong else key, is_wrong)
        asked = behaviour.output_tokens.at(share(seed, "length", model, key)) if behaviour.output_tokens else 0
        reasoning = max(asked - n_tokens(content), 0)
        content, finish_reason = _spoil(content, fault)
        most = max_tokens(body)
        if most is not None and reasoning + n_tokens(content) > most:
            reasoning, finish_reason = min(reasoning, most), "length"
            content = content[: (most - reasoning) * 4]
        cached = int(prompt_tokens * behaviour.cached_fraction)
        return Reply(fault, content, finish_reason, prompt_tokens, cached, n_tokens(content) + reasoning, reasoning)

    def record(self, body: Mapping[str, Any], reply: Reply, call_id: str | None, lane: str) -> dict[str, Any]:
        """Enter a request into calls, counts and, if it is billed, the bill; return its call, without ``answered_at`` yet."""
        self.n_requests += 1
        who = {"request_id": f"{self.prefix}-{self.n_requests:08d}", "call_id": call_id, "lane": lane, "model": body["model"]}
        if reply.is_billed:
            uncached = reply.prompt_tokens - reply.cached_tokens
            tokens = {"input_tokens": uncached, "cache_read_tokens": reply.cached_tokens, "output_tokens": reply.completion_tokens}
            self.bill.add(who | tokens)
        times = {"at": time.time(), "answered_at": None}
        call = who | {"fault": reply.fault, "is_billed": reply.is_billed, "max_tokens": max_tokens(body)} | times
        if self.config.keep_requests:
            call["body"] = body
        self.calls.append(call)
        self.n_by_model[body["model"]] += 1
        if reply.fault:
            self.n_by_fault[reply.fault] += 1
        return call

    def fault_on(self, operation: str) -> str | None:
        """Return the fault of a request about files or batches, and count it."""
        self.n_by_operation[operation] += 1
        matching = [rule.fault for rule in self.config.rules if rule.applies_on(operation)]
        return matching[0] if matching else None

    def _fault(self, model: str, key: bytes, text: str, more: Mapping[str, float]) -> str | None:
        matching = [rule.fault for rule in self.config.rules if rule.applies(model, text)]
        if matching:
            return matching[0]
        probabilities = dict(self.config.behaviour(model).faults)
        for fault, probability in more.items():
            probabilities[fault] = probabilities.get(fault, 0.0) + probability
        if not any(probabilities.values()):
            return None
        seen, seed = model.encode() + key, str(self.config.seed)
        self.n_seen[seen] += 1
        return _drawn(probabilities, CONNECTION_FAULTS, share(seed, "connection", seen, str(self.n_seen[seen]))) or _drawn(
            probabilities, CONTENT_FAULTS, share(seed, "content", seen)
        )


def max_tokens(body: Mapping[str, Any]) -> int | None:
    """Return the most output tokens a request allows."""
    return body.get("max_completion_tokens") or body.get("max_tokens")


def n_prompt_tokens(messages: list[dict[str, Any]]) -> int:
    """Return the number of tokens of a prompt; each picture has as many."""
    parts = [part for m in messages if isinstance(m.get("content"), list) for part in m["content"]]
    pictures = sum(part.get("type") == "image_url" for part in parts)
    return sum(n_tokens(plain_text(m.get("content"))) for m in messages) + pictures * TOKENS_A_PICTURE


def _drawn(probabilities: Mapping[str, float], faults: tuple[str, ...], at: float) -> str | None:
    for fault in faults:
        at -= probabilities.get(fault, 0.0)
        if at < 0:
            return fault
    return None


def _spoil(content: str, fault: str | None) -> tuple[str, str]:
    """Return the content as the fault leaves it, and the finish reason."""
    if fault == "not_json":
        return f"Sure! Here is what I found: {content[1:-1]}", "stop"
    if fault == "breaks_schema":
        return broken(content) if content.startswith("{") else json.dumps({"unexpected": content}), "stop"
    if fault == "refusal":
        return _REFUSAL, "stop"
    if fault == "truncated":
        return content[: max(len(content) // 2, 1)], "length"
    return content, "stop"
