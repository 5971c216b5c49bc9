"""Tell spam and honest mail by their words where there is no doubt, and leave the rest to a model.

Spam is sure when it tempts in a way of its own and shows two more signals of different kinds. Honest mail is sure when its writer speaks
as a customer, gives no way to be reached but to reply, and says nothing that a fraud would need.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from skillyard.skills import Source
from skillyard.skills.words import find_words, fold

WORDS = Path(__file__).parent / "assets" / "words.yaml"
TEMPTING = ("prize_or_windfall", "quick_money", "miracle_product", "adult_content", "gambling", "counterfeit_goods", "bulk_services")
AIDING = ("pressure", "hidden_sender")
MIN_SIGNALS = 3
MAX_SPAM_CHARS, MAX_HONEST_CHARS = 5_000, 3_000
"""Longer texts are about many things: words far apart prove nothing together."""
SPAM_SCORE, HONEST_SCORE = 0.97, 0.03
QUOTED = re.compile(r"^>", re.MULTILINE)
HEADERS = re.compile(r"\A(?:(?:Subject|From|To|Date): [^\n]*\n)+")
REACHED_BY = re.compile(
    r"https?:|www\.|@|(?:\d[ ()/.-]?){9}|\w\.(?:com|net|org|info|biz|shop|online|xyz|top|site|club|io)\b", re.IGNORECASE
)
MONEY = re.compile(r"[$€£¥₹₿]|\b(?:usd|eur|gbp|euros?|dollars?|pounds?|francs?|btc)\b", re.IGNORECASE)
DOUBTFUL_LINK = re.compile(
    r"https?://(?:(?:\d{1,3}\.){3}\d{1,3}\b|(?:www\.)?(?:bit\.ly|tinyurl\.com|t\.co|is\.gd|ow\.ly|cutt\.ly|rb\.gy)/|[^\s/@]{1,80}@)",
    re.IGNORECASE,
)
SPACED = re.compile(r"(?<!\w)[^\W\d_](?:[ .*_-][^\W\d_]){2,}(?!\w)")
TOKEN = re.compile(r"[\w@$]+")
SWAPPED = str.maketrans("0134578@$аеорсухіѕοαενικτρ", "oieastbasaeopcyxisoaeviktp")
"""Digits and signs that stand for letters, and Cyrillic and Greek letters that look like Latin ones."""


def handle(source: Source, parameters: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return a verdict where the words leave no doubt; None where a model is to judge."""
    text = source.text
    if len(text) > MAX_SPAM_CHARS or QUOTED.search(text):
        return None
    open_words, all_words = find_words(WORDS, fold(text)), find_words(WORDS, fold(_undisguise(text)))
    if "doubt" in all_words:
        return None
    signals = _signals(text, open_words, all_words)
    if len(signals) >= MIN_SIGNALS and signals[0] in TEMPTING:
        return {"is_spam": True, "score": SPAM_SCORE, "signals": signals}
    body = HEADERS.sub("", text)
    is_reachable = REACHED_BY.search(body) or MONEY.search(body)
    if signals or is_reachable or "wary" in all_words or "known" not in open_words or len(text) > MAX_HONEST_CHARS:
        return None
    return {"is_spam": False, "score": HONEST_SCORE, "signals": []}


def _signals(text: str, open_words: Mapping[str, set[str]], all_words: Mapping[str, set[str]]) -> list[str]:
    """Return the names of the signals, those that tempt first."""
    found = [name for name in (*TEMPTING, *AIDING) if name in all_words]
    if any(words - open_words.get(name, set()) for name, words in all_words.items() if name in TEMPTING):
        found.append("disguised_words")
    if DOUBTFUL_LINK.search(text):
        found.append("doubtful_link")
    return found


def _undisguise(text: str) -> str:
    """Return text with spaced words closed and swapped letters put back."""
    return TOKEN.sub(_with_letters, SPACED.sub(lambda m: re.sub(r"[ .*_-]", "", m.group()), text))


def _with_letters(token: re.Match[str]) -> str:
    """Return a word that mixes Latin letters with others as it reads; every other one as it is."""
    word = token.group()
    is_mixed = re.search("[A-Za-z]", word) and not (word.isascii() and word.isalpha())
    return word.lower().translate(SWAPPED) if is_mixed else word
