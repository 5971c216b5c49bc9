"""How commands speak: data to standard output, progress to standard error."""

import json
import sys
from collections.abc import Iterable
from dataclasses import asdict, is_dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any


def say(text: str) -> None:
    """Print a line of progress or advice."""
    print(text, file=sys.stderr, flush=True)


def print_value(value: Any, as_json: bool) -> None:
    """Print one value: JSON, or a line per field."""
    shown = asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
    if as_json:
        print(json.dumps(shown, default=_plain, ensure_ascii=False, indent=1))
        return
    width = max(map(len, shown))
    for name, field in shown.items():
        is_nested = isinstance(field, dict | list | tuple)
        text = json.dumps(field, default=_plain, ensure_ascii=False) if is_nested else _shown(field)
        print(f"{name:<{width}}  {text}")


def print_rows(rows: Iterable[dict[str, Any]], as_json: bool, widths: dict[str, int] | None = None) -> None:
    """Print rows: a JSON list, or a table cut to readable columns; numbers to the right, amounts of a column with the same places."""
    listed = list(rows)
    if as_json:
        print(json.dumps(listed, default=_plain, ensure_ascii=False, indent=1))
        return
    if not listed:
        print("no rows")
        return
    names = list(listed[0])
    columns = {n: _column([row[n] for row in listed], (widths or {}).get(n, 44)) for n in names}
    sides = {n: ">" if all(_is_number(row[n]) for row in listed) else "<" for n in names}
    wide = {n: max(map(len, (n, *columns[n]))) for n in names}
    for line in (names, *zip(*columns.values(), strict=True)):
        print("  ".join(f"{cell:{sides[n]}{wide[n]}}" for n, cell in zip(names, line, strict=True)).rstrip())


def _column(values: list[Any], width: int) -> list[str]:
    """Return the cells of a column; amounts have as many places as the longest of them needs, two at least."""
    amounts = [value for value in values if isinstance(value, Decimal)]
    places = max(2, *(-int(value.normalize().as_tuple().exponent) for value in amounts)) if amounts else 0
    return [f"{value:.{places}f}" if isinstance(value, Decimal) else _cell(value, width) for value in values]


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, int | float | Decimal) and not isinstance(value, bool))


def _cell(value: Any, width: int) -> str:
    plain = f"{value:.6g}" if isinstance(value, float) else _plain(value) if isinstance(value, Decimal | date) else value
    text = " ".join((plain if isinstance(plain, str) else json.dumps(plain, default=_plain, ensure_ascii=False)).split())
    return text if len(text) <= width else text[: width - 1] + "…"


def _shown(value: Any) -> str:
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def _plain(value: Any) -> Any:
    """Return what JSON has no type for as text: money to its last place, dates in ISO form."""
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, date | datetime):
        return value.isoformat()
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, bytes):
        return value.hex()
    raise TypeError(f"{type(value).__name__} has no JSON form")
