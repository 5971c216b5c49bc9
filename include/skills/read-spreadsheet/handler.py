"""A spreadsheet's sheets as typed rows below a header that a stated rule finds."""

import json
import math
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from skillyard.documents.columns import HEADER_ROWS, NAMES, Cells, Row, column_names, dtype_of, header_at, plain, typed
from skillyard.documents.decoding import clean
from skillyard.documents.result import Refused
from skillyard.documents.sheets import Sheet, read_sheets
from skillyard.skills import Source

MAX_SHEETS, MAX_ROWS, MAX_COLUMNS, MAX_CHARS, MAX_CELL_CHARS = 200, 10_000, 1_000, 4_000_000, 5_000
CELL_COST = 4
"""Characters that a cell costs beside its own."""


def handle(source: Source, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the sheets; what goes beyond the limits is counted and left out."""
    sheets: list[dict[str, Any]] = []
    left = MAX_CHARS
    found = read_sheets(source.data, source.name)
    for sheet in islice(found, MAX_SHEETS):
        table, n_chars = _table(sheet, str(parameters["header"]), left)
        sheets.append(table)
        left -= n_chars
    if not sheets:
        raise Refused("corrupt", "a workbook without a sheet")
    is_cut = next(found, None) is not None or any(sheet["is_cut"] for sheet in sheets)
    return {"sheets": sheets, "n_rows": sum(sheet["n_rows"] for sheet in sheets), "is_cut": is_cut}


def _table(sheet: Sheet, rule: str, max_chars: int) -> tuple[dict[str, Any], int]:
    """Return a sheet, and what it took of the characters that are left."""
    rows: list[Row] = []
    n_rows = n_chars = widest = 0
    for number, cells in _filled(sheet.rows):
        n_rows, widest = n_rows + 1, max(widest, len(cells))
        size = sum(CELL_COST + (len(cell) if isinstance(cell, str) else 0) for cell in cells[:MAX_COLUMNS])
        if len(rows) == n_rows - 1 < MAX_ROWS + HEADER_ROWS and n_chars + size <= max_chars:
            n_chars += size
            rows.append((number, cells[:MAX_COLUMNS]))
    width = max((len(cells) for _, cells in rows), default=0)
    at = None if rule == "none" or not rows else 0 if rule == "first" else header_at(rows)
    above, below = (rows[:at], rows[at + 1 :][:MAX_ROWS]) if at is not None else ([], rows[:MAX_ROWS])
    columns = [typed([row[n] if n < len(row) else None for _, row in below], sheet.is_typed) for n in range(width)]
    n_below = n_rows - len(above) - (at is not None)
    return {
        "name": clean(sheet.name),
        "is_hidden": sheet.is_hidden,
        "above": [" ".join(str(plain(cell)) for cell in cells if cell is not None) for _, cells in above],
        "header": column_names(rows[at][1], width) if at is not None else [],
        "header_row": rows[at][0] if at is not None else None,
        "dtypes": [dtype_of(column) for column in columns],
        "rows": [json.dumps([plain(cell) for cell in row], ensure_ascii=False) for row in zip(*columns, strict=True)],
        "n_rows": n_below,
        "is_cut": n_below > len(below) or widest > MAX_COLUMNS or sheet.is_cut,
    }, n_chars


def _filled(rows: Iterator[Cells]) -> Iterator[Row]:
    """Yield the rows in which anything stands, without the empty cells at their ends."""
    for number, row in enumerate(rows, 1):
        cells = [_value(cell) for cell in row]
        while cells and cells[-1] is None:
            cells.pop()
        if cells:
            yield number, cells


def _value(cell: Any) -> Any:
    if isinstance(cell, str):
        return clean(cell[:MAX_CELL_CHARS]) or None
    if isinstance(cell, float):
        return int(cell) if cell.is_integer() and abs(cell) < 2**53 else cell if math.isfinite(cell) else None
    return cell if type(cell) in NAMES else None
