"""One request to one deployment through litellm, its own retries off: a reply, or a failure that says what it means for the money."""

import asyncio
import logging
import os
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from inspect import isawaitable
from typing import Any

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # otherwise the import below asks the network for prices

import httpx
import litellm
import openai

from skillyard.costs.prices import Usage
from skillyard.errors import SkillyardError
from skillyard.gateway import embedded
from skillyard.profiles import Deployment

litellm.suppress_debug_info = True
litellm.telemetry = False
logging.getLogger("LiteLLM").setLevel(logging.ERROR)  # it warns whenever a process runs a second event loop, as each shard does


@dataclass(frozen=True, slots=True)
class Reply:
    """What the provider answered."""

    content: str
    refusal: str | None
    finish_reason: str | None
    usage: Usage
    request_id: str | None


class CallFailed(SkillyardError):
    """A request without an answer.

    ``is_billed_unknown``: it may have been worked on and billed. ``can_retry``: another try may pass. Otherwise ``kind`` is the
    item's own fault (``overflow``, ``refusal``, ``bad_request``) or the deployment's (``authentication``).
    """

    def __init__(self, kind: str, message: str, *, is_billed_unknown: bool, can_retry: bool, retry_after_s: float | None = None) -> None:
        super().__init__(kind, message)
        self.kind, self.message = kind, message
        self.is_billed_unknown, self.can_retry, self.retry_after_s = is_billed_unknown, can_retry, retry_after_s

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}"


async def send(
    deployment: Deployment,
    messages: list[dict[str, str]],
    schema: dict[str, Any] | None,
    name: str,
    max_tokens: int,
    timeout_s: float,
    call_id: str,
) -> Reply:
    """Ask once and return the reply, or raise CallFailed, at the latest after ``timeout_s``: litellm takes that for each part of a call."""
    _register(deployment.model)
    try:
        async with asyncio.timeout(timeout_s):
            response = await litellm.acompletion(
                model=deployment.model,
                messages=messages,
                timeout=timeout_s,
                num_retries=0,
                max_retries=0,
                api_base=deployment.api_base,
                api_key=deployment.api_key,
                extra_headers={"x-skillyard-call-id": call_id},
                **parameters(deployment, schema, name, max_tokens),
            )
        return read_reply(response)
    except Exception as error:
        raise explain(error, deployment.api_key) from None


async def close_clients() -> None:
    """Close the connections that litellm keeps for this event loop: nobody can use them after it, and they stay open for minutes."""
    clients, own = litellm.in_memory_llm_clients_cache, f"-{id(asyncio.get_running_loop())}"
    kept = {key: client for key, client in clients.cache_dict.items() if key.endswith(own)}
    for key in kept:
        clients.delete_cache(key)
    for client in kept.values():
        with suppress(OSError, RuntimeError):  # it was of no use any more anyway
            closing = client.close()  # a coroutine, but for clients that litellm uses in threads
            if isawaitable(closing):
                await closing


def parameters(deployment: Deployment, schema: dict[str, Any] | None, name: str, max_tokens: int) -> dict[str, Any]:
    """Return litellm's arguments that shape the answer.

    An OpenAI-compatible endpoint gets the schema as it is, beside the typed arguments, which the client would walk through key by key.
    """
    made: dict[str, Any] = {"max_tokens": max_tokens, **deployment.params}
    if schema and deployment.has_json_schema:
        asked = {"response_format": {"type": "json_schema", "json_schema": {"name": name, "schema": schema, "strict": True}}}
        if deployment.model.startswith("openai/"):
            made["extra_body"] = {**made.get("extra_body", {}), **asked}
        else:
            made |= asked
    return made


def read_reply(response: Any) -> Reply:
    """Turn litellm's response into a Reply with disjoint meters; one without any choice is an error."""
    choice = response.choices[0]
    refusal = getattr(choice.message, "refusal", None) or (choice.message.provider_specific_fields or {}).get("refusal")
    return Reply(choice.message.content or "", refusal, choice.finish_reason, read_usage(getattr(response, "usage", None)), response.id)


