"""Spreadsheets as rows of values: XLSX, XLSB, XLS and ODS by calamine, CSV by the standard library."""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO, StringIO
from typing import Any
from xml.parsers.expat import ExpatError, ParserCreate
from zipfile import ZipFile

from skillyard.documents.archive import check_archive
from skillyard.documents.decoding import decode
from skillyard.documents.encryption import decrypt_office
from skillyard.documents.result import Refused
from skillyard.documents.sniff import OLE2, sniff

ZIP = b"PK\x03\x04"
DELIMITERS = ",;\t|"
SAMPLE_LINES = 20
MAX_AREA = 4_000_000
"""In cells. calamine holds the whole of a sheet's used range, 24 bytes a cell, and one stray cell far off can make it a million rows."""
NEAR_ROWS, NEAR_COLUMNS = 100_000, 1_000
"""What is read of a sheet that is larger than that."""
SHEET = re.compile(r"xl/worksheets/[^/]+\.xml")
REFERENCE = re.compile(rb'\br="([A-Z]{1,3})([0-9]{1,7})"')
PIECE_BYTES = 1 << 20
ODS_CONTENT = "content.xml"


@dataclass(frozen=True, slots=True)
class Sheet:
    """A sheet; its rows can be read once, values as Python's types, empty cells as None or ''."""

    name: str
    rows: Iterator[list[Any]]
    is_hidden: bool = False
    is_typed: bool = True
    """False where all values are text, whatever they mean."""
    is_cut: bool = False
    """There is more in it."""


def read_sheets(data: bytes, name: str) -> Iterator[Sheet]:
    """Yield the sheets in the workbook's order. ``Refused``: password_required, corrupt, too_large, unsupported_type or empty."""
    plain = decrypt_office(data, ())
    if plain.startswith(ZIP):
        check_archive(plain)
        _check_content(plain)
        return _by_openpyxl(plain) if _has_far_cells(plain) else _by_calamine(plain)
    if plain.startswith(OLE2):
        return _by_calamine(plain)
    kind = sniff(plain, name).kind
    if kind not in ("csv", "txt", "md"):
        raise Refused("unsupported_type", f"the content is {kind}, not a spreadsheet")
    return iter([_of_text(plain)])


def _by_calamine(data: bytes) -> Iterator[Sheet]:
    from python_calamine import CalamineError, PasswordError, SheetTypeEnum, SheetVisibleEnum, load_workbook

    try:
        workbook = load_workbook(BytesIO(data))
        for sheet in workbook.sheets_metadata:
            if sheet.typ is SheetTypeEnum.WorkSheet:
                rows = workbook.get_sheet_by_name(sheet.name).iter_rows()
                yield Sheet(sheet.name, iter(rows), sheet.visible is not SheetVisibleEnum.Visible)
    except PasswordError as error:
        raise Refused("password_required", f"an encrypted workbook: {error}") from error
    except CalamineError as error:
        kind = "unsupported_type" if "detect file format" in str(error) else "corrupt"
        raise Refused(kind, f"no workbook that can be read: {error}") from error


def _by_openpyxl(data: bytes) -> Iterator[Sheet]:
    """Yield the near part of sheets whose cells lie far apart, read one row after the other."""
    from openpyxl import load_workbook  # type: ignore[import-untyped]

    try:
        for sheet in load_workbook(BytesIO(data), read_only=True, data_only=True).worksheets:
            rows = sheet.iter_rows(max_row=NEAR_ROWS, max_col=NEAR_COLUMNS, values_only=True)
            is_cut = (sheet.max_row or 0) > NEAR_ROWS or (sheet.max_column or 0) > NEAR_COLUMNS
            yield Sheet(
                sheet.title, ([*row] if row.count(None) < len(row) else [] for row in rows), sheet.sheet_state != "visible", is_cut=is_cut
            )
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise Refused("corrupt", f"no workbook that can be read: {error}") from error


def _check_content(data: bytes) -> None:
    """Return when the XML of an ODS file, where it is one, is well formed: calamine reads broken XML there without end."""
    with ZipFile(BytesIO(data)) as archive:
        if ODS_CONTENT in archive.namelist():
            try:
                with archive.open(ODS_CONTENT) as file:
                    ParserCreate().ParseFile(file)
            except ExpatError as error:
                raise Refused("corrupt", f"the workbook's content is broken: {error}") from error


def _has_far_cells(data: bytes) -> bool:
    """Return whether the used range of a sheet is larger than calamine should hold."""
    with ZipFile(BytesIO(data)) as archive:
        for name in filter(SHEET.fullmatch, archive.namelist()):
            n_rows = n_columns = 0
            with archive.open(name) as file:
                while piece := file.read(PIECE_BYTES):
                    for column, row in set(REFERENCE.findall(piece)):
                        n_rows, n_columns = max(n_rows, int(row)), max(n_columns, _number(column))
            if n_rows * n_columns > MAX_AREA:
                return True
    return False


def _number(column: bytes) -> int:
    number = 0
    for letter in column:
        number = number * 26 + letter - ord("A") + 1
    return number


def _of_text(data: bytes) -> Sheet:
    """Return a text's rows, divided by whatever most of its first lines agree on."""
    text = decode(data)
    if text is None:
        raise Refused("unsupported_type", "the content is text at first, other bytes later")
    text = text.lstrip("\ufeff").replace("\0", "")
    delimiter = max(DELIMITERS, key=lambda each: _agreement(text, each))
    return Sheet("", _records(text, delimiter), is_typed=False)


def _agreement(text: str, delimiter: str) -> int:
    """Return in how many of the first records a delimiter makes equally many cells, more than one."""
    try:
        reader = csv.reader(StringIO(text, newline=""), delimiter=delimiter)
        counts = [len(row) for row, _ in zip(reader, range(SAMPLE_LINES), strict=False) if len(row) > 1]
    except csv.Error:
        return 0
    return max(map(counts.count, counts), default=0)


def _records(text: str, delimiter: str) -> Iterator[list[Any]]:
    try:
        yield from csv.reader(StringIO(text, newline=""), delimiter=delimiter)
    except csv.Error as error:
        raise Refused("corrupt", f"a quotation mark that never closes, or a cell without end: {error}") from error
