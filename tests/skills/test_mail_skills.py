"""Mails and Outlook messages have one shape: whoever reads the one table can read the other."""

import time
from pathlib import Path

import pytest

from skillyard.documents.result import Refused
from skillyard.skills import Catalogue, Source
from tests.documents.made import TEXT, eml, msg

SKILLS = Path(__file__).parents[2] / "include"
EML, MSG = (Catalogue(SKILLS).load(name) for name in ("parse-email", "parse-outlook-message"))


def test_both_have_the_same_columns() -> None:
    assert EML.output_schema == MSG.output_schema


def test_the_same_message_gives_the_same_people_subject_and_text() -> None:
    mail = EML.run_library(Source(data=eml(TEXT)))
    message = MSG.run_library(Source(data=msg("Boats at the pier", TEXT, {})))
    assert mail and message and list(mail) == list(message)
    assert [mail[key] for key in ("from", "to", "subject", "text")] == [message[key] for key in ("from", "to", "subject", "text")]


HEAD = b"From: ada@boats.example\nSubject: Boats\nMIME-Version: 1.0\n"


@pytest.mark.parametrize(
    "data",
    [
        HEAD + b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(2_000)),
        HEAD + b"Content-Type: message/rfc822\n\n" * 2_000,
        HEAD + b"Content-Type: " + b"text/plain; a=b" * 20_000 + b"\n\nBoats.",
        HEAD + b"Content-Disposition: " + b'attachment; filename*0="((((' * 300 + b"\n\nBoats.",
    ],
    ids=["parts-in-parts", "messages-in-messages", "a-type-of-many-words", "a-name-of-many-brackets"],
)
def test_a_hostile_mail_is_read_or_refused_in_seconds(data: bytes) -> None:
    started = time.process_time()
    try:
        found = EML.run_library(Source(data=data))
        assert found and found["from"]["address"] == "ada@boats.example"
    except Refused as refused:
        assert refused.error_kind == "corrupt"
    assert time.process_time() - started < 10
