"""The words of a text, clause by clause, in scripts with and without spaces, without a dictionary."""

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass

_SENTENCE = re.compile(r"[^.!?…。！？।؟\n]+")
_CLAUSE = re.compile(r"[^,;:()\[\]{}<>\"“”„«»|/\\•·–—=、，；：「」『』（）《》،؛]+")
_MARKS = "\u0300-\u036f\u0591-\u05c7\u064b-\u065f\u0900-\u0963\u0970-\u0dff"
"""Vowel signs and accents that stand inside words as characters of their own."""
_WORD = re.compile(rf"[^\W_](?:[\w{_MARKS}]|-(?=\w))*")
_RUN = re.compile(r"[一-鿿々]+|[゠-ヿ]{2,}|[^\W\d_一-鿿぀-ヿ][^\W一-鿿぀-ヿ]*")
_HAN = re.compile(r"[一-鿿]+")
_REST = re.compile(r"['’]t\b", re.IGNORECASE)
MAX_WORD_CHARS, MAX_TERM_CHARS = 40, 6


@dataclass(frozen=True, slots=True)
class Word:
    """A word and where it stands in its clause."""

    start: int
    end: int
    key: str
    """The word without case."""
    is_stop: bool
    """It says nothing of the text's subject: a stop word, a number, a single letter, the rest of a contraction."""
    is_capital: bool
    """It begins with a capital letter, though no sentence begins there and the clause has small letters, too."""


@dataclass(frozen=True, slots=True)
class Clause:
    """What stands between two marks."""

    sentence_no: int
    """From 1."""
    text: str
    words: tuple[Word, ...]


def clauses(text: str, language: str, stops: Collection[str]) -> list[Clause]:
    """Return the clauses with their words; a line that begins with a small letter goes on with the sentence before it.

    Japanese is cut where the script changes, hiragana left out; Chinese into ``chinese_terms``, what lies between them being stops.
    """
    joined = re.sub(r"\n(\w)", lambda m: f" {m[1]}" if m[1].islower() else m[0], _without_addresses(text))
    terms = chinese_terms(joined, stops) if language == "zh" else set()
    return [
        Clause(number, clause.group(), tuple(_words(clause.group(), language, stops, terms, is_first=clause.start() == 0)))
        for number, sentence in enumerate(_SENTENCE.finditer(joined), start=1)
        for clause in _CLAUSE.finditer(sentence.group())
    ]


def chinese_terms(text: str, stops: Collection[str]) -> set[str]:
    """Return the strings of up to six characters that stand with at least two different neighbours on either side, as words do.

    The end of a run of characters counts as a neighbour of its own; what only adds a stop word to another term is left out.
    Source: H. Feng et al., Accessor Variety Criteria for Chinese Word Extraction, Computational Linguistics 30 (1), 2004.
    """
    runs = list(_HAN.finditer(text))
    counts = Counter(run.group()[start:end] for run in runs for start, end in _spans(run.group()))
    sides: dict[str, tuple[set[str], set[str]]] = defaultdict(lambda: (set(), set()))
    for run in runs:
        here, end_mark = run.group(), str(run.start())
        for start, end in _spans(here):
            if counts[here[start:end]] > 1:
                sides[here[start:end]][0].add(here[start - 1] if start else end_mark)
                sides[here[start:end]][1].add(here[end] if end < len(here) else end_mark)
    found = {term for term, (left, right) in sides.items() if len(left) > 1 and len(right) > 1 and term not in stops}
    return {term for term in found if not _is_padded(term, found, stops)}


def _without_addresses(text: str) -> str:
    """Return the text with a mark in place of mail and web addresses, whose parts are no words."""
    return re.sub(r"\S+", lambda m: "|" if "@" in m[0] or "://" in m[0] or m[0].startswith("www.") else m[0], text)


def _spans(run: str) -> Iterator[tuple[int, int]]:
    for start in range(len(run)):
        for end in range(start + 2, min(start + MAX_TERM_CHARS, len(run)) + 1):
            yield start, end


def _is_padded(term: str, found: Collection[str], stops: Collection[str]) -> bool:
    """Return whether a term consists of stops, or of a stop and another term."""
    begins, ends = term[0] in stops, term[-1] in stops
    return (len(term) == 2 and begins and ends) or (begins and term[1:] in found) or (ends and term[:-1] in found)


def _words(clause: str, language: str, stops: Collection[str], terms: Collection[str], is_first: bool) -> Iterator[Word]:
    is_mixed_case = not clause.isupper()
    for start, end in _places(clause, language, terms):
        key, written = clause[start:end].casefold(), clause[start:end]
        is_rest = (clause[max(start - 1, 0) : start] in ("'", "’") and len(key) < 3) or bool(_REST.match(clause, end))
        is_stop = is_rest or key in stops or not 2 <= len(key) <= MAX_WORD_CHARS or written[0].isnumeric()
        begins = is_first and not clause[:start].strip()
        yield Word(start, end, key, is_stop, written[0].isupper() and is_mixed_case and not begins)


def _places(clause: str, language: str, terms: Collection[str]) -> Iterator[tuple[int, int]]:
    """Yield where the words of a clause begin and end."""
    for run in (_RUN if language in ("ja", "zh") else _WORD).finditer(clause):
        start = run.start()
        while language == "zh" and _HAN.match(run.group()) and start < run.end():
            ends = range(min(start + MAX_TERM_CHARS, run.end()), start + 1, -1)
            end = next((end for end in ends if clause[start:end] in terms), start + 1)
            yield start, end
            start = end
        if start < run.end():
            yield run.span()
