"""Spreadsheets as rows: what is refused, what is read another way, and where a header is found."""

import io
from datetime import date

import pytest
from openpyxl import Workbook

from skillyard.documents.columns import dtype_of, header_at, typed
from skillyard.documents.result import Refused
from skillyard.documents.sheets import read_sheets

OLE2 = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


def saved(*cells: tuple[str, object]) -> bytes:
    """Return a workbook of one sheet."""
    book, out = Workbook(), io.BytesIO()
    for place, value in cells:
        book.active[place] = value
    book.save(out)
    return out.getvalue()


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("a;b\n1,5;2\n", [["a", "b"], ["1,5", "2"]]),
        ("a\tb, c\n1\t2\n", [["a", "b, c"], ["1", "2"]]),
        ("one\ntwo\n", [["one"], ["two"]]),
        ('a,"b\nc"\n1,2\n', [["a", "b\nc"], ["1", "2"]]),
    ],
)
def test_a_text_is_divided_by_what_most_of_its_lines_agree_on(text: str, rows: list[list[str]]) -> None:
    (sheet,) = read_sheets(text.encode(), "table.csv")
    assert list(sheet.rows) == rows and not sheet.is_typed


def test_cells_far_apart_are_read_without_what_lies_between_them() -> None:
    (sheet,) = read_sheets(saved(("A1", 0), ("B2", "x"), ("Z200000", 1)), "far.xlsx")
    rows = list(sheet.rows)
    assert sheet.is_cut and rows[0][:2] == [0, None] and rows[1][:2] == [None, "x"] and not any(rows[2:])


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"PK\x03\x04 cut off", "corrupt"),
        (OLE2 + bytes(600), "unsupported_type"),
        (OLE2 + bytes(600) + "EncryptedPackage".encode("utf-16-le"), "password_required"),
        (b"<html><body><table><tr><td>1</td></tr></table></body></html>", "unsupported_type"),
        (b" \n", "empty"),
    ],
)
def test_what_is_no_spreadsheet_is_refused_by_its_content_not_its_name(data: bytes, kind: str) -> None:
    with pytest.raises(Refused) as refused:
        list(read_sheets(data, "table.xls"))
    assert refused.value.error_kind == kind


@pytest.mark.parametrize(
    ("rows", "at"),
    [
        ([["Costs"], ["Van", "Km"], ["BX", 4]], 1),
        ([["Ana", 14], ["Ben", 9]], None),
        ([["Ana", "Oslo"], ["Ben", "Oslo"], ["Ana", "Bergen"]], None),
        ([["Depot", 2024, 2025], ["Oslo", 1, 2]], 0),
        ([["Depot", 2025, 2024], ["Oslo", 1, 2]], None),
        ([[None, "Low", "High"], ["Oslo", 1, 2]], 0),
        ([["Van", "Km"]], None),
        ([], None),
    ],
)
def test_a_header_is_the_first_full_row_of_words_that_do_not_come_again(rows: list[list[object]], at: int | None) -> None:
    assert header_at(list(enumerate(rows, 1))) == at


@pytest.mark.parametrize(
    ("column", "dtype"),
    [
        (["1", None, "-20"], "integer"),
        (["1", "2.5"], "number"),
        (["01", "2"], "text"),
        (["2026-02-28", "2026-01-01"], "date"),
        (["2026-02-31"], "text"),
        (["True", "false"], "boolean"),
        ([None], "empty"),
        ([1, "x"], "mixed"),
        ([1, 2.5], "number"),
        ([date(2026, 1, 1)], "date"),
    ],
)
def test_a_column_of_texts_is_what_all_of_them_are(column: list[object], dtype: str) -> None:
    assert dtype_of(typed(column, is_typed=False)) == dtype
