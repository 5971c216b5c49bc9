"""Words by what they are a sign of, from a list in a skill's assets: one pass over a text finds all of them, in any language.

A list maps kinds to languages to words; an asterisk at the end of a word stands for any ending::

    asks_for_payment:
      en: [pay now, gift card*]
      de: [jetzt zahlen, gutscheinkarte*]
"""

import unicodedata
from functools import cache
from pathlib import Path
from typing import Any

FIRST_DENSE = "\u2e80"
"""From here on are scripts that set no spaces."""


def fold(text: str) -> str:
    """Return text in small letters without accents and invisible characters, with one space between words."""
    parts = unicodedata.normalize("NFKD", text.replace("’", "'")).casefold()
    shown = "".join(char for char in parts if unicodedata.category(char) not in ("Mn", "Cf"))
    return " ".join(shown.split())


def find_words(file: Path, folded: str) -> dict[str, set[str]]:
    """Return which words of each kind stand in a folded text; none of a script with spaces begins or ends within another word."""
    matcher, entries = _matcher(file)
    found: dict[str, set[str]] = {}
    for number, start, end in matcher.find_matches_as_indexes(folded, overlapping=True):
        kind, word, is_stem = entries[number]
        is_dense = word[0] >= FIRST_DENSE
        begins = is_dense or not (word[0].isalnum() and folded[start - 1 : start].isalnum())
        ends = is_dense or is_stem or not (word[-1].isalnum() and folded[end : end + 1].isalnum())
        if begins and ends:
            found.setdefault(kind, set()).add(word)
    return found


@cache
def _matcher(file: Path) -> tuple[Any, list[tuple[str, str, bool]]]:
    """Return the matcher and, for each of its words, its kind, the word, and whether more letters may follow."""
    import ahocorasick_rs
    import yaml

    kinds = yaml.safe_load(file.read_text(encoding="utf-8"))
    entries = [(kind, fold(word.rstrip("*")), word.endswith("*")) for kind, of in kinds.items() for words in of.values() for word in words]
    return ahocorasick_rs.AhoCorasick([word for _, word, _ in entries]), entries
