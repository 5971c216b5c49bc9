"""Checks of what is said about a language."""

from collections.abc import Iterator

from skillyard.skills.checks.registry import Answer, check, values_at
from skillyard.skills.checks.texts import language_of

NEAR = ({"no", "nb", "nn", "da"}, {"hr", "sr", "bs", "sh"}, {"id", "ms"}, {"gl", "pt"}, {"cs", "sk"}, {"bg", "mk"})
"""Languages so close that a short text may be taken for the other."""
SAME = {"nb": "no", "nn": "no"}
"""Both written forms of Norwegian are what is asked for as Norwegian."""


@check
def names_language(answer: Answer, field: str, min_letters: int = 60) -> Iterator[str]:
    """The code, ISO 639-1, is that of the text's language; of a text with few words, or one in doubt, only its form is looked at."""
    words = _words(answer.text)
    for found in values_at(answer.value, field):
        if not (2 <= len(found) <= 3 and found.isascii() and found.islower()):
            yield f"{field}: found {found!r}. Allowed: an ISO 639-1 code, such as en"
        elif sum(map(str.isalpha, words)) >= min_letters:
            language, is_sure = language_of(words)
            if is_sure and found != language and not any({found, language} <= near for near in NEAR):
                yield f"{field}: found {found!r}, the text is in {language}"


@check
def null_in(answer: Answer, field: str, language: str, parameter: str) -> Iterator[str]:
    """The field is null when the language that was found is null or the one that a parameter names, and given when it is another."""
    is_given, found, asked = bool(values_at(answer.value, field)), answer.value.get(language), answer.parameters[parameter]
    if is_given == (found is None or SAME.get(found, found) == asked):
        yield f"{field} is {'given' if is_given else 'null'}, but {language} is {found!r} and the language asked for {asked!r}"


def _words(text: str) -> str:
    """Return the words of a text in small letters: codes, addresses and capitals look like any language."""
    return " ".join(word for word in text.split() if not any(char in "@/_" or char.isdigit() for char in word)).lower()
