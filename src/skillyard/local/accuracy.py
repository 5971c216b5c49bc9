"""How right the results are: each skill's answers beside the true labels of the samples."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

Row = Mapping[str, Any]
Facts = Mapping[str, Any]
"""What is true of one document: kind, language, document_type, tags, urgency, sentiment, invoice, emails, phones, has_text, injection …"""


@dataclass(frozen=True, slots=True)
class Score:
    """The mean score of n answers whose truth is known, from 0 to 1, and what was compared."""

    measure: str
    score: float
    n: int


def score_skill(skill: str, answers: Iterable[tuple[Row, Facts]]) -> Score | None:
    """Return how right a skill's answers are, or none when nothing of it has a known truth."""
    if skill not in MEASURES:
        return None
    measure, compare = MEASURES[skill]
    scores = [score for row, facts in answers if (score := compare(row, facts)) is not None]
    return Score(measure, sum(scores) / len(scores), len(scores)) if scores else None


def _equals(column: str, fact: str) -> Callable[[Row, Facts], float | None]:
    """Return a comparison: 1 when the column is what the fact says."""
    return lambda row, facts: float(row[column] == facts[fact]) if fact in facts else None


def _overlap(found: Iterable[Any], true: Iterable[Any]) -> float:
    """Return the share of all that was found or is true that is both; 1 when there is neither."""
    a, b = set(found), set(true)
    return len(a & b) / len(a | b) if a | b else 1.0


def _tags(row: Row, facts: Facts) -> float | None:
    return _overlap(row["tags"], facts["tags"]) if "tags" in facts else None


def _scan(row: Row, facts: Facts) -> float | None:
    return float(row["is_scan"] != facts.get("has_text", True)) if "kind" in facts else None


def _injection(row: Row, facts: Facts) -> float | None:
    return float(row["is_injection"] == facts.get("injection", False)) if "kind" in facts else None


def _contacts(row: Row, facts: Facts) -> float | None:
    if not {"emails", "phones"} & facts.keys():
        return None
    return _overlap(_contacts_of(row), _contacts_of(facts))


def _contacts_of(holder: Mapping[str, Any]) -> set[str]:
    """Return addresses in lower case and numbers as digits, so that only the contact counts."""
    emails, phones = holder.get("emails") or (), holder.get("phones") or ()
    return {email.lower() for email in emails} | {"".join(filter(str.isdigit, str(phone))) for phone in phones}


def _invoice(row: Row, facts: Facts) -> float | None:
    invoice = facts.get("invoice") or {}
    fields = [name for name in invoice if name in row and name != "lines"]
    return sum(_is_same(row[name], invoice[name]) for name in fields) / len(fields) if fields else None


def _is_same(found: Any, true: Any) -> bool:
    """Say whether a date, an amount or a name is the same, however many zeros or capitals it is written with."""
    if found is None or true is None:
        return found is true
    if isinstance(found, Decimal | int | float):
        return Decimal(str(found)) == Decimal(str(true))
    return str(found).casefold().split() == str(true).casefold().split()


MEASURES: dict[str, tuple[str, Callable[[Row, Facts], float | None]]] = {
    "detect-file-type": ("kind is right", _equals("kind", "kind")),
    "detect-scanned-pages": ("scans are told from text", _scan),
    "detect-language": ("language is right", _equals("language", "language")),
    "extract-contact-details": ("overlap of e-mails and phones", _contacts),
    "detect-prompt-injection": ("orders to a model are told from others", _injection),
    "tag-document": ("overlap of tags", _tags),
    "classify-document-type": ("type is right", _equals("label", "document_type")),
    "classify-urgency": ("level is right", _equals("level", "urgency")),
    "classify-sentiment": ("label is right", _equals("label", "sentiment")),
    "extract-invoice": ("share of fields that are right", _invoice),
}
"""What is compared for each skill whose truth the samples know."""
