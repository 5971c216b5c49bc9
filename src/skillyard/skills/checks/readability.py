"""Checks of how a text reads: its sentences, and how hard they are."""

import re
from collections.abc import Iterator, Mapping

from skillyard.skills.checks.registry import Answer, check, values_at

_END = re.compile(r"(?<![.!?…])[.!?…]++[\"'”’»)\]]*+(?=\s)|[。！？]+[」』”）]*|।+|\n\s*\n|\n\s*(?=[-*•]\s)")
_SHORT = re.compile(r"(?:^|\W)(?:[^\W\d_]|(?:(?![aeiouyäöü])[a-zß]|[A-ZÄÖÜ])[b-df-hj-np-tv-xzß]{1,3}|[A-ZÄÖÜ][a-zäöü]{1,2}|\d{1,2})\.$")
"""What may stand before a point that ends no sentence: z. B., bzw., Ltd., Dr., Inc., 12."""
_WORD = re.compile(r"[^\W_]+(?:[’'][^\W_]+)*")
_NEXT = re.compile(r"\s*(\S)")
_DENSE = re.compile(r"[぀-ヿ㐀-鿿฀-๿]")
LONG_WORD_LETTERS = 7
MIN_WORDS = 20
"""Fewer words give no measure: one name decides it."""


@check
def one_sentence(answer: Answer, field: str) -> Iterator[str]:
    """Every string is one sentence on one line."""
    for found in values_at(answer.value, field):
        if "\n" in found.strip():
            yield f"{field}: it has more than one line"
        elif (n_sentences := len(sentences(found))) > 1:
            yield f"{field}: {n_sentences} sentences. Allowed: 1"


@check
def reads_easily(answer: Answer, field: str, level: str, limits: Mapping[str, int], drop: int = 12) -> Iterator[str]:
    """Every longer string has at most the LIX that its level allows, or one so much lower than the text's that it is clearly simpler."""
    limit, before = limits[str(answer.parameters[level])], lix(answer.text)
    for found in values_at(answer.value, field):
        after = lix(found)
        if after is not None and after > limit and (before is None or after > before - drop):
            was = "" if before is None else f", the text has {before:.0f}"
            yield f"{field}: a LIX of {after:.0f}{was}. Allowed: {limit}, or {drop} below the text's"


def lix(text: str) -> float | None:
    """Return the mean words of a sentence plus the percentage of words over six letters; None for few words or a script without spaces.

    Under 30 is very easy, 40 to 50 a newspaper, over 60 very hard. It needs no list of words, so it measures any language that sets
    spaces; languages differ in the length of their words, so texts compare best within one. The parts of a hyphenated word count singly.
    Source: C. H. Björnsson, Läsbarhet, 1968; J. Anderson, Lix and Rix, Journal of Reading 26 (6), 1983.
    """
    words = _WORD.findall(text)
    if len(words) < MIN_WORDS or len(_DENSE.findall(text)) > len(text) / 5:
        return None
    n_long: int = sum(sum(char.isalpha() for char in word) >= LONG_WORD_LETTERS for word in words)
    return len(words) / len(sentences(text)) + 100 * n_long / len(words)


def sentences(text: str) -> list[str]:
    """Return the sentences of a text; the end of a paragraph or of an item of a list ends one, the point of an abbreviation does not."""
    found, start = [], 0
    for end in _END.finditer(text):
        if _WORD.search(text, start, end.end()) is None:
            start = end.end()
        elif not (end.group().startswith((".", "…")) and _goes_on(text, end.start(), end.end())):
            found.append(text[start : end.end()].strip())
            start = end.end()
    return [*found, text[start:].strip()] if _WORD.search(text, start) else found


def _goes_on(text: str, start: int, end: int) -> bool:
    """Return whether a sentence goes on behind the point that stands from start to end."""
    after = _NEXT.match(text, end)
    return bool(_SHORT.search(text[max(start - 6, 0) : end])) or (after is not None and after[1].islower())
