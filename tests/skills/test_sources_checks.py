from typing import Any

from skillyard.skills import Source
from skillyard.skills.checks import CHECKS, Answer

SOURCE = Source("He wants 4.200,00 a month. The gate is repaired.", {"summary": "The lease ends on 31 December 2025."})


def judged(name: str, context: str | None) -> list[str]:
    skill: Any = None
    return list(CHECKS[name](Answer(skill, {"context": context}, SOURCE, {}), field="context"))


def test_a_number_may_come_from_the_text_or_from_an_input() -> None:
    assert judged("numbers_in_sources", "From the lease until 31 December 2025: the rent of 4,200.") == []
    assert judged("numbers_in_sources", "One of 3 parts.") == []
    assert judged("numbers_in_sources", None) == []
    assert judged("numbers_in_sources", "The rent of 50,400 a year.") == ["context: 50,400 occurs neither in the text nor in summary"]


def test_a_line_that_stands_in_the_text_adds_nothing() -> None:
    assert judged("adds_to_text", "From the lease: the gate.") == []
    assert judged("adds_to_text", "the  gate is repaired") == ["context: 'the  gate is repaired' only repeats the text"]
