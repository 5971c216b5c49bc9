"""What the router looks at in an item's text: cheap, deterministic, at most the first 4,000 characters of it."""

import re
from dataclasses import dataclass

from skillyard.tokens import estimate_tokens

TEXT_CAP = 4000
_CODE = re.compile(r"```|\bdef \w+\(|\bclass \w+[:({]|;\s*\n\s*}|\bSELECT\b.+\bFROM\b|</\w+>")
_MATHS = re.compile(r"\d\s*[=<>≤≥]\s*\d|[∑∫√π]|\\frac|\b\d+\s*[*/^]\s*\d+\b")
_TABLE = re.compile(r"(?m)^.*\|.*\|.*$|^.*\t.*\t.*$")
_NEGATION = re.compile(
    r"\b(?:not|never|unless|except|without|neither|nicht|kein\w*|außer|jamais|sauf|sans|nunca|salvo|sin)\b", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Features:
    """Flags and sizes of one item's text."""

    n_tokens: int
    """Estimated over the whole text, see skillyard.tokens."""
    language: str | None
    has_poor_scan: bool
    """Many characters that a reader could not decode."""
    has_code: bool
    has_maths: bool
    has_table: bool
    n_negations: int
    n_questions: int


def extract_features(text: str, language: str | None) -> Features:
    """Return the features of a text."""
    head = text[:TEXT_CAP]
    return Features(
        n_tokens=estimate_tokens(text),
        language=language,
        has_poor_scan=head.count("\ufffd") * 50 > len(head),
        has_code=bool(_CODE.search(head)),
        has_maths=bool(_MATHS.search(head)),
        has_table=len(_TABLE.findall(head)) >= 3,
        n_negations=len(_NEGATION.findall(head)),
        n_questions=head.count("?") + head.count("？"),
    )
