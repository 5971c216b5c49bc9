"""What the simulator's bill looks like in OpenAI's and Anthropic's own cost and usage reports: day buckets, pages, rounding, limits.

Both report the same lines: OpenAI's by line item with amounts in USD, Anthropic's by description with amounts in cents, each model under a
dated name. ``POST /cost-reports`` says what is odd about them: see ``Oddities``.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from aiohttp import web

from tests.simulator.provider import Provider
from tests.simulator.replies import RefusedError

PARTS = ("input", "cache_read", "output")
OPENAI_WORDS = {"input": "input", "cache_read": "cached input", "output": "output"}
ANTHROPIC_WORDS = {"input": "uncached_input_tokens", "cache_read": "cache_read_input_tokens", "output": "output_tokens"}
Group = tuple[str, str]
"""Model and lane."""


@dataclass(frozen=True, slots=True)
class Oddities:
    """How the report differs from the bill, and how hard it is to get."""

    day: str | None = None
    """Every line is of this day; by default of that of its request."""
    lines: tuple[Mapping[str, Any], ...] = ()
    """Further requests that are billed: model, input_tokens, cache_read_tokens, output_tokens, perhaps day and lane."""
    dearer: Mapping[str, str] = field(default_factory=dict)
    """By model: what its tokens cost, times the list."""
    places: int | None = None
    """Amounts are rounded to so many places of USD."""
    extra: Mapping[str, str] = field(default_factory=dict)
    """By line item: an amount on each day for something beside tokens."""
    key: str | None = None
    """The administrator's key that is asked for."""
    buckets: int = 31
    """Days in a page."""
    busy: int = 0
    """How many requests are answered with 429 first."""
    retry_after_s: float = 0


