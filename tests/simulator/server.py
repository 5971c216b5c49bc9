"""The HTTP server: OpenAI's chat completions, a bill, and what tests ask about it.

A request is billed when it arrives, not when it is answered: a caller that dies or gives up meanwhile still pays.
"""

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from tests.simulator.answers import answer, broken, document_of, n_tokens, plain_text, prompt_hash, share
from tests.simulator.bill import Bill
from tests.simulator.config import CONNECTION_FAULTS, CONTENT_FAULTS, UNBILLED, Config, parse_config

_ERRORS = {
    "rate_limited": (429, "rate_limit_error", "Rate limit reached"),
    "server_error": (500, "server_error", "The server had an error"),
    "unavailable": (503, "server_error", "The server is overloaded"),
}
_REFUSAL = "I cannot help with this document."


@dataclass(frozen=True, slots=True)
class Reply:
    """What one request gets, decided before any waiting."""

    fault: str | None
    content: str | None
    finish_reason: str
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int


@dataclass(slots=True)
class Provider:
    """The state of one simulator."""

    settings: dict[str, Any]
    bill: Bill = field(default_factory=Bill)
    config: Config = field(init=False)
    calls: list[dict[str, Any]] = field(init=False)
    n_seen: Counter[bytes] = field(init=False)
    n_by_model: Counter[str] = field(init=False)
    n_by_fault: Counter[str] = field(init=False)
    rng: random.Random = field(init=False)
    n_requests: int = 0
    n_in_flight: int = 0
    in_flight_peak: int = 0

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
        self.n_seen, self.n_by_model, self.n_by_fault = Counter(), Counter(), Counter()
        self.rng = random.Random(self.config.seed)
        self.in_flight_peak = self.n_in_flight

    def decide(self, body: Mapping[str, Any]) -> Reply:
        """Return the reply to a request: a set function of model and prompt, apart from connection faults."""
        model, messages = body["model"], body["messages"]
        schema = ((body.get("response_format") or {}).get("json_schema") or {}).get("schema")
        key = prompt_hash(messages, schema)
        seed = str(self.config.seed)
        behaviour = self.config.behaviour(model)
        prompt_tokens = sum(n_tokens(plain_text(m.get("content"))) for m in messages)
        if behaviour.context_tokens is not None and prompt_tokens > behaviour.context_tokens:
            return Reply("context_length", None, "stop", prompt_tokens, 0, 0)
        text = document_of(messages)
        fault = self._fault(model, key, plain_text(messages[-1].get("content")), seed)
        is_wrong = share(seed, "wrong", model, key) < behaviour.wrong
        content = answer(text, schema, key + model.encode() if is_wrong else key, is_wrong)
        content, finish_reason = _spoil(content, fault, body)
        cached = int(prompt_tokens * behaviour.cached_fraction)
        return Reply(fault, content, finish_reason, prompt_tokens, cached, n_tokens(content))

    def _fault(self, model: str, key: bytes, text: str, seed: str) -> str | None:
        matching = [rule.fault for rule in self.config.rules if rule.applies(model, text)]
        if matching:
            return matching[0]
        probabilities = self.config.behaviour(model).faults
        if not probabilities:
            return None
        seen = model.encode() + key
        self.n_seen[seen] += 1
        return _drawn(probabilities, CONNECTION_FAULTS, share(seed, "connection", seen, str(self.n_seen[seen]))) or _drawn(
            probabilities, CONTENT_FAULTS, share(seed, "content", seen)
        )


def _drawn(probabilities: Mapping[str, float], faults: tuple[str, ...], at: float) -> str | None:
    for fault in faults:
        at -= probabilities.get(fault, 0.0)
        if at < 0:
            return fault
    return None


