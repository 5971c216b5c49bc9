import time
from typing import Any

from skillyard.skills import Source
from skillyard.skills.checks import CHECKS, Answer

MAIL = "Subject: Re: a very long subject that says nothing of use\nFrom: Ana\n\nYes.\nAna\n\nOn 2 May, Lee wrote:\n> Yes?\n> Ana"


def judged(text: str, latest: str, quoted: list[str], signature: str | None) -> list[str]:
    skill: Any = None
    answer = Answer(skill, {"latest": latest, "quoted": quoted, "signature": signature}, Source(text), {})
    return list(CHECKS["parts_of_text"](answer, fields=["latest", "quoted", "signature"], min_share=0.6))


def test_parts_of_a_mail_are_copied_and_cover_it_without_its_headers() -> None:
    assert judged(MAIL, "Yes.", ["On 2 May, Lee wrote:\n> Yes?\n> Ana"], "Ana") == []
    assert judged(MAIL, "", ["On 2 May, Lee wrote:\n> Yes?\n> Ana"], None) == []


def test_a_part_that_is_written_anew_or_used_twice_is_found() -> None:
    assert "does not stand in the text" in judged(MAIL, "Yes!", ["On 2 May, Lee wrote:\n> Yes?\n> Ana"], "Ana")[0]
    assert "does not stand in the text" in judged(MAIL, "Yes.", ["On 2 May, Lee wrote: > Yes?"], None)[0]
    assert "within another part" in judged("Yes. Ana", "Yes. Ana", [], "Ana")[0]


def test_parts_that_leave_most_out_are_found() -> None:
    assert judged(MAIL, "Yes.", [], None) == ["latest, quoted, signature: 4 of 32 characters. Allowed: 60% or more"]


def test_thousands_of_parts_are_placed_in_a_moment() -> None:
    started = time.process_time()
    assert judged("On 2 May, Lee wrote:\nb\n" * 20_000, "", ["On 2 May, Lee wrote:\nb"] * 20_000, None) == []
    assert time.process_time() - started < 5
