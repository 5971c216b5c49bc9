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


@check
def null_in(answer: Answer, field: str, language: str, parameter: str) -> Iterator[str]:
    """The field is null when the language that was found is null or the one that a parameter names, and given when it is another."""
    is_given, found = bool(values_at(answer.value, field)), answer.value.get(language)
    if is_given == (found in (None, answer.parameters[parameter])):
        asked = answer.parameters[parameter]
        yield f"{field} is {'given' if is_given else 'null'}, but {language} is {found!r} and the language asked for {asked!r}"