def _spoil(content: str, fault: str | None, body: Mapping[str, Any]) -> tuple[str, str]:
    """Return the content as the fault leaves it, and the finish reason."""
    if fault == "not_json":
        content = f"Sure! Here is what I found: {content[1:-1]}"
    elif fault == "breaks_schema":
        content = broken(content) if content.startswith("{") else json.dumps({"unexpected": content})
    elif fault == "refusal":
        return _REFUSAL, "stop"
    elif fault == "truncated":
        return content[: max(len(content) // 2, 1)], "length"
    most = body.get("max_completion_tokens") or body.get("max_tokens")
    if most is not None and n_tokens(content) > most:
        return content[: most * 4], "length"
    return content, "stop"


class Server:
    """Routes requests to a provider; aiohttp's low-level server keeps the hot path short."""

    def __init__(self, provider: Provider, bill_file: Path | None) -> None:
        self.provider, self.bill_file = provider, bill_file

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one HTTP request."""
        if request.method == "POST" and request.path == "/v1/chat/completions":
            return await self._complete(request)
        return await self._administer(request)

    async def _complete(self, request: web.BaseRequest) -> web.StreamResponse:
        provider = self.provider
        body, problem = _parse(await request.read(), provider.bill.prices)
        if body is None:
            return problem
        provider.n_requests += 1
        request_id = f"chatcmpl-sim-{provider.n_requests:08d}"
        call_id = request.headers.get("x-skillyard-call-id")
        reply = provider.decide(body)
        model, fault = body["model"], reply.fault
        is_billed = fault not in UNBILLED and fault != "context_length"
        if is_billed:
            uncached = reply.prompt_tokens - reply.cached_tokens
            provider.bill.add(request_id, call_id, model, uncached, reply.cached_tokens, reply.completion_tokens)
        call = {"request_id": request_id, "call_id": call_id, "model": model, "fault": fault, "is_billed": is_billed}
        provider.calls.append(call | {"body": body} if provider.config.keep_requests else call)
        provider.n_by_model[model] += 1
        if fault:
            provider.n_by_fault[fault] += 1
        provider.n_in_flight += 1
        provider.in_flight_peak = max(provider.in_flight_peak, provider.n_in_flight)
        try:
            return await self._deliver(request, body, reply, request_id)
        finally:
            provider.n_in_flight -= 1

    async def _deliver(self, request: web.BaseRequest, body: Mapping[str, Any], reply: Reply, request_id: str) -> web.StreamResponse:
        provider, fault, headers = self.provider, reply.fault, {"x-request-id": request_id}
        if fault == "cut_before":
            return _cut(request)
        if fault == "hang":
            while request.transport is not None and not request.transport.is_closing():
                await asyncio.sleep(0.2)
            return _cut(request)
        if fault == "context_length":
            return _error(400, "invalid_request_error", f"{reply.prompt_tokens} tokens are too many.", headers, "context_length_exceeded")
        if fault in _ERRORS:
            status, kind, message = _ERRORS[fault]
            if fault == "rate_limited":
                headers["retry-after"] = f"{provider.config.retry_after_s:g}"
            return _error(status, kind, message, headers)
        await asyncio.sleep(provider.config.behaviour(body["model"]).latency.draw_s(provider.rng))
        if fault == "cut_after":
            return _cut(request)
        raw = json.dumps(_completion(body["model"], reply, request_id), ensure_ascii=False)
        if fault == "broken_body":
            raw = raw[: len(raw) // 2]
        return web.Response(body=raw.encode(), content_type="application/json", headers=headers)

    async def _administer(self, request: web.BaseRequest) -> web.StreamResponse:
        provider, what = self.provider, (request.method, request.path)
        if what == ("GET", "/v1/models"):
            models = [{"id": name, "object": "model", "created": 0, "owned_by": "simulator"} for name in provider.bill.prices]
            return web.json_response({"object": "list", "data": models})
        if what == ("GET", "/bill"):
            return web.json_response(provider.bill.as_dict())
        if what == ("GET", "/calls"):
            return web.json_response(provider.calls)
        if what == ("GET", "/stats"):
            return web.json_response(_stats(provider))
        if what == ("POST", "/bill/save") and self.bill_file is not None:
            provider.bill.save(self.bill_file)
            return web.json_response({"file": str(self.bill_file)})
        if what == ("POST", "/reset"):
            provider.forget()
            return web.json_response({})
        if what == ("POST", "/configure"):
            try:
                provider.configure(await request.json())
            except (TypeError, ValueError) as error:
                return _error(400, "invalid_request_error", str(error))
            return web.json_response({})
        return _error(404, "invalid_request_error", f"{request.method} {request.path} is not served here")


def _stats(provider: Provider) -> dict[str, Any]:
    return {
        "n_requests": len(provider.calls),
        "n_in_flight": provider.n_in_flight,
        "in_flight_peak": provider.in_flight_peak,
        "by_model": dict(provider.n_by_model),
        "by_fault": dict(provider.n_by_fault),
        "cpu_s": time.process_time(),
    }


def _parse(raw: bytes, models: Mapping[str, object]) -> tuple[dict[str, Any] | None, web.Response]:
    """Return the request's body, or none and the reply that says what is wrong with it."""
    try:
        body = json.loads(raw)
        model, messages = body["model"], body["messages"]
    except (ValueError, KeyError, TypeError) as error:
        return None, _error(400, "invalid_request_error", f"the body has to be JSON with model and messages: {error!r}")
    if model not in models:
        return None, _error(404, "invalid_request_error", f"The model {model!r} does not exist", code="model_not_found")
    if not messages or body.get("stream"):
        return None, _error(400, "invalid_request_error", "messages may not be empty, and streaming is not served")
    return body, web.Response()


def _completion(model: str, reply: Reply, request_id: str) -> dict[str, Any]:
    is_refusal = reply.fault == "refusal"
    message = {"role": "assistant", "content": None if is_refusal else reply.content, "refusal": reply.content if is_refusal else None}
    usage: dict[str, Any] = {
        "prompt_tokens": reply.prompt_tokens,
        "completion_tokens": reply.completion_tokens,
        "total_tokens": reply.prompt_tokens + reply.completion_tokens,
    }
    if reply.cached_tokens:
        usage["prompt_tokens_details"] = {"cached_tokens": reply.cached_tokens}
    return {
        "id": request_id,
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": reply.finish_reason, "logprobs": None}],
        "usage": usage,
    }


def _error(status: int, kind: str, message: str, headers: Mapping[str, str] | None = None, code: str | None = None) -> web.Response:
    body = {"error": {"message": message, "type": kind, "param": None, "code": code}}
    return web.json_response(body, status=status, headers=headers)


def _cut(request: web.BaseRequest) -> web.Response:
    """Close the connection without an answer; the response returned goes nowhere."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def serve(settings: dict[str, Any], port: int, bill_file: Path | None, is_ready: Any, until: asyncio.Event) -> None:
    """Serve on loopback until the event is set; ``is_ready`` gets the port. A bill file that exists is taken up."""
    provider = Provider(settings)
    if bill_file is not None and bill_file.exists():
        provider.bill.load(bill_file)
    runner = web.ServerRunner(web.Server(Server(provider, bill_file).handle, access_log=None), shutdown_timeout=0.2)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port, backlog=1024)
    await site.start()
    is_ready(runner.addresses[0][1])
    try:
        await until.wait()
    finally:
        if bill_file is not None:
            provider.bill.save(bill_file)
        await runner.cleanup()
