"""What the columns of a table are: where their header stands, what they are called, and the type of their cells."""

import re
from datetime import date, datetime, time, timedelta
from itertools import pairwise
from typing import Any

HEADER_ROWS, SAMPLE_ROWS = 20, 200
YEARS = range(1900, 2101)
NAMES = {bool: "boolean", int: "integer", float: "number", datetime: "datetime", date: "date", time: "time", timedelta: "duration"}
WIDER = (({"integer", "number"}, "number"), ({"date", "datetime"}, "datetime"))
FORMS: tuple[tuple[re.Pattern[str], Any], ...] = (
    (re.compile(r"-?(?:0|[1-9][0-9]{0,14})"), int),
    (re.compile(r"-?(?:0|[1-9][0-9]{0,14})(?:\.[0-9]{1,15})?"), float),
    (re.compile(r"[0-9]{4}-[01][0-9]-[0-3][0-9]"), date.fromisoformat),
    (re.compile(r"[0-9]{4}-[01][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9](?::[0-5][0-9])?"), datetime.fromisoformat),
    (re.compile(r"true|false", re.I), lambda text: text.lower() == "true"),
)
"""What text may be. A number with a zero in front is no number but a code."""
Cells = list[Any]
Row = tuple[int, Cells]
"""Its number in the sheet, from 1, and its cells."""


def header_at(rows: list[Row]) -> int | None:
    """Return which row is the header: the first that is filled like most rows, when it is all words that do not come again below.

    The first column may be without a name; years or days in order may stand among the words.
    """
    sizes = [_n_filled(cells) for _, cells in rows[:SAMPLE_ROWS]]
    usual = max(sizes, key=lambda size: (sizes.count(size), size), default=0)
    for at, (_, cells) in enumerate(rows[:HEADER_ROWS]):
        if sizes[at] + (cells[0] is None) >= usual:
            return at if at + 1 < len(rows) and _is_header(cells) and not _comes_again(cells, rows[at + 1 :]) else None
    return None


def _n_filled(cells: Cells) -> int:
    return sum(cell is not None for cell in cells)


def _comes_again(cells: Cells, rows: list[Row]) -> bool:
    """Return whether a word stands a second time in its column."""
    words = [(n, cell) for n, cell in enumerate(cells) if isinstance(cell, str)]
    return any(n < len(row) and row[n] == word for _, row in rows for n, word in words)


def _is_header(cells: Cells) -> bool:
    """Return whether what is no word in a row are at least two years or days, one after the other, beside a word."""
    values = [typed([cell], is_typed=False)[0] for cell in cells if cell is not None]
    periods = [value for value in values if not isinstance(value, str)]
    if not periods:
        return True
    is_period = all(type(value) in (date, datetime) or (type(value) is int and value in YEARS) for value in periods)
    is_one_type = len({type(value) for value in periods}) == 1
    return is_period and is_one_type and 2 <= len(periods) < len(values) and all(a < b for a, b in pairwise(periods))


def column_names(cells: Cells, width: int) -> list[str]:
    """Return a name for each column: an empty one is called by its number, a second one of the same name too."""
    names: list[str] = []
    for n in range(width):
        cell = cells[n] if n < len(cells) else None
        name = f"column_{n + 1}" if cell is None else " ".join(str(plain(cell)).split())
        names.append(f"{name}_{n + 1}" if name in names else name)
    return names


def typed(column: Cells, is_typed: bool) -> Cells:
    """Return a column of texts as what all of them are; what has types already as it is."""
    texts = [cell for cell in column if isinstance(cell, str)]
    if is_typed or not texts or any(cell is not None and not isinstance(cell, str) for cell in column):
        return column
    for form, read in FORMS:
        if all(form.fullmatch(text) for text in texts):
            try:
                return [None if cell is None else read(cell) for cell in column]
            except ValueError:  # the 31st of February
                return column
    return column


def dtype_of(column: Cells) -> str:
    found = {NAMES.get(type(cell), "text") for cell in column if cell is not None}
    if len(found) <= 1:
        return found.pop() if found else "empty"
    return next((name for kinds, name in WIDER if found == kinds), "mixed")


def plain(cell: Any) -> Any:
    """Return a value as JSON has it."""
    if isinstance(cell, timedelta):
        minutes, seconds = divmod(int(cell.total_seconds()), 60)
        return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"
    return cell.isoformat() if isinstance(cell, date | time) else cell
