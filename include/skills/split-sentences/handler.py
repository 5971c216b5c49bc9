"""Split a text into sentences with spaCy's sentencizer over an empty pipeline of its language."""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import pairwise
from typing import Any

from skillyard.documents.language import detect_language
from skillyard.skills import Source

Span = tuple[int, int]

SPACED = (
    *("bg", "cs", "da", "de", "el", "en", "es", "et", "fi", "fr", "hr", "hu", "it", "lt", "lv", "mk", "nb", "nl", "pl", "pt"),
    *("ro", "ru", "sk", "sl", "sq", "sr", "sv", "tr", "uk"),
)
SAME_MARKS = {"no": "nb", "ja": "zh"}
"""By the Chinese pipeline each character is a word; it knows the marks of Japanese as well."""
QUESTION_MARKS = {"el": [";", "\u037e"]}
BREAK = re.compile(r"\n(?=[ \t]*(?:\n|[-*•–▪#|>]|\d{1,3}[.)][ \t]))|(?<=\|)[ \t]*\n|\n[ \t]*\n")
HEADING = re.compile(r"(?m)^#{1,6}[ \t].*$")
LONG_WORD = re.compile(r"[^\s\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]{60,}")
"""Nothing in it ends a sentence, and spaCy takes it apart in quadratic time: it is read as a row of x."""
OPENING = re.compile(r"(?<=\s)[¿¡“«„‘‚\"'(\[]+\s*\Z|[「『（【《]+\Z")
MARKER = re.compile(r"\s*\d{1,3}\.\s*")
BEFORE_NUMBER = re.compile(r"\b(?:Art|Abs|Bd|Fig|Kap|No|Nos|Nr|Núm|Pos|S|Tab|Vol|art|ca|fig|n|no|nr|núm|p|pp|pos|s|vol)\.\Z")
"""Abbreviations that go with a number, in several languages."""


def handle(source: Source, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the sentences with their offsets."""
    text = source.text
    language = detect_language(text) or "xx"
    spans = [span for start, end in _blocks(text) for span in _sentences(text, start, end, language)]
    return {"sentences": [{"start": start, "end": end, "text": text[start:end]} for start, end in spans]}


def _blocks(text: str) -> Iterator[Span]:
    """Yield paragraphs, headings, table rows and list items."""
    cuts = {0, len(text)} | {m.end() for m in BREAK.finditer(text)} | {m.end() for m in HEADING.finditer(text)}
    ordered = sorted(cuts)
    yield from pairwise(ordered)


def _sentences(text: str, start: int, end: int, language: str) -> Iterator[Span]:
    """Yield the sentences of a block, without white space around them."""
    pipeline = _pipeline(language)
    block = LONG_WORD.sub(lambda word: "x" * (len(word.group()) - 1) + word.group()[-1], text[start:end])
    with pipeline.memory_zone():
        ends = [start + sentence.end_char for sentence in pipeline(block).sents]
    first = start
    for last in _mended(text, start, ends):
        piece = text[first:last]
        if piece.strip():
            yield first + len(piece) - len(piece.lstrip()), first + len(piece.rstrip())
        first = last


def _mended(text: str, start: int, ends: list[int]) -> Iterator[int]:
    """Yield the ends: opening marks go to the next sentence, a number stays with the abbreviation before it, an item with its number."""
    for number, end in enumerate(ends):
        begun = max(start, end - 20)
        opening = OPENING.search(text[begun:end])
        if number == len(ends) - 1:
            yield end
        elif opening:
            yield begun + opening.start()
        elif number == 0 and end - start <= 20 and MARKER.fullmatch(text, start, end):
            continue
        elif not (BEFORE_NUMBER.search(text[begun:end].rstrip()) and text[end : end + 2].strip()[:1].isdigit()):
            yield end


@cache
def _pipeline(language: str) -> Any:
    """Return an empty pipeline with the sentencizer, made once per language and process."""
    import spacy

    language = SAME_MARKS.get(language, language)
    code = language if language in (*SPACED, "zh") else "xx"
    pipeline = spacy.blank(code)
    sentencizer = pipeline.add_pipe("sentencizer")
    sentencizer.punct_chars |= set(QUESTION_MARKS.get(code, ()))
    pipeline.max_length = 50_000_000
    return pipeline
