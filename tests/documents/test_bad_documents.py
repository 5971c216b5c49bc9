"""A document that cannot be read says why, and never raises."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skillyard.documents import Parsed, Rejected, parse_document
from tests.documents import made
from tests.documents.made import TEXT


def refused(data: bytes, name: str) -> tuple[str, str]:
    result = parse_document(data, name)
    assert isinstance(result, Rejected), result
    return result.kind, result.error_kind


def test_an_encrypted_pdf_needs_a_password():
    assert refused(made.pdf(TEXT, password="secret"), "a.pdf") == ("pdf", "password_required")


def test_a_pdf_without_a_readable_page_is_corrupt():
    assert refused(b"%PDF-1.7\n", "a.pdf") == ("pdf", "corrupt")
    assert refused(made.raw_pdf(b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Count 50 /Kids [2 0 R] >>"), "a") == (
        "pdf",
        "corrupt",
    )


@pytest.mark.parametrize("make", [lambda: made.docx(TEXT), lambda: made.xlsx(March="1"), lambda: made.pptx(TEXT)])
def test_a_truncated_office_document_is_corrupt(make):
    data = make()
    kind, error_kind = refused(data[: len(data) * 2 // 3], "a")
    assert kind in ("docx", "xlsx", "pptx") and error_kind == "corrupt"


def test_a_truncated_image_is_corrupt():
    assert refused(made.png()[:-12], "a.png") == ("image", "corrupt")


def test_a_zip_bomb_is_refused_before_it_is_unpacked():
    data = made.zip_bomb_docx()
    assert len(data) < 100_000
    assert refused(data, "bomb.docx") == ("docx", "too_large")


def test_a_zip_that_lies_about_its_size_is_corrupt():
    data = made.zip_bomb_docx()
    size = (64 * 1024**2).to_bytes(4, "little")
    assert data.count(size) == 2
    assert refused(data.replace(size, (1000).to_bytes(4, "little")), "bomb.docx") == ("docx", "corrupt")


@pytest.mark.parametrize("part", ["word/document.xml", "xl/workbook.xml", "ppt/presentation.xml"])
def test_an_office_document_whose_main_part_is_broken_is_corrupt_not_empty(part: str):
    assert refused(made.archive({"[Content_Types].xml": "<Types/>", part: "<broken"}), "a")[1] == "corrupt"


def test_an_office_document_that_both_readers_fail_on_is_corrupt_with_the_word_of_both():
    result = parse_document(made.archive({"[Content_Types].xml": "<Types/>", "ppt/presentation.xml": "<p/>"}), "a.pptx")
    assert isinstance(result, Rejected) and result.error_kind == "corrupt"
    assert result.error_message.count(";") >= 1


@given(st.binary(max_size=300), st.sampled_from(["", "%PDF-1.4\n", "<html>", "From: a@example.com\n", "\x89PNG\r\n\x1a\n", "II*\0"]))
@settings(max_examples=150, deadline=None)
def test_no_bytes_make_the_parser_raise(tail: bytes, head: str):
    result = parse_document(head.encode("latin-1") + tail, "a.bin")
    if isinstance(result, Parsed):
        assert result.pages and all(page.text.encode("utf-8") is not None for page in result.pages)
        assert all(bool(page.text) == (page.status == "text") for page in result.pages)


@given(st.data())
@settings(max_examples=25, deadline=None)
def test_a_cut_or_flipped_pdf_is_parsed_or_refused(data: st.DataObject):
    whole = bytearray(made.pdf(TEXT))
    for at in data.draw(st.lists(st.integers(0, len(whole) - 1), max_size=8)):
        whole[at] ^= 0x55
    cut = data.draw(st.integers(1, len(whole)))
    assert parse_document(bytes(whole[:cut]), "a.pdf") is not None
