"""Checks of questions that are written for a text."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator

from skillyard.skills.checks.registry import Answer, check, values_at
from skillyard.skills.checks.texts import language_of, plain

MARKS = {"ARABIC": "؟", "GREEK": ";\u037e", "ARMENIAN": "՞", "CJK": "？?", "HIRAGANA": "？?", "KATAKANA": "？?", "ETHIOPIC": "፧?"}
"""The question marks of scripts that have their own; of all others it is ``?``."""
UNMARKED = ("THAI", "LAO", "TIBETAN", "MYANMAR")
"""Scripts in which a question needs no mark."""
MIN_GIVEN_CHARS = 4


@check
def ends_as_question(answer: Answer, field: str) -> Iterator[str]:
    """Every string ends with a question mark of its script; in a Spanish text it has an opening one, too."""
    is_spanish = language_of(answer.text) == ("es", True)
    for found in values_at(answer.value, field):
        script = _script(found)
        marks = MARKS.get(script, "?")
        end = found.rstrip(" \"'”’»」』)")
        is_marked = "՞" in found if script == "ARMENIAN" else end.endswith(tuple(marks))
        if script not in UNMARKED and not is_marked:
            yield f"{field}: {found[:80]!r} does not end with {' or '.join(marks)}"
        elif is_spanish and "¿" not in found:
            yield f"{field}: {found[:80]!r} does not begin with ¿"


@check
def not_given_away(answer: Answer, question: str, reply: str) -> Iterator[str]:
    """No question holds its own answer as a phrase; both are outputs at the same level."""
    for asked, replied in zip(values_at(answer.value, question), values_at(answer.value, reply), strict=False):
        given = plain(replied).rstrip(".!。")
        if len(given) >= MIN_GIVEN_CHARS and re.search(rf"(?<!\w){re.escape(given)}(?!\w)", plain(asked)):
            yield f"{question}: {asked[:80]!r} holds its answer {replied[:80]!r}"


@check
def max_items(answer: Answer, field: str, limit: str) -> Iterator[str]:
    """The list holds at most as many items as a parameter says."""
    n_found, at_most = len(values_at(answer.value, field)), int(answer.parameters[limit])
    if n_found > at_most:
        yield f"{field}: {n_found} items. Allowed: {at_most}"


def _script(text: str) -> str:
    """Return the script of most letters, as the names of characters begin; empty when there are none."""
    scripts = Counter(unicodedata.name(char, "").split(" ")[0].split("-")[0] for char in text if char.isalpha())
    return scripts.most_common(1)[0][0] if scripts else ""
