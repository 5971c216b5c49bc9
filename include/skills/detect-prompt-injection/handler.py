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
RULES = {("dismiss", "earlier", "orders"): ("task",), ("address",): ("task", "must"), ("marker",): ("task",), ("reveal", "inside"): ()}
"""Kinds of words that stand near each other, and what has to follow them soon. What somebody took pains to hide needs nothing to follow."""
NEAR_CHARS, SOON_CHARS, MAX_QUOTE_CHARS, SCORE, HIDDEN_SCORE = 50, 80, 300, 0.95, 0.99
INVISIBLE = re.compile(r"[\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff\U000e0100-\U000e01ef]")
TAGS = re.compile(r"[\U000e0020-\U000e007e]{8,}")
"""Letters that no screen shows; a flag has at most six of them. Source: https://www.unicode.org/reports/tr51/#valid-emoji-tag-sequences"""
SPACED = re.compile(r"(?<!\w)[^\W\d_](?:[ .*-][^\W\d_]){2,}(?!\w)")
BLANK = re.compile(r"[ \t\u00a0]{60}|(?:\n[ \t]*){12}")
REST = re.compile(r"\w*")
PUNCTUATION = re.compile(r" ?[:,.;!—–\n]|\Z")
JOINT = re.compile(r" ?[:,.;!—–\n]|\s+(?:and|und|et|y|e|en|i|и|και)\b|[\u2e80-\U0003ffff]")
"""What joins one order to the next: all orders are set aside, not those on the label."""
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
    for start, end, is_plain in [] if words["doubt"] else _orders(folded, words):
        first, last = origin[start], origin[end - 1] + 1
        is_open = is_plain and not QUOTATION_MARK.search(text, max(0, first - 12), first)
        is_hidden = _is_hidden(text, first, last) or _first(words, "veil", start - SOON_CHARS, start) is not None
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
def _matcher() -> tuple[Any, list[tuple[str, str, str]]]:
    """Return the matcher and, for each of its words, its kind, the word, and the sign for what may follow it."""
    import ahocorasick_rs
    import yaml

    kinds = yaml.safe_load(WORDS.read_text(encoding="utf-8"))
    entries = [(kind, _fold(w.rstrip("*:"))[0], w[-1]) for kind, of in kinds.items() for ws in of.values() for w in ws]
    return ahocorasick_rs.AhoCorasick([word for _, word, _ in entries]), entries


def _find_words(folded: str) -> Words:
    """Return where the words of each kind stand, in order; a word of a script with spaces does not begin or end within another."""
    matcher, entries = _matcher()
    found: Words = {kind: [] for kind, _, _ in entries}
    for number, start, end in matcher.find_matches_as_indexes(folded, overlapping=True):
        kind, word, sign = entries[number]
        is_dense = word[0] > "\u2e80"
        begins = is_dense or not (word[0].isalnum() and folded[start - 1 : start].isalnum())
        ends = is_dense or sign == "*" or not (word[-1].isalnum() and folded[end : end + 1].isalnum())
        if begins and ends and (sign != ":" or PUNCTUATION.match(folded, end)):
            found[kind].append((start, REST.match(folded, end).end() if sign == "*" else end))  # type: ignore[union-attr]
    return {kind: sorted(spans) for kind, spans in found.items()}


def _orders(folded: str, words: Words) -> Iterator[tuple[int, int, bool]]:
    """Yield start and end of what looks like an order to the machine, and whether it is one even if nothing hides it."""
    for (first, *others), endings in RULES.items():
        for start, end in words[first]:
            near = [_first(words, kind, start, start + NEAR_CHARS) or _first(words, kind, start - NEAR_CHARS, start) for kind in others]
            if all(near) and not any(_first(words, kind, start - NEAR_CHARS, start + NEAR_CHARS) for kind in ("own", "never")):
                spans = [(start, end), *(span for span in near if span)]
                stop = max(last for _, last in spans)
                stop = (_first(words, "earlier", stop, stop + 1) or (0, stop))[1]
                following = [span[1] for kind in endings if (span := _first(words, kind, stop, stop + SOON_CHARS))]
                is_plain = not endings or (bool(following) and (first != "dismiss" or JOINT.match(folded, stop) is not None))
                yield min(spans)[0], min(following, default=stop), is_plain


def _first(words: Words, kind: str, low: int, high: int) -> tuple[int, int] | None:
    """Return the first word of a kind that begins between two places."""
    index = bisect_left(words[kind], (low, 0))
    return next((span for span in words[kind][index : index + 1] if span[0] <= high), None)


def _is_hidden(text: str, start: int, end: int) -> bool:
    """Return whether the passage holds invisible characters or gaps within words, or stands behind a great deal of white space."""
    is_split = INVISIBLE.findall(text, start, end)[1:] or SPACED.search(text, start, end)
    return bool(is_split or BLANK.search(text, max(0, start - 400), start))


def _sentence(text: str, start: int, end: int) -> str:
    """Return the sentences of the passage, or of a long one its beginning."""
    begin = max([text.rfind("\n", 0, start) + 1, *(m.end() for m in SENTENCE_END.finditer(text, max(0, start - MAX_QUOTE_CHARS), start))])
    stop = m.end() if (m := SENTENCE_END.search(text, end - 1, end + MAX_QUOTE_CHARS)) else end
    return (text[begin:stop] if stop - begin <= MAX_QUOTE_CHARS else text[start : start + MAX_QUOTE_CHARS]).strip()
