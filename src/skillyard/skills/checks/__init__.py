"""Named checks, by what they look at: importing this package registers all of them."""

from skillyard.skills.checks import (
    days,
    evidence,
    fields,
    labels,
    languages,
    numbers,
    pairs,
    questions,
    ratings,
    readability,
    reasons,
    scores,
    texts,
)
from skillyard.skills.checks.registry import CHECKS, Answer, CheckFailure, bind, check, run_checks, values_at

__all__ = [
    "CHECKS",
    "Answer",
    "CheckFailure",
    "bind",
    "check",
    "days",
    "evidence",
    "fields",
    "labels",
    "languages",
    "numbers",
    "pairs",
    "questions",
    "ratings",
    "readability",
    "reasons",
    "run_checks",
    "scores",
    "texts",
    "values_at",
]
