"""Mask personal data that follows a pattern: presidio's recognisers over an empty pipeline, phones and cards by layout and words."""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, cast

from skillyard.skills import Source
from skillyard.skills.numbers import load_rules

Found = tuple[int, int, str, float]

NUMBERS = Path(__file__).parent / "assets" / "numbers.yaml"
LANGUAGE = "en"
PIECE_CHARS = 5_000
MIN_SCORE = 0.4
WORD = re.compile(r"(\w+|[^\w\s]+|\s+)( ?)")
RECOGNISERS = (
    "Crypto", "Iban", "Ip", "UsSsn", "InAadhaar", "InPan", "UkNino", "Nhs",
    "DeTaxId", "DeSocialSecurity", "EsNif", "EsNie", "ItFiscalCode", "PlPesel", "FiPersonalIdentityCode", "SePersonnummer",
)  # fmt: skip


def handle(source: Source, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the masked text and the spans that were masked."""
    text = source.text
    spans = [span for start, piece in _pieces(text) for span in _spans(piece, start)]
    return {
        "text": _masked(text, spans),
        "spans": [{"start": start, "end": end, "kind": kind, "score": score} for start, end, kind, score in spans],
    }


def _pieces(text: str) -> Iterator[tuple[int, str]]:
    """Yield parts of the text that end at a line, a sentence or a word: presidio's search for context words is quadratic in the length."""
    start = 0
    while start < len(text):
        end = start + PIECE_CHARS
        if end < len(text):
            cuts = (text.rfind(mark, start + PIECE_CHARS // 2, end) + len(mark) for mark in ("\n", ". ", ", ", " "))
            end = next((cut for cut in cuts if cut > start + PIECE_CHARS // 2), end)
        yield start, text[start:end]
        start = end


def _spans(piece: str, offset: int) -> list[Found]:
    """Return the spans of one part, counted in the whole text."""
    rules = load_rules(NUMBERS)
    found = [(r.start, r.end, r.entity_type.lower(), round(r.score, 2)) for r in _analyser().analyze(piece, language=LANGUAGE)]
    found = [span for span in found if not rules.is_other(piece, *span[:2])]
    found += [(start, end, "credit_card", score) for start, end, score in rules.find_cards(piece)]
    found += [(start, end, "phone_number", score) for start, end, score in rules.find_phones(piece)]
    return [(start + offset, end + offset, kind, score) for start, end, kind, score in _without_overlaps(found)]


def _without_overlaps(found: list[Found]) -> list[Found]:
    """Return the spans in order; what lies within another goes, and where two overlap, the surer one, then the longer one, stays."""
    outer: list[Found] = []
    for span in sorted(found, key=lambda s: (s[0], -s[1], -s[3], s[2])):
        if not outer or span[1] > outer[-1][1] or span[:2] == outer[-1][:2]:
            outer.append(span)
    kept: list[Found] = []
    for span in sorted(outer, key=lambda s: (-s[3], s[0] - s[1], s[0], s[2])):
        if all(span[1] <= other[0] or span[0] >= other[1] for other in kept):
            kept.append(span)
    return sorted(kept)


def _masked(text: str, spans: list[Found]) -> str:
    """Return the text with a numbered mask per distinct value."""
    numbers: dict[str, dict[str, int]] = {}
    pieces, last = [], 0
    for start, end, kind, _ in spans:
        of_kind = numbers.setdefault(kind, {})
        number = of_kind.setdefault(text[start:end], len(of_kind) + 1)
        pieces += [text[last:start], f"[{kind} {number}]"]
        last = end
    return "".join([*pieces, text[last:]])


@cache
def _analyser() -> Any:
    """Return the analyser, made once per process (about two seconds)."""
    from presidio_analyzer import AnalyzerEngine, RecognizerRegistry, predefined_recognizers

    registry = RecognizerRegistry(supported_languages=[LANGUAGE])
    for name in RECOGNISERS:
        registry.add_recognizer(getattr(predefined_recognizers, f"{name}Recognizer")(supported_language=LANGUAGE))
    registry.add_recognizer(_email_recogniser())
    registry.add_recognizer(_small_iban_recogniser())
    return AnalyzerEngine(registry=registry, nlp_engine=_pipeline(), supported_languages=[LANGUAGE], default_score_threshold=MIN_SCORE)


def _email_recogniser() -> Any:
    """Return presidio's recogniser without its suffix check, which would ask the network."""
    from presidio_analyzer.predefined_recognizers import EmailRecognizer

    class OfflineEmailRecogniser(EmailRecognizer):  # type: ignore[misc]
        def validate_result(self, pattern_text: str) -> bool:
            return True

    return OfflineEmailRecogniser()


def _small_iban_recogniser() -> Any:
    """Return presidio's recogniser for IBANs in small letters, unbroken: among words in small letters groups would not end."""
    from presidio_analyzer import Pattern
    from presidio_analyzer.predefined_recognizers import IbanRecognizer

    class SmallIbanRecogniser(IbanRecognizer):  # type: ignore[misc]
        PATTERNS = [Pattern("unbroken", r"(?<!\w)([A-Za-z]{2}[0-9]{2}[A-Za-z0-9]{11,30})(?!\w)", 0.5)]

        def validate_result(self, pattern_text: str) -> bool | None:
            return cast(bool | None, super().validate_result(pattern_text.upper()))

    return SmallIbanRecogniser()


def _pipeline() -> Any:
    """Return an empty spaCy pipeline whose lemmas are the words: presidio looks for context words among the lemmas.

    Its own way to find words takes seconds for one long row of signs.
    """
    import spacy
    from presidio_analyzer.nlp_engine import SpacyNlpEngine
    from spacy.tokens import Doc

    pipeline = spacy.blank(LANGUAGE)
    pipeline.tokenizer = lambda text: Doc(pipeline.vocab, *zip(*((word, bool(space)) for word, space in WORD.findall(text)), strict=True))
    pipeline.max_length = 50_000_000

    class WordsAsLemmas(SpacyNlpEngine):  # type: ignore[misc]
        def _doc_to_nlp_artifact(self, doc: Doc, language: str) -> Any:
            for token in doc:
                token.lemma_ = token.lower_
            return super()._doc_to_nlp_artifact(doc, language)

    engine = WordsAsLemmas()
    engine.nlp = {LANGUAGE: pipeline}
    return engine
