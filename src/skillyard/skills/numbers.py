"""Telephone and card numbers in a text, told from orders, dates and amounts by their layout and by the words around them.

Layouts, issuers and words are data in a skill's assets (``redact-personal-data`` has them); the rules that join them are here.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Literal

BEFORE_CHARS, AFTER_CHARS = 48, 16
"""Words farther from a number say nothing about it."""
MIN_DIGITS, MIN_LINKED_DIGITS = 7, 6
SENTENCE_END = re.compile(r"[.!?]\s+(?=[^\W\d_a-z])|\n\s*\n")
LETTER = re.compile(r"[^\W\d_]")


@dataclass(frozen=True, slots=True)
class Layout:
    """How a telephone number may be written, and what has to prove it."""

    pattern: re.Pattern[str]
    needs: Literal["nothing", "extension", "country", "valid", "word"]
    regions: tuple[str, ...]
    score: float


@dataclass(frozen=True, slots=True)
class Rules:
    """What ``numbers.yaml`` says, compiled. ``words`` has a group per kind of word."""

    words: re.Pattern[str]
    names: re.Pattern[str]
    links: re.Pattern[str]
    place_before: re.Pattern[str]
    place_after: re.Pattern[str]
    date: re.Pattern[str]
    thousands: re.Pattern[str]
    phones: tuple[Layout, ...]
    cards: tuple[re.Pattern[str], ...]
    issuers: re.Pattern[str]

    def find_cards(self, text: str) -> Iterator[tuple[int, int, float]]:
        """Yield card numbers: right by the check digit, and of an issuer or called a card's; in groups whatever else they are called."""
        for pattern in self.cards:
            for match in pattern.finditer(text):
                digits = re.sub(r"\D", "", match.group())
                is_known = self.issuers.fullmatch(digits) or self._word_before(text, match.start())[0] == "card"
                if is_known and has_check_digit(digits) and (digits != match.group() or not self.is_other(text, *match.span())):
                    yield match.start(), match.end(), 1.0

    def find_phones(self, text: str) -> Iterator[tuple[int, int, float]]:
        """Yield telephone numbers with what proves their layout; some may overlap."""
        for layout in self.phones:
            for match in layout.pattern.finditer(text):
                start, end = match.span()
                if layout.needs == "country" and (n_chars := self._length_with_country(match["run"])) < len(match["run"]):
                    end = start + n_chars
                if end > start and self._is_phone(layout, text, match):
                    yield start, end, layout.score

    def is_other(self, text: str, start: int, end: int) -> bool:
        """Return whether what has no letters is part of a longer number, or what a word right before it names: an order, a version."""
        if LETTER.search(text[start:end]):
            return False
        word, between = self._word_before(text, start)
        return (
            text[max(0, start - 1) : start].isdigit()
            or text[end : end + 1].isdigit()
            or (word == "other" and bool(self.names.fullmatch(between)))
        )

    def _is_phone(self, layout: Layout, text: str, match: re.Match[str]) -> bool:
        """Return whether a row of digits has what its layout needs, and is no date and nothing with a name of its own."""
        run = match["run"]
        if layout.needs == "country" and run.startswith("+"):
            return True
        if self.date.match(run) or self.is_other(text, *match.span("run")):
            return False
        if layout.needs == "word":
            return self._is_called_phone(text, match, layout.regions)
        return (
            layout.needs in ("nothing", "country")
            or bool(match["extension"])
            or (layout.needs == "valid" and is_valid_phone(run, layout.regions, is_in_groups=True))
        )

    def _is_called_phone(self, text: str, match: re.Match[str], regions: tuple[str, ...]) -> bool:
        """Return whether the words around a row of digits say that it is a phone."""
        run, n_digits = match["run"], len(re.sub(r"\D", "", match["run"]))
        is_grouped, (word, between) = not run.isdigit(), self._word_before(text, match.start())
        before, after = text[max(0, match.start() - BEFORE_CHARS) : match.start()], text[match.end() : match.end() + AFTER_CHARS]
        if is_grouped and n_digits >= MIN_DIGITS and (self.place_before.search(before) or self.place_after.match(after)):
            return True
        is_linked = bool(self.links.fullmatch(between))
        if word not in ("phone", "contact") or (self.thousands.fullmatch(run) and not (is_linked and n_digits > MIN_DIGITS)):
            return False
        if is_linked and (is_grouped or word == "phone"):
            return n_digits >= (MIN_LINKED_DIGITS if word == "phone" else MIN_DIGITS)
        return is_valid_phone(run, regions)

    def _word_before(self, text: str, start: int) -> tuple[str, str]:
        """Return the kind of the nearest known word before a number in its sentence, and what stands between them."""
        before = SENTENCE_END.split(text[max(0, start - BEFORE_CHARS) : start])[-1]
        nearest = None
        for nearest in self.words.finditer(before):  # noqa: B007
            pass
        return (str(nearest.lastgroup), before[nearest.end() :]) if nearest else ("", "")

    def _length_with_country(self, run: str) -> int:
        """Return how much of a row that begins with a country code is a telephone number; 0: nothing."""
        import phonenumbers

        number = re.sub(r"^00[ -]?", "+", run).replace("\n", " ")
        ends = [match.end() for match in re.finditer(r"\d(?!\d)", number)][::-1]
        may_be_new = run.startswith("+") and not self.thousands.fullmatch(run)
        for is_right in (phonenumbers.is_valid_number, _is_possible)[: 2 if may_be_new else 1]:
            for end in ends:
                if (parsed := _parsed(number[:end], None)) is not None and is_right(parsed):
                    return end + len(run) - len(number)
        return 0


