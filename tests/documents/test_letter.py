"""What a message's headers say, however badly they are written."""

import time

import pytest

from skillyard.documents.letter import Person, answered_id, people_of, time_of, words_of


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("=?utf-8?q?Gr=C3=BC?= =?utf-8?q?=C3=9Fe?=", "Grüße"),
        ("=?utf-8?q?Gr=C3?= =?utf-8?q?=BC=C3=9Fe?=", "Grüße"),
        ("Re: =?iso-8859-1?q?caf=E9?= at 9", "Re: café at 9"),
        ("=?utf-8?q?caf=E9 brul=E9?=", "café brulé"),
        (b"Gr\xc3\xbc\xc3\x9fe".decode("ascii", "surrogateescape"), "Grüße"),
        ("=?utf-8?b?====?= left", "left"),
        ("two\r\n\tlines", "two lines"),
    ],
)
def test_a_header_is_decoded_word_by_word(raw: str, expected: str) -> None:
    assert words_of(raw) == expected


def test_recipients_are_people_even_where_the_header_is_no_list_of_addresses() -> None:
    assert people_of("=?utf-8?q?M=C3=BCller=2C_Jo?= <jo@a.example>, b@c.example") == (
        Person("Müller, Jo", "jo@a.example"),
        Person(None, "b@c.example"),
    )
    assert people_of("undisclosed-recipients:;") == people_of("") == ()
    assert people_of("the whole crew") == (Person("the whole crew", None),)


def test_a_date_keeps_its_offset_and_is_utc_where_it_states_none() -> None:
    assert time_of("Mon, 02 Mar 2026 05:10:30 -0330") == "2026-03-02T05:10:30-03:30"
    assert time_of("Mon, 02 Mar 2026 05:10:30 -0000") == time_of("2 Mar 2026 05:10:30") == "2026-03-02T05:10:30+00:00"
    assert time_of("tomorrow") is time_of("") is time_of("Mon, 99 Mar 2026 05:10:30 +0000") is None


def test_the_message_that_is_answered_is_the_stated_one_else_the_last_of_the_thread() -> None:
    assert answered_id("<b@x>", "<a@x> <c@x>") == "<b@x>"
    assert answered_id("your letter of Monday", "<a@x> <c@x>") == "<c@x>"
    assert answered_id("", "") is None


@pytest.mark.parametrize("piece", ["(", '"', "a@", "<", "=?utf-8?q?", "a,", "\\", "[", ":", ";"])
def test_hostile_headers_take_no_time(piece: str) -> None:
    started = time.process_time()
    people_of(piece * 200_000)
    words_of(piece * 200_000)
    answered_id(piece * 200_000, piece * 200_000)
    assert time.process_time() - started < 5
