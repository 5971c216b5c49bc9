"""Rank the phrases of a text by where, how often, how spread and in what company their words stand, without a model or a corpus."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from itertools import pairwise
from math import log, prod
from statistics import fmean, median, pstdev
from typing import Any

from skillyard.clauses import Clause, Word, clauses
from skillyard.documents.language import detect_language
from skillyard.skills import Source

LANGUAGES = (
    "ar", "az", "bg", "ca", "cs", "da", "de", "el", "en", "es", "et", "eu", "fa", "fi", "fr", "ga", "he", "hi", "hr", "hu", "hy", "id",
    "is", "it", "ja", "kn", "ko", "ky", "lb", "lt", "lv", "mk", "mr", "ms", "nb", "ne", "nl", "pl", "pt", "ro", "ru", "si", "sk", "sl",
    "sq", "sr", "sv", "ta", "te", "tr", "uk", "ur", "vi", "zh",
)  # fmt: skip
"""What the detector tells and spaCy has stop words of, without the scripts that this cannot cut into words, such as Thai."""
SAME = {"no": "nb", "nn": "nb"}
MAX_CHARS = 100_000
MAX_WORDS = 3
ALIKE = 85
"""Of two phrases as like as this, in percent, one is a form of the other."""


def handle(source: Source, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the best phrases with scores relative to the first; none where the language is not known or has no list of stop words."""
    code = detect_language(source.text) or ""
    language = SAME.get(code, code)
    if language not in LANGUAGES:
        return {"phrases": []}
    stops = import_module(f"spacy.lang.{language}.stop_words").STOP_WORDS
    found = clauses(source.text[:MAX_CHARS], language, stops)
    best = _unlike(_ranked(found, _weights(found)), int(parameters["n_phrases"]))
    return {"phrases": [{"phrase": phrase, "score": round(best[0][1] / weight, 3)} for phrase, weight in best]}


def _weights(found: Sequence[Clause]) -> dict[str, float]:
    """Return the weight of every word, the smaller the better: early, frequent, spread, capitalised, and not everybody's neighbour.

    Source: R. Campos et al., YAKE! Keyword extraction from single documents using multiple local features, Information Sciences 509, 2020,
    https://doi.org/10.1016/j.ins.2019.09.013
    """
    places: dict[str, list[int]] = defaultdict(list)
    before: dict[str, list[str]] = defaultdict(list)
    after: dict[str, list[str]] = defaultdict(list)
    for clause in found:
        for word in clause.words:
            places[word.key].append(clause.sentence_no)
        for one, other in pairwise(clause.words):
            after[one.key].append(other.key)
            before[other.key].append(one.key)
    words = [word for clause in found for word in clause.words]
    capitals = Counter(word.key for word in words if word.is_capital)
    counts = Counter(word.key for word in words)
    for key in {word.key for word in words if word.is_stop}:
        del counts[key]
    if not counts:
        return {}
    usual, most, n_sentences = fmean(counts.values()) + pstdev(counts.values()), max(counts.values()), found[-1].sentence_no
    weights = {}
    for key, n in counts.items():
        company = sum(len(set(side[key])) / len(side[key]) for side in (before, after) if side[key])
        related = 1 + company * n / most
        early = log(log(3 + median(places[key])))
        gain = capitals[key] / (1 + log(n)) + (n / usual + len(set(places[key])) / n_sentences) / related
        weights[key] = related * early / gain
    return weights


def _ranked(found: Sequence[Clause], weights: Mapping[str, float]) -> list[tuple[str, float]]:
    """Return the phrases as first written with their weights, the best first.

    Several words count when they recur or are a name, and their parts only when they stand elsewhere, too.
    """
    written: dict[tuple[str, ...], str] = {}
    counts: Counter[tuple[str, ...]] = Counter()
    names = set()
    for text, words in ((clause.text, words) for clause in found for words in _runs(clause)):
        key = tuple(word.key for word in words)
        counts[key] += 1
        written.setdefault(key, " ".join(text[words[0].start : words[-1].end].split()))
        if all(word.is_capital for word in words):
            names.add(key)
    kept = [key for key, n in counts.items() if {key[0], key[-1]} <= weights.keys() and (len(key) == 1 or n > 1 or key in names)]
    bound = {part for key in kept for part in _parts(key) if counts[part] == counts[key]}
    ranked = []
    for key in (key for key in kept if key not in bound):
        known = [weights[word] for word in key if word in weights]
        ranked.append((written[key], prod(known) / (counts[key] * (1 + sum(known)))))
    return sorted(ranked, key=lambda phrase: (phrase[1], phrase[0]))


def _parts(key: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Yield the shorter phrases inside a phrase."""
    for n_words in range(1, len(key)):
        yield from (key[start : start + n_words] for start in range(len(key) - n_words + 1))


def _runs(clause: Clause) -> Iterator[tuple[Word, ...]]:
    """Yield one to three neighbours of a clause that no other letters part."""
    for start in range(len(clause.words)):
        for end in range(start + 1, min(start + MAX_WORDS, len(clause.words)) + 1):
            words = clause.words[start:end]
            if len(words) > 1 and any(map(str.isalnum, clause.text[words[-2].end : words[-1].start])):
                break
            yield words


def _unlike(ranked: Sequence[tuple[str, float]], n_phrases: int) -> list[tuple[str, float]]:
    """Return the first phrases that are no part and no other form of a better one."""
    from rapidfuzz.fuzz import ratio

    best: list[tuple[str, float]] = []
    for phrase, weight in ranked:
        if len(best) == n_phrases:
            break
        if not any(phrase.casefold() in b.casefold() or ratio(phrase.casefold(), b.casefold()) >= ALIKE for b, _ in best):
            best.append((phrase, weight))
    return best
