"""Take a mail apart by the marks that mail programs set: introductions, separators, blocks of headers, > and the line of two dashes."""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from skillyard.skills import Source

MOST_CHARS = 300
"""A longer line is nobody's mark."""
MOST_LINES = 10
"""A signature without two dashes above it has no more."""
MOST_BETWEEN = 2
"""Thanks and regards may follow each other; where a name and a greeting stand between, another message begins."""
PREFIX = re.compile(r"\A(?:[ \t]?>)+[ \t]?")
RULE = re.compile(r"[_-]{10,}")
OWN_HEAD = re.compile(r"(?:Subject|From|To|Date): ")
DELIMITER = re.compile(r"--[ \t]?")
CONTACT = re.compile(r"@\w|https?://|www\.|\d[\d ()/-]{7,}\d")
NAME = re.compile(r"[^\W\d_a-z][\w.'’-]*(?: [^\W\d_][\w.'’-]*){0,3}(?:[,|–-].*|$)")
FIELD = re.compile(r"[^\W\d][\w .-]{1,24}[ \u00a0]?:[ \t]+\S.*")
STRANGE = re.compile(r"[^:]*(?:[\w.+-]{1,64}@[\w-]{1,64}\.|\d{1,2}:\d{2}).{0,120}[:：]|[-_=*]{3,}[^-_=*]{4,60}[-_=*]{3,}")
"""An address or a time before a colon that ends the line, or words between rules: an introduction or a separator that no rule knows."""

Span = tuple[int, int]
"""Of lines: the first, and the one after the last."""


