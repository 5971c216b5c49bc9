"""What files say of themselves."""

import struct

import pytest

from skillyard.documents.properties import read_old_properties, read_properties
from skillyard.documents.result import Refused
from tests.documents import made

SUMMARY_ID = bytes.fromhex("e0859ff2f94f6810ab9108002b27b3d9")
NOVEMBER_2026 = 0x01DC4C27A3F1C000


def summary(title: str, n_pages: int) -> bytes:
    """Return a stream of properties. Source: [MS-OLEPS], learn.microsoft.com/openspecs."""
    text = title.encode("cp1252") + b"\0"
    values = {
        2: struct.pack("<II", 30, len(text)) + text.ljust(-(-len(text) // 4) * 4, b"\0"),
        12: struct.pack("<IQ", 64, NOVEMBER_2026),
        14: struct.pack("<Ii", 3, n_pages),
    }
    at, table = 8 + 8 * len(values), b""
    for number, value in values.items():
        table += struct.pack("<II", number, at)
        at += len(value)
    section = struct.pack("<II", at, len(values)) + table + b"".join(values.values())
    return struct.pack("<HHI16sI", 0xFFFE, 0, 2, bytes(16), 1) + SUMMARY_ID + struct.pack("<I", 48) + section


def test_a_word_document_of_before_2007_states_its_title_date_and_pages() -> None:
    found = read_old_properties(made.ole({"WordDocument": b"text", "\x05SummaryInformation": summary("Prüfbericht", 7)}))
    assert (found["title"], found["n_pages"], found["author"]) == ("Prüfbericht", 7, "")
    assert found["created"].endswith("+00:00")


def test_slides_and_sheets_are_counted() -> None:
    assert read_properties(made.pptx("one", "two"), "pptx")["n_pages"] == 2
    assert read_properties(made.xlsx(Rope="1", Paint="2", Nails="3"), "xlsx")["n_pages"] == 3


def test_a_pdf_states_its_title_and_a_locked_one_that_it_is_locked() -> None:
    assert (
        read_properties(b"noise" + made.pdf("a", "b", title="Tide table"), "pdf").items() >= {"title": "Tide table", "n_pages": 2}.items()
    )
    assert read_properties(made.pdf("a", password="pier"), "pdf") == {"is_encrypted": True, "needs_password": True}


@pytest.mark.parametrize("kind", ["pdf", "docx", "pptx", "image"])
def test_noise_is_refused_as_corrupt(kind: str) -> None:
    with pytest.raises(Refused, match="corrupt"):
        read_properties(b"noise " * 100, kind)
