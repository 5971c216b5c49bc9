"""The HTTP server: OpenAI's chat completions, files and batches, a bill, and what tests ask about it."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from aiohttp import web

from tests.simulator.batches import Batches
from tests.simulator.chat import Chat
from tests.simulator.config import OPERATIONS
from tests.simulator.cost_reports import CostReports, read_oddities
from tests.simulator.files import MAX_BYTES, Files
from tests.simulator.limits import Limits
from tests.simulator.provider import Provider
from tests.simulator.replies import RefusedError, after_work, before_work

_MAX_REQUEST_BYTES = MAX_BYTES + 1_000_000
"""A file that is too large by little gets the store's answer rather than the server's."""


class Server:
    """Routes requests; aiohttp's low-level server keeps the hot path short."""

    def __init__(self, provider: Provider, bill_file: Path | None) -> None:
        self.provider, self.bill_file = provider, bill_file
        self.limits, self.files = Limits(), Files()
        self.chat, self.batches = Chat(provider, self.limits), Batches(provider, self.files)
        self.cost_reports = CostReports(provider)
        files, batches = self.files, self.batches
        answers = (
            files.upload,
            files.retrieve,
            files.content,
            files.delete,
            batches.create,
            batches.listed,
            batches.retrieve,
            batches.cancel,
        )
        self._answers: dict[str, Callable[[web.BaseRequest, str], Awaitable[web.Response]]] = dict(zip(OPERATIONS, answers, strict=True))

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one HTTP request."""
        try:
            if request.path == "/v1/chat/completions" and request.method == "POST":
                return await self.chat.complete(request)
            if request.path.startswith(("/v1/files", "/v1/batches")):
                return await self._operate(request)
            if request.path.startswith("/v1/organization"):
                return self.cost_reports.answer(request)
            return await self._administer(request)
        except RefusedError as error:
            return error.response

    async def _operate(self, request: web.BaseRequest) -> web.Response:
        """Answer a request about files or batches, with the fault that a rule has for it."""
        parts = request.path.split("/")
        thing_id = parts[3] if len(parts) > 3 else ""
        operation = f"{request.method} {'/'.join([*parts[:3], *(['*'] if thing_id else []), *parts[4:]])}"
        if operation not in self._answers:
            raise _unknown(request)
        fault = self.provider.fault_on(operation)
        refused = await before_work(request, fault, {}, self.provider.config.retry_after_s)
        return refused or await after_work(request, fault, await self._answers[operation](request, thing_id))

    async def _administer(self, request: web.BaseRequest) -> web.Response:
        provider, what = self.provider, (request.method, request.path)
        if what == ("GET", "/v1/models"):
            models = [{"id": name, "object": "model", "created": 0, "owned_by": "simulator"} for name in provider.bill.prices]
            return web.json_response({"object": "list", "data": models})
        if what == ("GET", "/bill"):
            return web.json_response(provider.bill.as_dict())
        if what == ("GET", "/calls"):
            return web.json_response(provider.calls)
        if what == ("GET", "/stats"):
            return web.json_response(self._stats())
        if what == ("POST", "/bill/save") and self.bill_file is not None:
            provider.bill.save(self.bill_file)
            return web.json_response({"file": str(self.bill_file)})
        if what == ("POST", "/reset"):
            for part in (self.batches, self.files, self.limits, self.chat, self.cost_reports, provider):
                part.forget()
            return web.json_response({})
        if what in (("POST", "/configure"), ("POST", "/cost-reports")):
            try:
                if request.path == "/configure":
                    provider.configure(json.loads(await request.read()))
                else:
                    self.cost_reports.configure(read_oddities(await request.read()))
            except (TypeError, ValueError) as error:
                raise RefusedError(400, str(error)) from None
            return web.json_response({})
        raise _unknown(request)

    def _stats(self) -> dict[str, Any]:
        provider = self.provider
        return {
            "n_requests": len(provider.calls),
            "n_in_flight": self.chat.n_in_flight,
            "in_flight_peak": self.chat.in_flight_peak,
            "by_model": dict(provider.n_by_model),
            "by_fault": dict(provider.n_by_fault),
            "by_operation": dict(provider.n_by_operation),
            **self.limits.stats(),
            "cpu_s": time.process_time(),
        }


def _unknown(request: web.BaseRequest) -> RefusedError:
    return RefusedError(404, f"{request.method} {request.path} is not served here")


async def serve(settings: dict[str, Any], port: int, bill_file: Path | None, is_ready: Any, until: asyncio.Event) -> None:
    """Serve on loopback until the event is set; ``is_ready`` gets the port. A bill file that exists is taken up."""
    provider = Provider(settings)
    if bill_file is not None and bill_file.exists():
        provider.bill.load(bill_file)
    server, loop = Server(provider, bill_file), asyncio.get_running_loop()

    def make_request(*parts: Any) -> web.BaseRequest:
        return web.BaseRequest(*parts, loop, client_max_size=_MAX_REQUEST_BYTES)

    http = web.Server(server.handle, request_factory=make_request, access_log=None)
    runner = web.ServerRunner(http, shutdown_timeout=0.2)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port, backlog=1024)
    await site.start()
    is_ready(runner.addresses[0][1])
    try:
        await until.wait()
    finally:
        server.batches.forget()
        if bill_file is not None:
            provider.bill.save(bill_file)
        await runner.cleanup()
