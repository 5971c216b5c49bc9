"""Estimate the tokens of a text."""

from collections.abc import Mapping
from typing import Any

from skillyard.skills import Source
from skillyard.tokens import estimate_tokens, most_tokens


def handle(source: Source, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the estimate, the upper bound and the characters; white space alone has no tokens worth counting."""
    text = source.text
    return {
        "n_tokens": estimate_tokens(text) if text.strip() else 0,
        "most_tokens": most_tokens(text),
        "n_chars": len(text),
    }
