"""Checks of a text that was taken apart."""

import re
from collections.abc import Iterator, Sequence

from skillyard.skills.checks.registry import Answer, check, values_at

_HEAD = re.compile(r"(?:[A-Z][\w-]{1,20}: .*(?:\n|\Z)){2,}")


@check
def parts_of_text(answer: Answer, fields: Sequence[str], min_share: float) -> Iterator[str]:
    """Every string is copied from a place of its own in the text, and together they are this share of it, headers at its top aside."""
    text, taken, after = answer.text, bytearray(len(answer.text)), 0
    for field in fields:
        for part in filter(None, values_at(answer.value, field)):
            start = _place(text, part, taken, after)
            if start < 0:
                yield f"{field}: {part[:80]!r} does not stand in the text as it is, or only within another part"
                continue
            after = start + len(part)
            taken[start:after] = b"\1" * len(part)
    head = _HEAD.match(text)
    n_chars = len("".join(text[head.end() if head else 0 :].split()))
    n_taken = sum(1 for is_taken, char in zip(taken, text, strict=True) if is_taken and not char.isspace())
    if n_taken < min_share * n_chars:
        yield f"{', '.join(fields)}: {n_taken} of {n_chars} characters. Allowed: {min_share:.0%} or more"


def _place(text: str, part: str, taken: bytearray, after: int) -> int:
    """Return where a part stands outside of those found before, first behind the last of them; -1 when it does not."""
    for begin in (after, 0):
        start = text.find(part, begin)
        while start >= 0:
            last_taken = taken.rfind(1, start, start + len(part))
            if last_taken < 0:
                return start
            start = text.find(part, last_taken + 1)
    return -1
