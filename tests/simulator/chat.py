"""Live chat completions.

A request is billed when it arrives, not when it is answered: a caller that dies or gives up meanwhile still pays.
"""

import asyncio
import json
import time
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from tests.simulator.limits import Limits
from tests.simulator.provider import Provider, Reply, n_prompt_tokens
from tests.simulator.replies import RefusedError, after_work, as_json, before_work, completion, is_open, pieces, stream


class Chat:
    """Answers ``POST /v1/chat/completions``."""

    def __init__(self, provider: Provider, limits: Limits) -> None:
        self.provider, self.limits = provider, limits
        self.n_in_flight = 0
        self.in_flight_peak = 0

    def forget(self) -> None:
        """Start counting anew."""
        self.in_flight_peak = self.n_in_flight

    async def complete(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        provider = self.provider
        body = _parse(await request.read())
        problem = provider.problem(body)
        if problem is not None:
            raise RefusedError(*problem)
        behaviour, gate = provider.config.behaviour(body["model"]), self.limits.gates[body["model"]]
        again_s = gate.refusal_s(behaviour, n_prompt_tokens(body["messages"]), provider.config.retry_after_s)
        reply = provider.decide(body) if again_s is None else Reply("over_limit")
        call = provider.record(body, reply, request.headers.get("x-skillyard-call-id"), "live")
        self.n_in_flight += 1
        self.in_flight_peak = max(self.in_flight_peak, self.n_in_flight)
        try:
            if again_s is not None:
                return await self._deliver(request, body, reply, call["request_id"], again_s)
            gate.count(behaviour, reply.prompt_tokens + reply.completion_tokens)
            await gate.begin(behaviour)
            try:
                return await self._deliver(request, body, reply, call["request_id"], provider.config.retry_after_s)
            finally:
                gate.end()
        finally:
            self.n_in_flight -= 1
            call["answered_at"] = time.time()

    async def _deliver(
        self, request: web.BaseRequest, body: Mapping[str, Any], reply: Reply, request_id: str, retry_after_s: float
    ) -> web.StreamResponse:
        headers = {"x-request-id": request_id}
        refused = await before_work(request, reply.fault, headers, retry_after_s)
        if refused is not None:
            return refused
        if is_open(request):
            await asyncio.sleep(self.provider.config.behaviour(body["model"]).latency.draw_s(self.provider.rng))
        whole = completion(body["model"], reply, request_id)
        if body.get("stream"):
            has_usage = (body.get("stream_options") or {}).get("include_usage", False)
            return await stream(request, reply.fault, pieces(whole, has_usage), headers)
        return await after_work(request, reply.fault, web.Response(body=as_json(whole), content_type="application/json", headers=headers))


def _parse(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError as error:
        raise RefusedError(400, f"the body has to be JSON: {error}") from None
