"""What the router looks at in an item's text: cheap, deterministic, at most the first 4,000 characters of it."""

import re
from typing import NamedTuple

from skillyard.tokens import estimate_tokens

TEXT_CAP = 4000
_CODE = {
    "```": re.compile("```"),
    "def ": re.compile(r"def \w+\("),
    "class ": re.compile(r"class \w+[:({]"),
    "}": re.compile(r";[ \t]*\r?\n\s*}"),
    "SELECT ": re.compile(r"SELECT .{1,200} FROM "),
    "</": re.compile(r"</\w+>"),
}
"""By a substring that is quick to look for: the pattern that decides. No repetition can be matched in two ways: no text makes them slow."""
_MATHS_SIGNS = ("∑", "∫", "√", "π", "\\frac")
_MATHS = re.compile(r"[=<>≤≥*/^](?:(?<=\d.)|(?<=\d\s.))=?\s*\d")
"""A sign between two numbers; that begins with the sign, because a search for one of a set of characters is quick."""
_DIGITS = b"0123456789"
_NEGATION_WORDS = """not never unless except without neither nor cannot nicht kein keine keinen keinem keiner außer ohne
    jamais sauf sans nunca salvo sin"""
_NEGATIONS = frozenset(word + sign for word in _NEGATION_WORDS.split() for sign in ("", *",.;:?!)"))
"""As they stand between two spaces."""
_OPTION_LETTERS = "ABCDEFGHIJKLMNOP"


class Features(NamedTuple):
    """Flags and sizes of one item's text. A tuple, because a frozen dataclass takes three times as long to make."""

    n_tokens: int
    """Estimated over the whole text, see skillyard.tokens."""
    language: str | None
    has_poor_scan: bool
    """Many characters that a reader could not decode."""
    has_code: bool
    has_maths: bool
    has_table: bool
    n_words: int
    n_digits: int
    n_negations: int
    n_questions: int
    n_options: int
    """Of multiple choice: lines that begin A, B, C … in order."""


def extract_features(text: str, language: str | None) -> Features:
    """Return the features of a text."""
    head = text[:TEXT_CAP]
    words = head.lower().split()
    return Features(
        n_tokens=estimate_tokens(text),
        language=language,
        has_poor_scan=head.count("\ufffd") * 50 > len(head),
        has_code=any(map(head.__contains__, _CODE)) and _has_code(head),
        has_maths=_MATHS.search(head) is not None or any(map(head.__contains__, _MATHS_SIGNS)),
        has_table=("|" in head or "\t" in head) and _has_table(head),
        n_words=len(words),
        n_digits=_count_digits(head),
        n_negations=_count_negations(head, words),
        n_questions=head.count("?") + head.count("？"),
        n_options=_count_options(head),
    )


def _count_digits(head: str) -> int:
    ascii_alone = head.encode("ascii", "ignore")
    return len(ascii_alone) - len(ascii_alone.translate(None, _DIGITS))


def _count_negations(head: str, words: list[str]) -> int:
    n_words = 0 if _NEGATIONS.isdisjoint(words) else sum(map(_NEGATIONS.__contains__, words))
    return n_words + head.count("n't") + head.count("n’t")


def _has_code(head: str) -> bool:
    return any(pattern.search(head) for hint, pattern in _CODE.items() if hint in head)


def _has_table(head: str) -> bool:
    """Return whether three lines have two column separators each."""
    return any(head.count(sign) >= 6 and sum(line.count(sign) >= 2 for line in head.split("\n")) >= 3 for sign in "|\t")


def _count_options(head: str) -> int:
    """Return how many of A, B, C … begin a line, as "A.", "A)" or "(A)"; one alone is no choice."""
    if "\nB" not in head and "\n(B" not in head:
        return 0
    lines = "\n" + head
    for n, letter in enumerate(_OPTION_LETTERS):
        if f"\n{letter}." not in lines and f"\n{letter})" not in lines and f"\n({letter})" not in lines:
            return n if n > 1 else 0
    return len(_OPTION_LETTERS)
