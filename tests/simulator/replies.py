"""What goes over the wire: completions, errors, and connections that end badly."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from tests.simulator.provider import Reply

_ERRORS = {
    "rate_limited": (429, "rate_limit_error", "Rate limit reached", None),
    "server_error": (500, "server_error", "The server had an error", None),
    "unavailable": (503, "server_error", "The server is overloaded", None),
    "over_limit": (429, "requests", "Rate limit reached: too many requests or tokens at once or a minute", "rate_limit_exceeded"),
    "context_length": (400, "invalid_request_error", "The prompt has too many tokens", "context_length_exceeded"),
}
_POLL_S = 0.2
_PIECE_CHARS = 24


class RefusedError(Exception):
    """A request that is answered with an error; ``response`` is that answer."""

    def __init__(self, status: int, message: str, code: str | None = None, param: str | None = None) -> None:
        super().__init__(message)
        body = {"error": {"message": message, "type": "invalid_request_error", "param": param, "code": code}}
        self.response = web.json_response(body, status=status)


def error_of(fault: str | None) -> tuple[int, dict[str, Any]] | None:
    """Return the status and body that answer a refused request, or none when the fault is of another kind."""
    if fault not in _ERRORS:
        return None
    status, kind, message, code = _ERRORS[fault]
    return status, {"error": {"message": message, "type": kind, "param": None, "code": code}}


async def before_work(request: web.BaseRequest, fault: str | None, headers: dict[str, str], retry_after_s: float) -> web.Response | None:
    """Return the answer of a request that is refused, cut off or left hanging before any work, else none."""
    if fault == "cut_before":
        return _cut(request)
    if fault == "hang":
        return await _outwait(request)
    refusal = error_of(fault)
    if refusal is None:
        return None
    status, body = refusal
    more = {"retry-after": f"{retry_after_s:g}"} if status == 429 else {}
    return web.json_response(body, status=status, headers=headers | more)


async def after_work(request: web.BaseRequest, fault: str | None, response: web.Response) -> web.Response:
    """Return the response as the fault leaves it; ``late`` is later than anybody waits."""
    if fault == "cut_after":
        return _cut(request)
    if fault == "late":
        return await _outwait(request)
    if fault == "broken_body" and isinstance(response.body, bytes):
        response.body = response.body[: len(response.body) // 2]
    return response


def completion(model: str, reply: Reply, request_id: str) -> dict[str, Any]:
    """Return a chat completion."""
    is_refusal = reply.fault == "refusal"
    message = {"role": "assistant", "content": None if is_refusal else reply.content, "refusal": reply.content if is_refusal else None}
    usage: dict[str, Any] = {
        "prompt_tokens": reply.prompt_tokens,
        "completion_tokens": reply.completion_tokens,
        "total_tokens": reply.prompt_tokens + reply.completion_tokens,
    }
    if reply.cached_tokens:
        usage["prompt_tokens_details"] = {"cached_tokens": reply.cached_tokens}
    if reply.reasoning_tokens:
        usage["completion_tokens_details"] = {"reasoning_tokens": reply.reasoning_tokens}
    return {
        "id": request_id,
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": reply.finish_reason, "logprobs": None}],
        "usage": usage,
    }


def pieces(whole: Mapping[str, Any], has_usage: bool) -> list[bytes]:
    """Return a chat completion as the events of a stream."""
    choice, message = whole["choices"][0], whole["choices"][0]["message"]
    name = "refusal" if message["refusal"] else "content"
    text = message[name] or ""
    parts = [{name: text[start : start + _PIECE_CHARS]} for start in range(0, len(text), _PIECE_CHARS)]
    deltas = [
        ({"role": "assistant", "content": "", "refusal": None}, None),
        *((part, None) for part in parts),
        ({}, choice["finish_reason"]),
    ]
    base = {"id": whole["id"], "object": "chat.completion.chunk", "created": whole["created"], "model": whole["model"]}
    events = [
        base | {"choices": [{"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}], "usage": None}
        for delta, finish in deltas
    ]
    if has_usage:
        events.append(base | {"choices": [], "usage": whole["usage"]})
    return [b"data: " + as_json(event) + b"\n\n" for event in events] + [b"data: [DONE]\n\n"]


async def stream(request: web.BaseRequest, fault: str | None, events: list[bytes], headers: dict[str, str]) -> web.StreamResponse:
    """Send the events of a stream, as many as the fault leaves: then the connection breaks, or the stream just ends."""
    if fault == "late":
        return await _outwait(request)
    response = web.StreamResponse(headers={"content-type": "text/event-stream", **headers})
    await response.prepare(request)
    for event in events[: len(events) // 2] if fault in ("cut_after", "broken_body") else events:
        if not is_open(request):
            return response
        await response.write(event)
    if fault == "cut_after":
        return _cut(request)
    await response.write_eof()
    return response


def as_json(value: Mapping[str, Any]) -> bytes:
    """Return JSON text with letters as they are."""
    return json.dumps(value, ensure_ascii=False).encode()


def is_open(request: web.BaseRequest) -> bool:
    """Say whether the client is still there."""
    return request.transport is not None and not request.transport.is_closing()


async def _outwait(request: web.BaseRequest) -> web.Response:
    """Say nothing until the client has given up."""
    while is_open(request):
        await asyncio.sleep(_POLL_S)
    return _cut(request)


def _cut(request: web.BaseRequest) -> web.Response:
    """Close the connection without an answer; the response returned goes nowhere."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()
