"""Hash a text in one form, and its letters and digits alone."""

import unicodedata
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from skillyard.normal_forms import normal_form
from skillyard.skills import Source

COUNTED = ("L", "M", "N")
"""Letters, marks and numbers: in many scripts the vowels are marks."""


def handle(source: Source, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return both hashes and the length."""
    text = _one_form(source.text)
    plain = _plain(text)
    return {"sha256": _hash(text), "copy_sha256": _hash(plain) if plain else None, "n_chars": len(text)}


def _one_form(text: str) -> str:
    """Return the text in NFC with plain line ends, without white space at the ends of lines and of the text."""
    return "\n".join(line.rstrip() for line in normal_form(text, "NFC").splitlines()).strip()


def _plain(text: str) -> str:
    """Return the letters and digits without case."""
    folded = normal_form(normal_form(text, "NFKC").casefold(), "NFKC")
    dropped = dict.fromkeys((ord(char) for char in set(folded) if unicodedata.category(char)[0] not in COUNTED), "")
    return folded.translate(dropped)


def _hash(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
