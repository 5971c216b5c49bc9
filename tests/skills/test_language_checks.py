from typing import Any

import pytest

from skillyard.skills import Source
from skillyard.skills.checks import CHECKS, Answer

GERMAN = "Die Inventur findet am Freitag statt. Das Lager bleibt deshalb ab Mittag geschlossen. Berg informiert die Spedition bis Mittwoch."
NORWEGIAN = "Møtet finner sted på tirsdag klokken ti i andre etasje, og alle ansatte blir bedt om å komme i god tid og ta med nøkkelkortet."


@pytest.mark.parametrize(
    ("found", "text", "is_right"),
    [
        ("de", GERMAN, True),
        ("en", GERMAN, False),
        ("German", GERMAN, False),
        ("DE", GERMAN, False),
        ("nb", NORWEGIAN, True),
        ("no", NORWEGIAN, True),
        ("sv", NORWEGIAN, False),
        ("en", "Kurz.", True),
        ("english", "Kurz.", False),
        ("de", GERMAN.upper(), True),
        ("en", "Ref AB/4471-X, 99-1203-7, ana@quay.example, https://quay.example/a/b, 0x00FF, page_3_of_9, INV-2024-118, B_77/3", True),
        (None, GERMAN, True),
    ],
)
def test_code_names_the_language_of_the_text(found: str | None, text: str, is_right: bool) -> None:
    skill: Any = None
    answer = Answer(skill, {"source_language": found}, Source(text), {})
    assert (list(CHECKS["names_language"](answer, field="source_language")) == []) is is_right


@pytest.mark.parametrize(
    ("text", "found", "is_right"),
    [("A text", "de", True), (None, "de", False), (None, "en", True), ("A text", "en", False), (None, None, True), ("A text", None, False)],
)
def test_a_text_is_given_unless_it_is_in_the_language_asked_for(text: str | None, found: str | None, is_right: bool) -> None:
    skill: Any = None
    answer = Answer(skill, {"text": text, "source_language": found}, Source("A text"), {"target_language": "en"})
    failures = list(CHECKS["null_in"](answer, field="text", language="source_language", parameter="target_language"))
    assert (failures == []) is is_right


def test_both_forms_of_norwegian_are_norwegian() -> None:
    skill: Any = None
    answer = Answer(skill, {"text": None, "source_language": "nb"}, Source(NORWEGIAN), {"target_language": "no"})
    assert list(CHECKS["null_in"](answer, field="text", language="source_language", parameter="target_language")) == []
