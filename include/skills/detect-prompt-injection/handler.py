"""Find orders to the machine that reads a text, by words of twelve languages, also where gaps or invisible characters hide them.

Only what is plain is answered. That no rule finds anything proves nothing, and a text may show or discuss such an order: a model is asked.
"""

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from skillyard.skills import Source

WORDS = Path(__file__).parent / "assets" / "words.yaml"
RULES = (("dismiss", "earlier", "orders", "task"), ("address", "task"), ("reveal", "inside"), ("marker", "task"))
HIDDEN_RULES = (("dismiss", "earlier", "orders"), ("address",))
"""Kinds of words that stand near each other, the first one in the middle. What somebody took pains to hide needs less of them."""
NEAR_CHARS = {"earlier": 50, "orders": 50, "own": 50, "never": 50, "task": 90, "inside": 50, "veil": 90}
MAX_QUOTE_CHARS = 300
SCORE, HIDDEN_SCORE = 0.95, 0.99
INVISIBLE = re.compile(r"[\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff\U000e0100-\U000e01ef]")
TAGS = re.compile(r"[\U000e0020-\U000e007e]{8,}")
"""Letters that no screen shows; a flag has at most six of them. Source: https://www.unicode.org/reports/tr51/#valid-emoji-tag-sequences"""
SPACED = re.compile(r"(?<!\w)[^\W\d_](?:[ .*-][^\W\d_]){2,}(?!\w)")
BLANK = re.compile(r"[ \t\u00a0]{60}|(?:\n[ \t]*){12}")
QUOTATION_MARK = re.compile('["“„«»‘`「『]')
SENTENCE_END = re.compile(r"[.!?](?=\s|\Z)|[。！？]|\n\s*\n")
Words = dict[str, list[tuple[int, int]]]


def handle(source: Source, parameters: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return a verdict on a text that gives the machine orders beyond doubt; None where that is not sure."""
    text = source.text
    if tags := TAGS.search(text):
        return {"is_injection": True, "quote": _sentence(text, *tags.span()), "score": HIDDEN_SCORE}
    folded, origin = _fold(text)
    words = _find_words(folded)
    if words["doubt"]:
        return None
    for start, end, is_plain in _orders(words):
        first, last = origin[start], origin[end - 1] + 1
        is_open = is_plain and not QUOTATION_MARK.search(text, max(0, first - 12), first)
        is_hidden = _is_hidden(text, first, last) or _nearest(words, "veil", start) is not None
        if is_open or is_hidden:
            return {"is_injection": True, "quote": _sentence(text, first, last), "score": HIDDEN_SCORE if is_hidden else SCORE}
    return None


def _fold(text: str) -> tuple[str, Sequence[int]]:
    """Return the text in small letters without accents, invisible characters and gaps within words; and where each letter comes from."""
    gaps = {m.start() + n for m in SPACED.finditer(text) for n in range(1, len(m.group()), 2)}
    if text.isascii() and not gaps:
        return text.lower(), range(len(text))
    pairs = [(char, at) for at, raw in enumerate(text) if at not in gaps for char in _fold_char(raw)]
    return "".join(char for char, _ in pairs), [at for _, at in pairs]


@lru_cache(maxsize=10_000)
def _fold_char(raw: str) -> str:
    parts = unicodedata.normalize("NFKD", raw.replace("’", "'")).casefold()
    return "".join(char for char in parts if unicodedata.category(char) not in ("Mn", "Cf"))


@cache
def _matcher() -> tuple[Any, list[tuple[str, str, bool]]]:
    """Return the matcher and, for each of its words, its kind, the word, and whether more letters may follow."""
    import ahocorasick_rs
    import yaml

    kinds = yaml.safe_load(WORDS.read_text(encoding="utf-8"))
    entries = [(kind, _fold(w.rstrip("*"))[0], w.endswith("*")) for kind, of in kinds.items() for ws in of.values() for w in ws]
    return ahocorasick_rs.AhoCorasick([word for _, word, _ in entries]), entries


def _find_words(folded: str) -> Words:
    """Return where the words of each kind stand, in order; a word of a script with spaces does not begin or end within another."""
    matcher, entries = _matcher()
    found: Words = {kind: [] for kind, _, _ in entries}
    for number, start, end in matcher.find_matches_as_indexes(folded, overlapping=True):
        kind, word, is_stem = entries[number]
        is_dense = word[0] > "\u2e80"
        begins = is_dense or not (word[0].isalnum() and folded[start - 1 : start].isalnum())
        ends = is_dense or is_stem or not (word[-1].isalnum() and folded[end : end + 1].isalnum())
        if begins and ends:
            found[kind].append((start, end))
    return {kind: sorted(spans) for kind, spans in found.items()}


def _orders(words: Words) -> Iterator[tuple[int, int, bool]]:
    """Yield start and end of what looks like an order to the machine, and whether it is one even if nothing hides it."""
    for rules, is_plain in ((RULES, True), (HIDDEN_RULES, False)):
        for first, *others in rules:
            for start, end in words[first]:
                near = [_nearest(words, kind, start) for kind in others]
                if all(near) and not (_nearest(words, "own", start) or _nearest(words, "never", start)):
                    spans = [(start, end), *(span for span in near if span)]
                    yield min(s for s, _ in spans), max(e for _, e in spans), is_plain


def _nearest(words: Words, kind: str, at: int) -> tuple[int, int] | None:
    """Return the word of a kind that begins nearest to a place, if it is near."""
    index = bisect_left(words[kind], (at, 0))
    nearest = min(words[kind][max(0, index - 1) : index + 1], key=lambda span: abs(span[0] - at), default=None)
    return nearest if nearest and abs(nearest[0] - at) <= NEAR_CHARS[kind] else None


def _is_hidden(text: str, start: int, end: int) -> bool:
    """Return whether the passage holds invisible characters or gaps within words, or stands behind a great deal of white space."""
    passage = text[start:end]
    return len(INVISIBLE.findall(passage)) > 1 or bool(SPACED.search(passage) or BLANK.search(text, max(0, start - 400), start))


def _sentence(text: str, start: int, end: int) -> str:
    """Return the sentences of the passage, or of a long one its beginning."""
    begin = max([text.rfind("\n", 0, start) + 1, *(m.end() for m in SENTENCE_END.finditer(text, max(0, start - MAX_QUOTE_CHARS), start))])
    stop = m.end() if (m := SENTENCE_END.search(text, end - 1, end + MAX_QUOTE_CHARS)) else end
    quote = text[begin:stop] if stop - begin <= MAX_QUOTE_CHARS else text[start : start + MAX_QUOTE_CHARS]
    return quote.strip()
