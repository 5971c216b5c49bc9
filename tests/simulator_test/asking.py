"""Requests to the simulator, as plain HTTP."""

import asyncio
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import aiohttp

SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["label", "quote", "amount", "lines", "issued_on", "score"],
    "properties": {
        "label": {"type": "string", "enum": ["invoice", "contract", "mail", "report"]},
        "quote": {"type": "string"},
        "amount": {"type": "number"},
        "lines": {"type": "array", "minItems": 1, "maxItems": 60, "items": {"type": "string", "enum": ["a", "b", "c", "d"]}},
        "issued_on": {"type": ["string", "null"], "format": "date"},
        "score": {"type": "number", "minimum": 0, "maximum": 1},
    },
}
TEXT = "Invoice {n} from Fictional Ltd, 2026-03-14.\nPlease pay the total of 433.80 EUR for 3 days of advice before the end of the month."


@dataclass(frozen=True, slots=True)
class Got:
    """One answer; status 0 is a connection cut without one."""

    status: int
    headers: dict[str, str]
    raw: str

    @property
    def body(self) -> Any:
        return json.loads(self.raw)

    @property
    def message(self) -> Any:
        return self.body["choices"][0]["message"]

    @property
    def value(self) -> Any:
        return json.loads(self.message["content"])


def request(n: int = 0, model: str = "sim-fast", **more: Any) -> dict[str, Any]:
    """Return the body of a request for one document."""
    document = f"<document bcdf>\n{TEXT.format(n=n)}\n</document bcdf>"
    messages = [{"role": "system", "content": "Say what it is."}, {"role": "user", "content": f"Labels: …\n\n{document}"}]
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA, "strict": True}}
    return {"model": model, "messages": messages, "response_format": form, **more}


def ask(url: str, *bodies: dict[str, Any], concurrency: int = 8, timeout_s: float = 30) -> list[Got]:
    """Send the requests and return the answers in their order; the call id is the request's number."""
    return asyncio.run(_ask_all(url, bodies, concurrency, timeout_s))


async def _ask_all(url: str, bodies: Iterable[dict[str, Any]], concurrency: int, timeout_s: float) -> list[Got]:
    slots, limit = asyncio.Semaphore(concurrency), aiohttp.ClientTimeout(total=timeout_s)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=limit) as session:

        async def one(n: int, body: dict[str, Any]) -> Got:
            async with slots:
                try:
                    async with session.post(f"{url}/chat/completions", json=body, headers={"x-skillyard-call-id": f"call-{n}"}) as got:
                        return Got(got.status, {k.lower(): v for k, v in got.headers.items()}, await got.text())
                except (aiohttp.ClientError, TimeoutError):
                    return Got(0, {}, "")

        return await asyncio.gather(*[one(n, body) for n, body in enumerate(bodies)])
