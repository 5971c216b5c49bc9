"""Checks of what is said about a language."""

from collections.abc import Iterator

from skillyard.skills.checks.registry import Answer, check, values_at
from skillyard.skills.checks.texts import language_of

NEAR = ({"no", "nb", "nn", "da"}, {"hr", "sr", "bs", "sh"}, {"id", "ms"}, {"gl", "pt"}, {"cs", "sk"}, {"bg", "mk"})
"""Languages so close that a short text may be taken for the other."""


@check
def names_language(answer: Answer, field: str, min_chars: int = 60) -> Iterator[str]:
    """The code, ISO 639-1, is that of the text's language; of a short text, or one in doubt, only its form is looked at."""
    for found in values_at(answer.value, field):
        if not (2 <= len(found) <= 3 and found.isascii() and found.islower()):
            yield f"{field}: found {found!r}. Allowed: an ISO 639-1 code, such as en"
        elif len(answer.text) >= min_chars:
            language, is_sure = language_of(answer.text)
            if is_sure and found != language and not any({found, language} <= near for near in NEAR):
                yield f"{field}: found {found!r}, the text is in {language}"
