"""Word documents' XML: what python-docx passes over, and what is no document for it."""

import io
import zipfile

import pytest
from docx import Document
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls

from skillyard.documents.result import Refused
from skillyard.documents.word import W, blocks_of, open_word, rows_of, text_of

PLAIN = "wordprocessingml.document.main+xml"
MACROS = ("openxmlformats-officedocument.wordprocessingml.document.main", "ms-word.document.macroEnabled.main")


def saved(*blocks: str, change: tuple[str, str] = ("", "")) -> bytes:
    """Return a document with these elements; ``change`` replaces a string in the archive's list of types."""
    document, out, changed = Document(), io.BytesIO(), io.BytesIO()
    for block in blocks:
        document.element.body.insert(-1, parse_xml(block.replace(" ", f" {nsdecls('w')} ", 1)))
    document.save(out)
    with zipfile.ZipFile(out) as old, zipfile.ZipFile(changed, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            new.writestr(name, data.replace(*(part.encode() for part in change)) if name == "[Content_Types].xml" and change[0] else data)
    return changed.getvalue()


def test_a_paragraph_reads_as_if_every_change_were_accepted() -> None:
    text = "<w:p ><w:r><w:t>a</w:t><w:tab/><w:br/></w:r>"
    text += "<w:ins><w:r><w:t>new</w:t></w:r></w:ins><w:del><w:r><w:delText>old</w:delText></w:r></w:del></w:p>"
    document = open_word(saved(text))
    assert [text_of(block) for block in blocks_of(document.element.body) if text_of(block)] == ["a\t\nnew"]


def test_a_deleted_row_is_gone_and_a_wide_cell_keeps_the_columns_in_place() -> None:
    row = "<w:tr>{}<w:tc><w:tcPr><w:gridSpan w:val='2'/></w:tcPr><w:p><w:r><w:t>{}</w:t></w:r></w:p></w:tc><w:tc><w:p/></w:tc></w:tr>"
    table = f"<w:tbl >{row.format('', 'kept')}{row.format('<w:trPr><w:del/></w:trPr>', 'gone')}</w:tbl>"
    document = open_word(saved(table))
    (found,) = (block for block in blocks_of(document.element.body) if block.tag == f"{W}tbl")
    assert rows_of(found) == [["kept", "", ""]]


def test_a_document_with_macros_is_read_and_one_without_its_main_part_is_corrupt() -> None:
    assert text_of(open_word(saved("<w:p ><w:r><w:t>a</w:t></w:r></w:p>", change=MACROS)).element.body) == "a"
    with pytest.raises(Refused, match="corrupt"):
        open_word(saved(change=(PLAIN, "nothing+xml")))


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le"), "password_required"),
        (b"a letter, and no document", "unsupported_type"),
        (b"", "empty"),
    ],
)
def test_what_is_no_document_is_refused(data: bytes, kind: str) -> None:
    with pytest.raises(Refused, match=kind):
        open_word(data)