class CostReports:
    """Answers requests for cost reports."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self.forget()

    def forget(self) -> None:
        """Report the bill as it is."""
        self._odd, self._n_asked = Oddities(), 0

    def configure(self, changes: Mapping[str, Any]) -> None:
        """Set what is odd, anew."""
        self._odd, self._n_asked = Oddities(**{**changes, "lines": tuple(changes.get("lines", ()))}), 0

    def answer(self, request: web.BaseRequest) -> web.Response:
        """Return one page of one of the four reports."""
        reports = {
            "/v1/organization/costs": self._openai_costs,
            "/v1/organization/usage/completions": self._openai_usage,
            "/v1/organizations/cost_report": self._anthropic_costs,
            "/v1/organizations/usage_report/messages": self._anthropic_usage,
        }
        if request.path not in reports or request.method != "GET":
            raise RefusedError(404, f"{request.method} {request.path} is not served here")
        self._n_asked += 1
        if self._n_asked <= self._odd.busy:
            headers = {"retry-after": f"{self._odd.retry_after_s}"}
            return web.json_response({"error": {"message": "too many requests"}}, status=429, headers=headers)
        is_openai = request.path.startswith("/v1/organization/")
        given = request.headers.get("authorization", "").removeprefix("Bearer ") if is_openai else request.headers.get("x-api-key")
        if self._odd.key is not None and given != self._odd.key:
            return web.json_response({"error": {"message": f"wrong key {given}"}}, status=401)
        days = self._days(request.query, is_openai)
        first, size = int(request.query.get("page", "0")), min(self._odd.buckets, int(request.query["limit"]))
        shown, rest = days[first : first + size], len(days) - first - size
        data = [self._bucket(day, is_openai, reports[request.path](day)) for day in shown]
        page = {"data": data, "has_more": rest > 0, "next_page": f"{first + size}" if rest > 0 else None}
        return web.json_response({"object": "page", **page} if is_openai else page)

    def _days(self, query: Mapping[str, str], is_openai: bool) -> list[date]:
        if is_openai:
            start, end = (datetime.fromtimestamp(int(query[name]), UTC).date() for name in ("start_time", "end_time"))
        else:
            start, end = (datetime.fromisoformat(query[name]).date() for name in ("starting_at", "ending_at"))
        return [start + timedelta(days=n) for n in range((end - start).days)]

    def _bucket(self, day: date, is_openai: bool, results: list[dict[str, Any]]) -> dict[str, Any]:
        midnight = datetime.combine(day, datetime.min.time(), UTC)
        ends = midnight + timedelta(days=1)
        if is_openai:
            return {"object": "bucket", "start_time": int(midnight.timestamp()), "end_time": int(ends.timestamp()), "results": results}
        return {"starting_at": f"{midnight:%Y-%m-%dT%H:%M:%SZ}", "ending_at": f"{ends:%Y-%m-%dT%H:%M:%SZ}", "results": results}

    def _lines(self) -> Iterator[tuple[date, Group, dict[str, int]]]:
        """Yield day, group and tokens of every billed request."""
        sent = {call["request_id"]: datetime.fromtimestamp(call["at"], UTC).date() for call in self._provider.calls}
        for line in [*(line.as_dict() for line in self._provider.bill.lines), *self._odd.lines]:
            day = line.get("day") or self._odd.day or sent.get(line.get("request_id"), datetime.now(UTC).date())
            tokens = {part: line.get(f"{part}_tokens", 0) for part in PARTS}
            yield date.fromisoformat(f"{day}"), (line["model"], line.get("lane", "live")), tokens

    def _groups(self, day: date) -> dict[Group, tuple[dict[str, int], int]]:
        """Return by group its tokens and number of requests on a day."""
        tokens: dict[Group, dict[str, int]] = defaultdict(lambda: dict.fromkeys(PARTS, 0))
        requests: dict[Group, int] = defaultdict(int)
        for of_day, group, counts in self._lines():
            if of_day == day:
                requests[group] += 1
                for part, n in counts.items():
                    tokens[group][part] += n
        return {group: (tokens[group], requests[group]) for group in sorted(tokens)}

    def _amounts(self, day: date) -> Iterator[tuple[Group, str, Decimal]]:
        for (model, lane), (tokens, _) in self._groups(day).items():
            prices = self._provider.bill.prices[model]
            for part, n in tokens.items():
                price = getattr(prices, part if lane == "live" else f"batch_{part}")
                exact = price * n * Decimal(self._odd.dearer.get(model, "1"))
                places = 20 if self._odd.places is None else self._odd.places
                yield (model, lane), part, exact.quantize(Decimal(1).scaleb(-places), ROUND_HALF_EVEN)

    def _openai_costs(self, day: date) -> list[dict[str, Any]]:
        items = [
            (f"{'batch | ' if lane == 'batch' else ''}{model}-2026-01-15, {OPENAI_WORDS[part]}", usd)
            for (model, lane), part, usd in self._amounts(day)
        ]
        return [
            {
                "object": "organization.costs.result",
                "amount": {"value": f"{usd:f}", "currency": "usd"},
                "line_item": item,
                "project_id": "proj_skillyard",
            }
            for item, usd in [*items, *((item, Decimal(usd)) for item, usd in self._odd.extra.items())]
        ]

    def _openai_usage(self, day: date) -> list[dict[str, Any]]:
        return [
            {
                "object": "organization.usage.completions.result",
                "input_tokens": tokens["input"] + tokens["cache_read"],
                "input_cached_tokens": tokens["cache_read"],
                "output_tokens": tokens["output"],
                "num_model_requests": n_requests,
                "model": f"{model}-2026-01-15",
                "batch": lane == "batch",
                "service_tier": "default",
                "project_id": "proj_skillyard",
            }
            for (model, lane), (tokens, n_requests) in self._groups(day).items()
        ]

    def _anthropic_costs(self, day: date) -> list[dict[str, Any]]:
        tokens = [
            {
                "amount": f"{usd.scaleb(2):f}",
                "cost_type": "tokens",
                "description": f"{model} {ANTHROPIC_WORDS[part]}",
                "model": f"{model}-20260115",
                "service_tier": "batch" if lane == "batch" else "standard",
                "token_type": ANTHROPIC_WORDS[part],
                "context_window": "0-200k",
            }
            for (model, lane), part, usd in self._amounts(day)
        ]
        other = [
            {"amount": f"{Decimal(usd).scaleb(2):f}", "cost_type": "web_search", "description": item, "model": None}
            for item, usd in self._odd.extra.items()
        ]
        return [{"currency": "USD", "workspace_id": None, **result} for result in (*tokens, *other)]

    def _anthropic_usage(self, day: date) -> list[dict[str, Any]]:
        return [
            {
                "uncached_input_tokens": tokens["input"],
                "cache_read_input_tokens": tokens["cache_read"],
                "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
                "output_tokens": tokens["output"],
                "server_tool_use": {"web_search_requests": 0},
                "model": f"{model}-20260115",
                "service_tier": "batch" if lane == "batch" else "standard",
                "workspace_id": None,
            }
            for (model, lane), (tokens, _) in self._groups(day).items()
        ]


def read_oddities(body: bytes) -> dict[str, Any]:
    """Return what a request to ``/cost-reports`` says."""
    value = json.loads(body or b"{}")
    if not isinstance(value, dict):
        raise ValueError("the body has to be a JSON object")
    return value
