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
        (None, GERMAN, True),
    ],
)
def test_code_names_the_language_of_the_text(found: str | None, text: str, is_right: bool) -> None:
    skill: Any = None
    answer = Answer(skill, {"source_language": found}, Source(text), {})
    assert (list(CHECKS["names_language"](answer, field="source_language")) == []) is is_right
