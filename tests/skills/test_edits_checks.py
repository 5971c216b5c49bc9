from typing import Any

import pytest

from skillyard.skills import Source
from skillyard.skills.checks import CHECKS, Answer

TEXT = "Tbe larnp cost 45.00 on\nQuay Road."


def judged(name: str, value: dict[str, Any], **arguments: Any) -> list[str]:
    skill: Any = None
    return list(CHECKS[name](Answer(skill, value, Source(TEXT), {}), **arguments))


def listed(text: str, *edits: tuple[str, str]) -> list[str]:
    value = {"text": text, "edits": [{"before": before, "after": after} for before, after in edits]}
    return judged("changes_listed", value, field="text", before="edits.before", after="edits.after")


def test_a_change_has_to_be_listed_on_both_sides() -> None:
    assert listed("The lamp cost 45.00 on Quay Road.", ("Tbe", "The"), ("larnp", "lamp")) == []
    assert listed("The lamp cost 45.00 on Quay Road.", ("Tbe", "The"), ("larnp", "lamps")) == [
        "text: 'lamp' is not in the text, and no edits.after says so"
    ]
    assert len(listed("The lamp cost 45.00 on Quay Road.", ("Tbe", "The"))) == 2


def test_a_number_or_a_word_that_went_silently_is_found() -> None:
    assert listed("Tbe larnp cost 46.00 on Quay Road.") == [
        "text: '45' of the text is gone, and no edits.before says so",
        "text: '46' is not in the text, and no edits.after says so",
    ]
    assert listed("Tbe larnp cost 45.00 on Road.") == ["text: 'Quay' of the text is gone, and no edits.before says so"]
    assert listed(TEXT) == []


@pytest.mark.parametrize(
    ("text", "is_close"),
    [(TEXT, True), ("The lamp cost 45.00 on Quay Road.", True), ("The lamp was sold on Quay Road for 45.00.", False), ("APPROVED", False)],
)
def test_only_small_corrections_stay_close(text: str, is_close: bool) -> None:
    assert (judged("stays_close", {"text": text}, field="text", min_similarity=0.85) == []) == is_close
