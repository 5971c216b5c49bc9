"""Put a text into one form: letters, spaces, quotation marks, line ends."""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from skillyard.normal_forms import normal_form
from skillyard.skills import Source

LINE_END = re.compile(r"\r\n|[\r\x0b\x0c\x85\u2028\u2029]")
UNSEEN = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u00ad\u200b\u2060\ufeff]")
WIDE_SPACE = re.compile(r"[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]")
INNER_SPACES = re.compile(r"(?<=[^\s]) {2,}")
EMPTY_LINES = re.compile(r"\n{3,}")
SPACED_GUILLEMET = re.compile(r"(?<=[«‹])[\u00a0\u202f]|[\u00a0\u202f](?=[»›])")
"""French sets a space that does not break inside its quotation marks; other marks have none."""
DOUBLE, SINGLE = "“”„‟«»＂", "‘’‚‛‹›＇"
STRAIGHT = str.maketrans(dict.fromkeys(DOUBLE, '"') | dict.fromkeys(SINGLE, "'"))
OPENING = re.compile(r"(?<![^\s(\[{<\-\u2013\u2014/\"'])([\"'])(?=[^\s)\]}.,;:!?])")
"""A mark after a space, a bracket, a dash or another mark, with a word behind it."""


def handle(source: Source, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the text in one form and how many characters that changed."""
    text, n_changed = source.text, 0
    letters = partial(normal_form, form=parameters["form"])
    for step in (_lines, _quotes(parameters["quotes"]), letters, partial(WIDE_SPACE.sub, " "), _spaces):
        before, text = text, step(text)
        n_changed += _n_changed(before, text)
    return {"text": text, "changed_chars": n_changed}


def _lines(text: str) -> str:
    """Return the text with plain line ends and without what cannot be seen."""
    return UNSEEN.sub("", LINE_END.sub("\n", text))


def _spaces(text: str) -> str:
    """Return the text with one space between words, none at the end of a line, and one empty line at most."""
    text = INNER_SPACES.sub(" ", text)
    return EMPTY_LINES.sub("\n\n", "\n".join(line.rstrip(" \t") for line in text.split("\n"))).strip("\n")


def _quotes(style: str) -> Callable[[str], str]:
    """Return the step that writes quotation marks in a style."""
    return {"keep": str, "straight": _straight, "typographic": lambda text: _typographic(_straight(text))}[style]


def _straight(text: str) -> str:
    return SPACED_GUILLEMET.sub("", text).translate(STRAIGHT)


def _typographic(text: str) -> str:
    """Return straight marks as English sets them; an apostrophe within or before a word of digits is no opening mark."""
    text = re.sub(r"(?<!\w)'(?=\d0s)", "’", text)
    text = OPENING.sub(lambda mark: "“" if mark.group() == '"' else "‘", text)
    return text.replace('"', "”").replace("'", "’")


def _n_changed(before: str, after: str) -> int:
    """Return how many characters one step took out or put in, whichever is more: a replaced one counts once."""
    if before == after:
        return 0
    old, new = Counter(before), Counter(after)
    return max((old - new).total(), (new - old).total())
