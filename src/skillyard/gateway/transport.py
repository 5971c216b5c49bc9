"""One request to one deployment through litellm, its own retries off: a reply, or a failure that says what it means for the money."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from inspect import isawaitable
from typing import Any

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # otherwise the import below asks the network for prices

import httpx
import litellm
import openai

from skillyard.costs.prices.book import Usage
from skillyard.errors import SkillyardError
from skillyard.gateway import embedded
from skillyard.gateway.usage import read_service_tier, read_usage
from skillyard.profiles import Deployment
from skillyard.tokens import Message
from skillyard.tokens import n_images as count_images

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
    service_tier: str | None = None
    """The price list it says that it was worked on by."""


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
    messages: list[Message],
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
            reply = read_reply(await _collect(response) if deployment.params.get("stream") else response)
        n_images = count_images(messages)
        return replace(reply, usage=replace(reply.usage, n_images=n_images)) if n_images and reply.usage != Usage() else reply
    except Exception as error:
        raise explain(error, deployment.api_key) from None


async def close_clients() -> None:
    """Close the connections that litellm keeps for this event loop: nobody can use them after it, and they stay open for minutes."""
    clients, own = litellm.in_memory_llm_clients_cache, f"-{id(asyncio.get_running_loop())}"
    kept = {key: client for key, client in clients.cache_dict.items() if key.endswith(own)}
    for key in kept:
        clients.delete_cache(key)
    shared = vars(litellm).get("module_level_aclient")  # made for the first stream, and used again by every loop
    for client in {*kept.values(), *filter(None, [shared])}:
        with suppress(OSError, RuntimeError):  # it was of no use any more anyway
            closing = client.close()  # a coroutine, but for clients that litellm uses in threads
            if isawaitable(closing):
                await closing


def parameters(deployment: Deployment, schema: dict[str, Any] | None, name: str, max_tokens: int) -> dict[str, Any]:
    """Return litellm's arguments that shape the answer.

    An OpenAI-compatible endpoint gets the schema as it is, beside the typed arguments, which the client would walk through key by key.
    """
    made: dict[str, Any] = {"max_tokens": max_tokens, **deployment.params}
    if made.get("stream"):
        made["stream_options"] = {"include_usage": True}
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
    usage = read_usage(getattr(response, "usage", None))
    return Reply(choice.message.content or "", refusal, choice.finish_reason, usage, _request_id(response), read_service_tier(response))


def _request_id(response: Any) -> str:
    """Return the provider's id of a request: for Anthropic and Bedrock litellm makes one up, theirs stands in a header."""
    headers = response._hidden_params.get("additional_headers") or {}
    found = (headers.get(f"llm_provider-{name}") for name in _ID_HEADERS)
    return str(next(filter(None, found), response.id))


_ID_HEADERS = ("request-id", "x-amzn-requestid")


class _Interrupted(Exception):
    """A stream that ended before its answer did: it was begun, and is billed at least for what it read."""


async def _collect(stream: Any) -> Any:
    """Return a stream as the response it would have been.

    litellm ends one that broke off as if it were complete, drops most of a streamed refusal and estimates the usage of one that says
    none: none of this is taken over.
    """
    refusal: list[str] = []
    if isinstance(stream.completion_stream, openai.AsyncStream):
        stream.completion_stream = _listen(stream.completion_stream, refusal)
    try:
        async for _ in stream:
            pass
    except Exception as error:
        if not stream.chunks:
            raise
        raise _Interrupted(str(error)) from error
    finally:
        await stream.aclose()
    if not any(choice.finish_reason for chunk in stream.chunks for choice in chunk.choices):
        raise _Interrupted("the stream ended before its answer did")
    whole = litellm.stream_chunk_builder(stream.chunks)
    whole.choices[0].message.refusal = "".join(refusal) or None
    whole.usage = next((chunk.usage for chunk in reversed(stream.chunks) if getattr(chunk, "usage", None)), None)
    return whole


async def _listen(chunks: openai.AsyncStream[Any], refusal: list[str]) -> AsyncIterator[Any]:
    """Pass OpenAI's chunks on, collecting what they say of a refusal."""
    try:
        async for chunk in chunks:
            refusal += [said for choice in getattr(chunk, "choices", ()) if (said := getattr(choice.delta, "refusal", None))]
            yield chunk
    finally:
        await chunks.close()


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

    if has(_Interrupted):
        return ("timed_out" if has(litellm.Timeout, TimeoutError, httpx.TimeoutException) else "connection"), True, True
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