def has_check_digit(digits: str) -> bool:
    """Return whether the last digit is that of Luhn's sum. Source: ISO/IEC 7812-1, annex B."""
    doubled = sum(sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return len(set(digits)) > 1 and (doubled + sum(map(int, digits[-1::-2]))) % 10 == 0


@lru_cache(maxsize=4096)
def is_valid_phone(run: str, regions: tuple[str, ...], is_in_groups: bool = False) -> bool:
    """Return whether one of the regions gives out such a number, dialled within it; ``is_in_groups``: written in its groups."""
    import phonenumbers

    valid = (one for region in regions if (one := _parsed(run, region)) is not None and phonenumbers.is_valid_number(one))
    if not is_in_groups:
        return any(valid)
    groups = re.findall(r"\d+", run)
    written = (phonenumbers.format_number(one, phonenumbers.PhoneNumberFormat.NATIONAL) for one in valid)
    return any(re.findall(r"\d+", one) == groups for one in written)


def _is_possible(parsed: Any) -> bool:
    import phonenumbers

    return phonenumbers.is_possible_number_with_reason(parsed) == phonenumbers.ValidationResult.IS_POSSIBLE


def _parsed(run: str, region: str | None) -> Any:
    """Return the number as phonenumbers sees it; None when it is none."""
    import phonenumbers

    try:
        return phonenumbers.parse(run, region)
    except phonenumbers.NumberParseException:
        return None


@cache
def load_rules(file: Path) -> Rules:
    """Return the compiled rules of a ``numbers.yaml``, read once per process."""
    import yaml

    said: Mapping[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    kinds = ("|".join(f"(?:{_word(word)})" for words in of.values() for word in words) for of in said["words"].values())
    words = "|".join(f"(?P<{name}>{kind})" for name, kind in zip(said["words"], kinds, strict=True))
    places = "|".join(map(re.escape, said["places"]))
    return Rules(
        words=re.compile(rf"(?<!\w)(?:{words})(?!\w)", re.IGNORECASE),
        names=_between(said["names"]),
        links=_between([*said["names"], *said["links"]]),
        place_before=re.compile(rf"(?<!\w)(?:{places})\.?:\s*$", re.IGNORECASE),
        place_after=re.compile(rf"[ ,(\-]{{1,2}}(?:{places})(?=\s*(?:[\n,;.)/\\|]|$))", re.IGNORECASE),
        date=re.compile("|".join(said["dates"])),
        thousands=re.compile(said["thousands"]),
        phones=tuple(_layout(said, one) for one in said["phones"]),
        cards=tuple(map(re.compile, said["cards"])),
        issuers=re.compile("|".join(said["issuers"].values())),
    )


def _layout(said: Mapping[str, Any], one: Mapping[str, Any]) -> Layout:
    """Return a layout with what may follow it, and with its bounds where it has no country code to begin it."""
    before, after = ("", "") if one["needs"] == "country" else (said["before"], one.get("after", said["after"]))
    pattern = re.compile(f"{before}(?P<run>{one['pattern']})(?P<extension>{said['extension']})?{after}")
    return Layout(pattern, one["needs"], tuple(one.get("regions", ())), one["score"])


def _word(word: str) -> str:
    return re.escape(word.rstrip("*")) + (r"\w*" if word.endswith("*") else "")


def _between(words: list[str]) -> re.Pattern[str]:
    """Return a pattern of nothing but some words and the signs around them."""
    return re.compile(rf"(?:[\s:.,#()\-]|(?<!\w)(?:{'|'.join(map(re.escape, words))})(?!\w))*", re.IGNORECASE)
