"""Messages are read with what is attached to them, from EML and MSG alike."""

from email.message import EmailMessage
from pathlib import Path

import pytest

from skillyard.documents import Parsed, parse_document
from skillyard.documents.kinds import ReadOptions
from skillyard.documents.spool import SpoolFile, SpoolWriter
from tests.documents import made
from tests.documents.made import GERMAN, TEXT


def read(data: bytes, folder: Path) -> tuple[Parsed, dict[str, bytes]]:
    """Return a message and the bytes of what is attached to it."""
    spool = SpoolWriter(folder / "spool")
    result = parse_document(data, "mail.bin", ReadOptions(spool=spool))
    spool.close()
    assert isinstance(result, Parsed), result
    load = SpoolFile(folder / "spool").read
    return result, {member.path: load(member.offset, member.size_bytes) for member in result.members}


def test_files_messages_and_pictures_in_an_eml_are_its_members(tmp_path: Path):
    inner = EmailMessage()
    inner["Subject"], inner["From"] = "Inside", "bo@example.com"
    inner.set_content(GERMAN)
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = "Boats", "ada@example.com", "office@example.org"
    message.set_content(TEXT)
    message.add_alternative(f"<p>{TEXT}</p><img src='cid:pier'>", subtype="html")
    message.get_payload(1).add_related(made.png(), "image", "png", cid="<pier>")
    message.add_attachment(made.pdf(GERMAN), maintype="application", subtype="pdf", filename="../rules.pdf")
    message.add_attachment("a;b", filename="table.csv")
    message.add_attachment(inner)
    result, members = read(message.as_bytes(), tmp_path)
    assert result.pages[0].text.endswith(TEXT) and GERMAN not in result.pages[0].text
    assert set(members) == {"rules.pdf", "table.csv", "attachment-1.png", "message-4.eml"}
    assert members["rules.pdf"] == made.pdf(GERMAN) and members["table.csv"].strip() == b"a;b"
    attached = parse_document(members["message-4.eml"], "message-4.eml")
    assert isinstance(attached, Parsed) and attached.title == "Inside" and GERMAN in attached.pages[0].text
    assert dict(result.metadata)["author"] == "ada@example.com"


def test_text_after_an_attachment_belongs_to_the_message(tmp_path: Path):
    head = b"From: a@example.com\nSubject: x\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n"
    parts = (b"text/plain\n\nBefore.", b"application/x\n\n\0\1", b"text/plain\n\nAfter.")
    result, members = read(head + b"".join(b"--b\nContent-Type: %s\n" % part for part in parts) + b"--b--\n", tmp_path)
    assert result.pages[0].text.endswith("Before.\n\nAfter.") and list(members) == ["attachment-1.x"]


def test_an_outlook_message_is_read_with_its_attachments_and_the_message_in_it(tmp_path: Path):
    data = made.msg("Boats at the pier", TEXT, {"rules.pdf": made.pdf(GERMAN)}, inside=("Older boats", GERMAN))
    result, members = read(data, tmp_path)
    assert (result.kind, result.mime_type, result.title, result.language) == (
        "msg",
        "application/vnd.ms-outlook",
        "Boats at the pier",
        "en",
    )
    text = result.pages[0].text
    assert text.startswith("Subject: Boats at the pier\nFrom: Ada Quill <ada@example.com>\nTo: office@example.org\nDate: ")
    assert TEXT in text and GERMAN not in text
    assert set(members) == {"rules.pdf", "Older boats.eml"}
    assert members["rules.pdf"].startswith(b"%PDF-")
    inner = parse_document(members["Older boats.eml"], "a.eml")
    assert isinstance(inner, Parsed) and inner.title == "Older boats" and GERMAN in inner.pages[0].text


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_a_truncated_outlook_message_is_read_or_refused(share: float):
    data = made.msg("Boats", TEXT, {"rules.pdf": made.pdf(GERMAN)})
    assert parse_document(data[: int(len(data) * share)], "a.msg") is not None
