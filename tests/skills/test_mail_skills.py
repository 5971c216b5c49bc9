"""Mails and Outlook messages have one shape: whoever reads the one table can read the other."""

from pathlib import Path

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
