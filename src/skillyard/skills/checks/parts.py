"""Checks of a text that was taken apart."""

import re
from collections.abc import Iterator, Sequence

from skillyard.skills.checks.registry import Answer, check, values_at

_HEAD = re.compile(r"(?:[A-Z][\w-]{1,20}: .*(?:\n|\Z)){2,}")


@check
def parts_of_text(answer: Answer, fields: Sequence[str], min_share: float) -> Iterator[str]:
    """Every string stands in the text character for character, no two in the same place, and together they are this share of it or more.

    Headers at the top of a mail, such as Subject and From, do not count.
    """
    covered: list[tuple[int, int]] = []
    for field in fields:
        for part in values_at(answer.value, field):
            span = _place(answer.text, part, covered)
            if part and span is None:
                yield f"{field}: {part[:80]!r} does not stand in the text as it is, or only within another part"
            covered += [span] if span else []
    head = _HEAD.match(answer.text)
    n_chars = len("".join(answer.text[head.end() if head else 0 :].split()))
    n_covered = sum(len("".join(answer.text[start:end].split())) for start, end in covered)
    if n_covered < min_share * n_chars:
        yield f"{', '.join(fields)}: {n_covered} of {n_chars} characters. Allowed: {min_share:.0%} or more"


def _place(text: str, part: str, covered: Sequence[tuple[int, int]]) -> tuple[int, int] | None:
    """Return where a part stands outside of those already found."""
    start = text.find(part) if part else -1
    while start >= 0:
        end = start + len(part)
        overlapping = [last for first, last in covered if first < end and start < last]
        if not overlapping:
            return start, end
        start = text.find(part, max(overlapping))
    return None
