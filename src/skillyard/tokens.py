"""How many tokens a text or a request's messages have, without a tokenizer."""

from collections.abc import Sequence
from typing import Any

Message = dict[str, Any]
"""Of a chat: ``role``, and ``content``, which is a text, or a list of parts: texts and pictures."""
IMAGE_TOKENS = 1_600
"""What a picture of a page usually counts as, at most. Source: https://docs.claude.com/en/docs/build-with-claude/vision"""


def estimate_tokens(text: str) -> int:
    """Return a careful estimate: 3.5 ASCII characters a token; of other scripts, two bytes a token."""
    n_ascii = len(text) if text.isascii() else len(text.encode("ascii", "ignore"))
    n_other_bytes = 0 if n_ascii == len(text) else len(text.encode()) - n_ascii
    return int(n_ascii / 3.5 + n_other_bytes / 2) + 1


def most_tokens(text: str) -> int:
    """Return an upper bound: no byte-level tokenizer makes more tokens than there are bytes."""
    return len(text.encode())


def text_of(message: Message) -> str:
    """Return what a message says in text."""
    content = message["content"]
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


def n_images(messages: Sequence[Message]) -> int:
    """Return how many pictures the messages show."""
    return sum(part.get("type") == "image_url" for m in messages if not isinstance(m["content"], str) for part in m["content"])


def estimate_messages(messages: Sequence[Message]) -> int:
    """Return a careful estimate of the tokens of a prompt, its pictures included."""
    return sum(estimate_tokens(text_of(m)) for m in messages) + n_images(messages) * IMAGE_TOKENS
