"""Put the quality rules of Gopher, C4 and FineWeb to a text.

Source: https://arxiv.org/abs/2112.11446 (table A1), https://jmlr.org/papers/v21/20-074.html, https://arxiv.org/abs/2406.17557
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from skillyard.documents.language import detect_language
from skillyard.skills import Source

TOP_NGRAMS = {2: 0.20, 3: 0.18, 4: 0.16}
DUPLICATE_NGRAMS = {5: 0.15, 6: 0.14, 7: 0.13, 8: 0.12, 9: 0.11, 10: 0.10}
STOP_WORDS = {
    "en": {"the", "be", "to", "of", "and", "that", "have", "with"},
    "de": {"der", "die", "das", "und", "zu", "den", "mit", "ist", "nicht"},
    "fr": {"le", "la", "les", "de", "et", "que", "à", "des", "est"},
    "es": {"el", "la", "los", "de", "y", "que", "en", "con", "es"},
    "it": {"il", "la", "di", "e", "che", "per", "con", "è", "non"},
    "pt": {"o", "a", "de", "e", "que", "em", "com", "é", "para"},
    "nl": {"de", "het", "een", "van", "en", "dat", "met", "is", "te"},
    "pl": {"i", "w", "na", "z", "że", "do", "nie", "jest", "się"},
}
UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
BULLETS = ("•", "-", "*", "–", "▪")
ELLIPSES = ("…", "...")


def handle(source: Source, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the share of the rules kept, the rules broken and the words counted."""
    text = source.text
    is_unspaced = len(UNSPACED.findall(text)) > len(text) * 0.3
    words = re.findall(r"\S\S?" if is_unspaced else r"\S+", text)
    rules = _words(text, words, is_unspaced) | _lines(text) | _phrases(words) | _marks(text)
    failed = [name for name, has_failed in rules.items() if has_failed]
    return {"score": round(1 - len(failed) / len(rules), 3), "failed_rules": failed, "n_words": len(words)}


def _words(text: str, words: Sequence[str], is_unspaced: bool) -> dict[str, bool]:
    """Return whether each of Gopher's rules about words is broken."""
    n_words = max(len(words), 1)
    stop_words = STOP_WORDS.get(detect_language(text) or "", set())
    plain = {word.strip(".,;:!?()\"'").lower() for word in words}
    return {
        "too_few_words": len(words) < 50,
        "too_many_words": len(words) > 100_000,
        "mean_word_length": not is_unspaced and not 3 <= fmean(map(len, words or [""])) <= 10,
        "symbols": max(text.count("#"), sum(map(text.count, ELLIPSES))) / n_words > 0.1,
        "words_with_letters": sum(any(map(str.isalpha, word)) for word in words) / n_words < 0.8,
        "stop_words": bool(stop_words) and len(stop_words & plain) < 2,
    }


def _lines(text: str) -> dict[str, bool]:
    """Return whether each rule about lines and paragraphs is broken; empty lines do not count."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    paragraphs = [part.strip() for part in re.split(r"\n\s*\n", text) if part.strip()]
    n_lines = max(len(lines), 1)
    return {
        "bullet_lines": sum(line.startswith(BULLETS) for line in lines) / n_lines > 0.9,
        "ellipsis_lines": sum(line.endswith(ELLIPSES) for line in lines) / n_lines > 0.3,
        "duplicate_lines": _is_repeated(lines),
        "duplicate_paragraphs": _is_repeated(paragraphs),
        "short_lines": sum(len(line) <= 30 for line in lines) / n_lines >= 0.67,
    }


def _is_repeated(parts: Sequence[str]) -> bool:
    """Return whether more than 30 % of the parts, or 20 % of their characters, stood there before."""
    counts = Counter(parts)
    n_chars = sum(map(len, parts))
    n_again = sum(len(part) * (n - 1) for part, n in counts.items())
    return bool(parts) and (len(parts) - len(counts) > 0.3 * len(parts) or n_again > 0.2 * n_chars)


def _phrases(words: Sequence[str]) -> dict[str, bool]:
    """Return whether phrases are repeated too much, by the share of the characters they make up."""
    n_chars = sum(map(len, words))
    return {
        "top_ngram": any(_top(words, n) > most * n_chars for n, most in TOP_NGRAMS.items()),
        "duplicate_ngrams": any(_repeated(words, n) > most * n_chars for n, most in DUPLICATE_NGRAMS.items()),
    }


def _top(words: Sequence[str], n: int) -> int:
    """Return the characters of the commonest phrase of n words, 0 when none stands twice."""
    counts = Counter(zip(*(words[start:] for start in range(n)), strict=False))
    phrase, n_times = counts.most_common(1)[0] if counts else ((), 0)
    return sum(map(len, phrase)) * n_times if n_times > 1 else 0


def _repeated(words: Sequence[str], n: int) -> int:
    """Return the characters in phrases of n words that stood there before, each character once."""
    seen: set[tuple[str, ...]] = set()
    n_chars = at = 0
    while at <= len(words) - n:
        phrase = tuple(words[at : at + n])
        is_known = phrase in seen
        n_chars += sum(map(len, phrase)) if is_known else 0
        seen.add(phrase)
        at += n if is_known else 1
    return n_chars


def _marks(text: str) -> dict[str, bool]:
    """Return whether C4's rules about pages that are no text are broken."""
    return {"lorem_ipsum": "lorem ipsum" in text.lower(), "curly_brackets": "{" in text}
