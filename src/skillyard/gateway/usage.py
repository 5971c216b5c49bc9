"""What a provider says that an answer used, as disjoint meters.

Providers count the same things in different ways: tokens read from a cache stand inside the prompt (OpenAI, Gemini, litellm) or beside it
(Anthropic, Bedrock); reasoning stands inside the output or beside it. Here each token is counted once. Counts that contradict each other
are not repaired: they are taken as not said, the answer is kept, and its price stays unknown until the provider's bill closes it.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from skillyard.costs.prices.book import Usage

Counts = Mapping[str, Any]
MINUTES, HOUR = "ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens"
STANDARD = frozenset({"default", "standard", "on_demand"})
"""How providers call the price list that is charged unless another one is asked for."""


class _Contradiction(Exception):
    """The counts cannot all be true."""


def read_usage(usage: object) -> Usage:
    """Return the meters of a provider's usage, or of litellm's, recognised by its keys; none for one that contradicts itself.

    Compute seconds that the provider reports stay, whatever its tokens are.
    """
    said = _as_mapping(usage)
    read = next((reader for key, reader in _READERS.items() if key in said), None)
    try:
        meters = read(said) if read else Usage()
    except _Contradiction:
        meters = Usage()
    if not meters.input_tokens + meters.cache_read_tokens + meters.cache_write_tokens + meters.cache_write_1h_tokens:
        meters = Usage()  # no prompt is empty
    return replace(meters, compute_s=Decimal(said.get("compute_s") or 0))


def read_service_tier(response: object) -> str | None:
    """Return the price list by which an answer says it was worked on, None when it does not say."""
    usage = getattr(response, "usage", None)
    said = getattr(response, "service_tier", None) or _as_mapping(usage).get("service_tier")
    if not isinstance(said, str) or not said:
        return None
    return "standard" if said.lower() in STANDARD else said.lower()


def _openai(said: Counts) -> Usage:
    """Chat completions, and litellm's own shape of everything: the prompt holds what was read and written, the output the reasoning."""
    prompt, details = _count(said, "prompt_tokens"), _inside(said, "prompt_tokens_details")
    read = _first((details, "cached_tokens"), (said, "cache_read_input_tokens"), (said, "prompt_cache_hit_tokens"))
    written = _first((details, "cache_write_tokens"), (details, "cache_creation_tokens"), (said, "cache_creation_input_tokens"))
    minutes, hour = _split(written, _inside(details, "cache_creation_token_details"))
    output, reasoning = _count(said, "completion_tokens"), _count(_inside(said, "completion_tokens_details"), "reasoning_tokens")
    if reasoning and _count(said, "total_tokens") == prompt + output + reasoning:
        output += reasoning  # beside it, as the total shows
    return _meters(_less(prompt, read + written), read, minutes, hour, output, reasoning)


def _responses(said: Counts) -> Usage:
    """OpenAI's responses: as its chat completions, under other names."""
    read = _count(_inside(said, "input_tokens_details"), "cached_tokens")
    reasoning = _count(_inside(said, "output_tokens_details"), "reasoning_tokens")
    return _meters(_less(_count(said, "input_tokens"), read), read, 0, 0, _count(said, "output_tokens"), reasoning)


def _anthropic(said: Counts) -> Usage:
    """Anthropic's messages: reads and writes stand beside the input. Without either this is also how OpenAI's responses read."""
    if "input_tokens_details" in said:
        return _responses(said)
    split = _inside(said, "cache_creation")
    written = _count(said, "cache_creation_input_tokens")
    minutes, hour = _split(written, split)
    reasoning = _count(_inside(said, "output_tokens_details"), "thinking_tokens")
    read = _count(said, "cache_read_input_tokens")
    return _meters(_count(said, "input_tokens"), read, minutes, hour, _count(said, "output_tokens"), reasoning)


def _gemini(said: Counts) -> Usage:
    """Gemini: the prompt holds what was read; tools add to it; thoughts stand beside the candidates, unless the total says otherwise."""
    prompt, read, tools = _count(said, "promptTokenCount"), _count(said, "cachedContentTokenCount"), _count(said, "toolUsePromptTokenCount")
    answer, thoughts = _count(said, "candidatesTokenCount"), _count(said, "thoughtsTokenCount")
    is_inside = _count(said, "totalTokenCount") == prompt + tools + answer
    return _meters(_less(prompt, read) + tools, read, 0, 0, answer if is_inside else answer + thoughts, thoughts)


def _bedrock(said: Counts) -> Usage:
    """Bedrock's Converse: reads and writes stand beside the input; the writes may be told apart by how long they hold."""
    written, details = _count(said, "cacheWriteInputTokens"), said.get("cacheDetails")
    split: dict[str, int] = {}
    if details:
        split = {
            name: sum(_count(d, "inputTokens") for d in details if d.get("ttl") == ttl) for name, ttl in ((MINUTES, "5m"), (HOUR, "1h"))
        }
    minutes, hour = _split(written, split)
    return _meters(_count(said, "inputTokens"), _count(said, "cacheReadInputTokens"), minutes, hour, _count(said, "outputTokens"), 0)


_READERS: dict[str, Callable[[Counts], Usage]] = {
    "promptTokenCount": _gemini,
    "inputTokens": _bedrock,
    "prompt_tokens": _openai,
    "input_tokens": _anthropic,
}
"""By the key that only this shape has."""


def _meters(unread: int, read: int, minutes: int, hour: int, output: int, reasoning: int) -> Usage:
    _less(output, reasoning)
    return Usage(
        input_tokens=unread,
        cache_read_tokens=read,
        cache_write_tokens=minutes,
        cache_write_1h_tokens=hour,
        output_tokens=output,
        reasoning_tokens=reasoning,
    )


def _split(written: int, split: Counts) -> tuple[int, int]:
    """Return what was written for minutes and for an hour; all of it for minutes when that is not said."""
    minutes, hour = _count(split, MINUTES), _count(split, HOUR)
    if split.get(MINUTES) is None and split.get(HOUR) is None:
        return written, 0
    if minutes + hour != written:
        raise _Contradiction
    return minutes, hour


def _less(whole: int, part: int) -> int:
    if part > whole:
        raise _Contradiction
    return whole - part


def _count(said: Counts, name: str) -> int:
    """Return a count, 0 for one that is not said."""
    value = said.get(name)
    if value is None:
        return 0
    if type(value) is not int or value < 0:
        raise _Contradiction
    return value


def _first(*places: tuple[Counts, str]) -> int:
    """Return the first count that is not 0: the same one may stand in several places."""
    return next((value for said, name in places if (value := _count(said, name))), 0)


def _inside(said: Counts, name: str) -> Counts:
    return _as_mapping(said.get(name))


def _as_mapping(said: object) -> Counts:
    if isinstance(said, Mapping):
        return said
    dump = getattr(said, "model_dump", None)
    return dump() if dump else {}