def read_usage(usage: Any) -> Usage:
    """Return disjoint meters: cache reads and writes are counted inside ``prompt_tokens``, reasoning inside ``completion_tokens``.

    A provider for which they are more than that counts them beside it. Empty when it does not say.
    """
    details = getattr(usage, "prompt_tokens_details", None)
    read = getattr(details, "cached_tokens", None) or 0
    written = getattr(details, "cache_creation_tokens", None) or getattr(usage, "cache_creation_input_tokens", None) or 0
    reasoning = getattr(getattr(usage, "completion_tokens_details", None), "reasoning_tokens", None) or 0
    compute_s = Decimal(getattr(usage, "compute_s", None) or 0)
    if usage is None or usage.prompt_tokens <= 0 or usage.completion_tokens < 0:
        return Usage(compute_s=compute_s)
    is_beside = read + written > usage.prompt_tokens
    return Usage(
        input_tokens=usage.prompt_tokens if is_beside else usage.prompt_tokens - read - written,
        cache_read_tokens=read,
        cache_write_tokens=written,
        output_tokens=usage.completion_tokens + (reasoning if reasoning > usage.completion_tokens else 0),
        reasoning_tokens=reasoning,
        compute_s=compute_s,
    )


def explain(error: Exception, secret: str | None = None) -> CallFailed:
    """Say what an exception of litellm means: was it billed, may it be tried again, whose fault is it. Its text loses the secret.

    litellm raises InternalServerError for an answered 500 and for a cut connection alike, and gives both a status: only an HTTP
    response further down the chain of causes was really received.
    """
    chain = _chain(error)
    status = next((e.response.status_code for e in chain if isinstance(e, httpx.HTTPStatusError)), None)
    kind, is_billed_unknown, can_retry = _meaning(chain, status)
    text = str(error).replace(secret, "***") if secret else str(error)
    message = " ".join(text.split())[:300]
    return CallFailed(kind, message, is_billed_unknown=is_billed_unknown, can_retry=can_retry, retry_after_s=_retry_after_s(chain))


def _meaning(chain: list[BaseException], status: int | None) -> tuple[str, bool, bool]:
    """Return kind, is_billed_unknown, can_retry."""

    def has(*kinds: type[BaseException]) -> bool:
        return any(isinstance(e, kinds) for e in chain)

    if has(litellm.ContextWindowExceededError) or any(getattr(e, "code", None) == "context_length_exceeded" for e in chain):
        return "overflow", False, False
    if has(litellm.ContentPolicyViolationError):
        return "refusal", False, False
    if status is not None:
        return (
            _STATUS_KINDS.get(status, "server_error" if status >= 500 else "bad_request"),
            False,
            status in (408, 409, 429) or status >= 500,
        )
    if has(httpx.ConnectError, httpx.ConnectTimeout, ConnectionRefusedError):
        return "connection", False, True
    if has(litellm.Timeout, TimeoutError, httpx.TimeoutException):
        return "timed_out", True, True
    if has(httpx.TransportError, openai.APIConnectionError):
        return "connection", True, True
    return "unreadable_reply", True, True


_STATUS_KINDS = {401: "authentication", 403: "authentication", 404: "not_found", 408: "timed_out", 429: "rate_limited"}


@cache
def _register(model: str) -> None:
    """Make litellm know the model: it looks for an unknown one's price in vain on every call. Our prices are in the price book."""
    if model.startswith(f"{embedded.PROVIDER}/"):
        embedded.register()
    elif model not in litellm.model_cost and model.partition("/")[2] not in litellm.model_cost:
        provider = model.partition("/")[0]
        litellm.register_model(
            {model: {"litellm_provider": provider, "mode": "chat", "input_cost_per_token": 0, "output_cost_per_token": 0}}
        )


def _chain(error: BaseException | None) -> list[BaseException]:
    """Return the error and everything it came from."""
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__ or error.__context__
    return found


def _retry_after_s(chain: list[BaseException]) -> float | None:
    """Return the seconds of a Retry-After header, where the provider sent one as a number."""
    for error in chain:
        headers = getattr(getattr(error, "response", None), "headers", None)
        value = headers.get("retry-after") if headers else None
        if value and value.replace(".", "", 1).isdigit():
            return float(value)
    return None
