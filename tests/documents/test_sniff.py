"""A document is what its bytes are, whatever its name says."""

import pytest

from skillyard.documents import Rejected, parse_document
from skillyard.documents.result import ERROR_KINDS
from skillyard.documents.sniff import sniff
from tests.documents import made
from tests.documents.made import TEXT


@pytest.mark.parametrize(
    ("data", "name", "kind"),
    [
        (made.pdf(TEXT), "report.txt", "pdf"),
        (made.docx(TEXT), "report.pdf", "docx"),
        (made.xlsx(March="1"), "report.docx", "xlsx"),
        (made.pptx("A"), "report", "pptx"),
        (made.png(), "report.pdf", "image"),
        (made.html(TEXT), "report.txt", "html"),
        (made.eml(TEXT), "report.txt", "eml"),
        (TEXT.encode(), "report.pdf", "txt"),
        (TEXT.encode(), "report.docx", "txt"),
        (TEXT.encode(), "report.html", "txt"),
        (TEXT.encode(), "report.eml", "txt"),
        (b"From: the desk\nTo: all\nSubject: harbour\n\n" + TEXT.encode(), "notes.md", "md"),
        (b"A file that begins with %PDF-1.7 is a PDF.", "about.txt", "txt"),
        (b"MZ is what the Zilog manual begins with. " + TEXT.encode(), "manual.txt", "txt"),
        (b"# Rules\n\n<div>not a page</div>\n", "rules.md", "md"),
        (b"<p>A piece of a page</p>", "piece.html", "html"),
        (b"a;b\n1;2\n", "t.CSV", "csv"),
        (b"# Rules\n\nOpen at **nine**.\n\n## Prices\n\nNone.\n", "rules", "md"),
        (b"# a comment of a script\necho harbour\n", "script", "txt"),
        (b"item;price\nrope;12,50\nboat;9,00\n", "export.dat", "csv"),
        (b"Rope, boat\nand pier, all\nin one, place\nof ours.\n", "poem", "txt"),
        (made.archive({"a.txt": "hello"}), "a.docx", "zip"),
        (made.archive({"report.docx": made.docx(TEXT)}), "a.docx", "zip"),
        (made.msg("Boats", TEXT, {}), "boats.eml", "msg"),
    ],
)
def test_the_kind_follows_the_content(data: bytes, name: str, kind: str):
    assert sniff(data, name).kind == kind


def test_a_presentation_with_a_workbook_inside_is_a_presentation():
    outer = made.archive({"[Content_Types].xml": "<Types/>", "ppt/presentation.xml": "<p/>", "ppt/embeddings/a.xlsx": made.xlsx(March="1")})
    assert sniff(outer, "deck").kind == "pptx"


@pytest.mark.parametrize(
    ("data", "error_kind", "mime_type"),
    [
        (b"", "empty", "application/octet-stream"),
        (b" \n\t\r\n", "empty", "application/octet-stream"),
        (b"\xef\xbb\xbf\n", "empty", "application/octet-stream"),
        (b"\x7fELF\x02\x01\x01" + bytes(64), "unsupported_type", "application/x-executable"),
        (b"MZ\x90\x00\x03" + bytes(64), "unsupported_type", "application/x-dosexec"),
        (bytes(range(256)) * 20, "unsupported_type", "application/octet-stream"),
        (b"GIF89a\x01\x00\x01\x00\x00", "unsupported_type", "image/gif"),
        (b"{\\rtf1 hello}", "unsupported_type", "application/rtf"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "unsupported_type", "application/x-ole-storage"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le"), "password_required", "application/x-ole-storage"),
    ],
)
def test_what_is_no_document_is_refused_by_its_content(data: bytes, error_kind: str, mime_type: str):
    result = parse_document(data, "letter.docx")
    assert isinstance(result, Rejected)
    assert (result.kind, result.error_kind, result.mime_type) == ("unknown", error_kind, mime_type)
    assert ERROR_KINDS[error_kind] in result.error_message