def handle(source: Source, parameters: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the newest message, the older ones and the signature as they stand in the text; None where no rule settles it."""
    lines = source.text.split("\n")
    first = _after_head(lines)
    marks = dict(_marks(lines, first))
    own = list(_own(lines, first, marks))
    if _is_unsettled(lines, own):
        return None
    begin, end = (own[0], own[-1] + 1) if own else (first, first)
    n_kept, signed = _signature(lines, begin, end)
    older = [*_older(first, begin, marks), *_older(end, len(lines), marks)]
    return {
        "latest": _joined(lines, begin, n_kept),
        "quoted": [part for span in older if (part := _joined(lines, *span))],
        "signature": _joined(lines, signed, end) or None,
    }


def _joined(lines: Sequence[str], begin: int, end: int) -> str:
    return "\n".join(lines[begin:end]).strip()


def _bare(lines: Sequence[str], at: int) -> str:
    """Return a line without the marks of quotation; nothing of one that is too long to be a mark itself."""
    return PREFIX.sub("", lines[at], count=1).strip() if at < len(lines) and len(lines[at]) <= MOST_CHARS else ""


def _is_quoted(line: str) -> bool:
    return PREFIX.match(line) is not None


def _after_head(lines: Sequence[str]) -> int:
    """Return where the message begins, behind the headers that a stored mail begins with."""
    n_headers = next((at for at, line in enumerate(lines) if not OWN_HEAD.match(line)), len(lines))
    return n_headers if n_headers > 1 else 0


def _marks(lines: Sequence[str], first: int) -> Iterator[Span]:
    """Yield where older messages begin and where their introductions end; what follows one with nothing between is part of it."""
    at = first
    while at < len(lines):
        begin, end = at, at
        while n_lines := _introduction(lines, at):
            end = at = at + n_lines
            while at < len(lines) and not _bare(lines, at) and len(lines[at]) <= MOST_CHARS:
                at += 1
        if end > begin:
            yield begin, end
        else:
            at += 1


def _introduction(lines: Sequence[str], at: int) -> int:
    """Return how many lines from here on introduce an older message."""
    bare = _bare(lines, at)
    if _is("wrote", bare) or _is("separator", bare):
        return 1
    for n_lines in (2, 3):
        wrapped = [_bare(lines, at + more) for more in range(n_lines)]
        if _is("wrote", " ".join(wrapped)) and not any(_is("wrote", line) for line in wrapped):
            return n_lines
    if RULE.fullmatch(bare):
        return int(at + 1 < len(lines) and _n_headers(lines, at + 1) > 0)
    return _n_headers(lines, at)


def _n_headers(lines: Sequence[str], at: int) -> int:
    """Return how many lines a block of headers has that begins here: a sender, and at least two others."""
    if not _is("sender", _bare(lines, at)):
        return 0
    end = at + 1
    while _is("header", _bare(lines, end)):
        end += 1
    return end - at if end - at > 2 else 0


def _own(lines: Sequence[str], first: int, marks: Mapping[int, int]) -> Iterator[int]:
    """Yield the lines of the newest message: what is neither marked as quoted nor below an introduction without such marks."""
    at = first
    while at < len(lines):
        if at in marks and not _is_quoted(lines[at]):
            at = next((below for below in range(marks[at], len(lines)) if lines[below].strip()), len(lines))
            if at < len(lines) and not _is_quoted(lines[at]):
                return
            continue
        if lines[at].strip() and not _is_quoted(lines[at]):
            yield at
        at += 1


def _is_unsettled(lines: Sequence[str], own: Sequence[int]) -> bool:
    """Return whether what is taken for the newest message looks as if there were more in it: strange marks, or two endings."""
    bare = [_bare(lines, at) for at in own]
    blocks = [all(map(FIELD.fullmatch, bare[at : at + 3])) and "@" in "".join(bare[at : at + 3]) for at in range(len(bare) - 2)]
    closings = [number for number, line in enumerate(bare) if _is("closing", line)]
    is_ended_twice = any(later - sooner > MOST_BETWEEN for sooner, later in pairwise(closings))
    return any(map(STRANGE.fullmatch, bare)) or any(blocks) or is_ended_twice


def _signature(lines: Sequence[str], begin: int, end: int) -> Span:
    """Return where the message proper ends and where its signature begins."""
    for at in range(end - 1, begin - 1, -1):
        if DELIMITER.fullmatch(lines[at]):
            return at, at + 1
    for at in range(end - 1, max(begin, end - MOST_LINES), -1):
        if _is("device", _bare(lines, at)):
            return at, at
        if _is("closing", _bare(lines, at)) and at > begin:
            return (at + 1, at + 1) if _is_card(lines, at + 1, end) else (end, end)
        if not lines[at].strip() and at > begin:
            is_signed = _is_card(lines, at + 1, end) and (at + 2 == end or CONTACT.search(_joined(lines, at, end)))
            return (at, at) if is_signed else (end, end)
    return end, end


def _is_card(lines: Sequence[str], begin: int, end: int) -> bool:
    """Return whether the lines are a name and what goes with it: short, without the end of a sentence."""
    card = [line.strip() for line in lines[begin:end] if line.strip()]
    is_named = bool(card) and NAME.match(card[0]) is not None and not _is("closing", card[0].partition(",")[0])
    return is_named and all(len(line) <= 70 and line[-1] not in ".?!:" for line in card)


def _older(begin: int, end: int, marks: Mapping[int, int]) -> Iterator[Span]:
    """Yield the spans of the older messages between two lines."""
    yield from pairwise([begin, *(at for at in sorted(marks) if begin < at < end), end])


@cache
def _patterns() -> Mapping[str, re.Pattern[str]]:
    """Return the marks that are made of words, from ``assets/words.yaml``."""
    words = yaml.safe_load((Path(__file__).parent / "assets" / "words.yaml").read_text(encoding="utf-8"))

    def any_of(name: str) -> str:
        listed = [word for entry in words[name] for word in (entry if isinstance(entry, list) else [entry])]
        return "(?:" + "|".join(map(re.escape, sorted(listed, key=len, reverse=True))) + ")"

    patterns = {
        "wrote": rf"{any_of('introduction_begins')}\b(?=.*\d).{{4,250}}?\b{any_of('introduction_ends')}(?!\w).{{0,120}}[:：]",
        "separator": rf"[-_]{{2,}}[ \t]*{any_of('separators')}[ \t]*[-_]{{2,}}|{any_of('announcements')}",
        "sender": rf"\*?{any_of('senders')}[ \u00a0]?:\*?[ \t]+\S.*",
        "header": rf"\*?{any_of('headers')}[ \u00a0]?:.*",
        "device": rf"{any_of('devices')}\b.{{0,60}}",
        "closing": rf"{any_of('closings')}(?: again)?[,.!]?",
    }
    return {name: re.compile(pattern, re.IGNORECASE) for name, pattern in patterns.items()}


def _is(name: str, line: str) -> bool:
    return _patterns()[name].fullmatch(line) is not None
