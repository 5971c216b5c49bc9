import json
from typing import Any

import pytest

from skillyard.skills import Source
from skillyard.skills.checks import CHECKS, Answer

PAGES = json.dumps([{"page": number, "text": "…"} for number in (1, 2, 3, 4, 5)])


def judged(name: str, value: dict[str, Any], text: str = "", **arguments: Any) -> list[str]:
    skill: Any = None
    return list(CHECKS[name](Answer(skill, value, Source(text), {}), **arguments))


def of_lines(text: str, *lines: str) -> list[str]:
    return judged("made_of_lines", {"text": text, "lines": [{"text": line} for line in lines]}, field="text", parts=["lines.text"])


def of_ranges(*ranges: tuple[int, int], text: str = PAGES) -> list[str]:
    value = {"documents": [{"first_page": first, "last_page": last} for first, last in ranges]}
    return judged("ranges_cover_pages", value, text, field="documents", first="first_page", last="last_page")


def test_a_text_holds_its_lines_and_nothing_else() -> None:
    assert of_lines("") == of_lines("Room 4\n\nKnock  twice", "Knock twice", "Room 4") == []
    assert of_lines("Room 4", "Room 4", "KKK") == ["lines.text: 3 characters more than in the other, such as 'K'"]
    assert of_lines("Room 41", "Room 4") == ["text: 1 characters more than in the other, such as '1'"]


def test_ranges_cover_every_page_once_and_in_order() -> None:
    assert of_ranges((1, 5)) == of_ranges((1, 2), (3, 3), (4, 5)) == of_ranges(text="[]") == []
    assert of_ranges((1, 2), (4, 5)) == ["documents: 4 to 5 leaves pages out. Allowed as first page: 3"]
    assert of_ranges((1, 3), (3, 5)) == ["documents: 3 to 5 overlaps what is before it. Allowed as first page: 4"]
    assert of_ranges((2, 5))[0].endswith("Allowed as first page: 1")
    assert of_ranges((1, 4)) == ["documents: they end with page 4. Allowed: 5, the last one"]
    assert of_ranges((1, 6)) == ["documents: they end with page 6. Allowed: 5, the last one"]
    assert "ends before it begins" in of_ranges((1, 0), (1, 5))[0]
    assert of_ranges() == ["documents: they end with page 0. Allowed: 5, the last one"]


@pytest.mark.parametrize("text", ["", "plain words", '{"page": 1}', '[{"text": "x"}]', '["x"]', '[{"page": true}]', "[" * 100_000])
def test_ranges_of_a_text_that_is_no_list_of_pages_fail(text: str) -> None:
    assert of_ranges((1, 1), text=text) == [
        "documents: the text is no JSON list of pages with their numbers, no range can be held against it"
    ]
