"""The small parts of a report page: exact numbers, tables, escaped names. No style stands in an attribute: the page's policy forbids it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal
from html import escape
from typing import Any, Literal, TypeAlias

Kind: TypeAlias = Literal["text", "long", "count", "money", "share"]
Cell: TypeAlias = str | int | Decimal | float | date | None
CENT = Decimal("0.01")
DIGITS = 3
"""Significant digits of a shown amount below a dollar."""
NONE = "–"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a sheet."""

    name: str
    """In the page's JSON."""
    title: str
    kind: Kind = "text"


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table of the page: what is shown as HTML and embedded as JSON are both made of it."""

    name: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON has it: amounts and days as text, so that nothing is rounded."""
        return {"columns": [column.name for column in self.columns], "rows": [[_json(cell) for cell in row] for row in self.rows]}

    def as_html(self, caption: str) -> str:
        """Return it as a table; amounts of a column have the same number of places, so that their digits stand in line."""
        places = [_places(cells) if c.kind == "money" else 0 for c, cells in zip(self.columns, self._by_column(), strict=True)]
        head = "".join(f"<th{_right(column)} scope=col>{escape(column.title)}</th>" for column in self.columns)
        body = "".join(
            f"<tr>{''.join(_td(column, cell, n) for column, cell, n in zip(self.columns, row, places, strict=True))}</tr>"
            for row in self.rows
        )
        table = f'<table data-sheet="{escape(self.name)}"><caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead>'
        return f'<div class="wide" tabindex=0>{table}<tbody>{body}</tbody></table></div>'

    def _by_column(self) -> list[list[Cell]]:
        return [[row[i] for row in self.rows] for i in range(len(self.columns))]


def short_usd(value: Decimal, signed: bool = False) -> str:
    """Return an amount as people read it: cents from a dollar up, three significant digits below."""
    size = abs(value)
    shown = size.quantize(CENT, ROUND_HALF_EVEN) if size >= 1 or not size else _significant(size)
    sign = "−" if value < 0 else "+" if signed and value > 0 else ""
    return f"{sign}${shown:,f}"


def usd(value: Decimal, signed: bool = False) -> str:
    """Return an amount rounded for reading, its exact value in its ``data`` element."""
    return f'<data value="{value:f}">{short_usd(value, signed)}</data>'


def percent(part: Decimal | float, whole: Decimal | float, signed: bool = False) -> str:
    """Return a share in percent, or a dash where there is no whole."""
    if not whole:
        return NONE
    share = float(part) / float(whole)
    if abs(share) >= 10:
        return f"{'−' if share < 0 else ''}{abs(share) + (1 if signed else 0):,.0f}×"
    text = f"{abs(share) * 100:.1f}" if abs(share) < 0.1 else f"{abs(share) * 100:.0f}"
    return f"{'−' if share < 0 else '+' if signed and share > 0 else ''}{text}%"


def count(value: int) -> str:
    """Return a whole number with its exact value."""
    return f'<data value="{value}">{value:,}</data>'


def share(value: float) -> str:
    """Return a share of 0 to 1 with its exact value."""
    return f'<data value="{value!r}">{value:.3f}</data>'


def name(text: str) -> str:
    """Return a name out of a table: escaped, and kept from turning the text around it."""
    return f"<bdi>{escape(text)}</bdi>"


def details(summary: str, *bodies: str) -> str:
    """Return a part that is folded away at first."""
    return f"<details><summary>{escape(summary)}</summary>{''.join(bodies)}</details>"


def section(anchor: str, title: str, lead: str, *bodies: str) -> str:
    """Return a part of the page; ``lead`` is HTML."""
    heading = f'<h2 id="{anchor}-title">{escape(title)}</h2>'
    return f'<section id="{anchor}" aria-labelledby="{anchor}-title">{heading}<p class="lead">{lead}</p>{"".join(bodies)}</section>'


def missing(text: str, command: str) -> str:
    """Return what stands in place of a chart whose table has no rows."""
    return f'<p class="missing">{escape(text)} Run <code>{escape(command)}</code>.</p>'


def legend(entries: Iterable[tuple[str, str]]) -> str:
    """Return the names of a chart's colours, given class and name."""
    return f'<ul class="legend">{"".join(f"<li><i class={css}></i>{name(text)}</li>" for css, text in entries)}</ul>'


def _td(column: Column, cell: Cell, places: int) -> str:
    if cell is None:
        return f"<td{_right(column)}>{NONE}</td>"
    if isinstance(cell, Decimal):
        return f"<td{_right(column)}>{_exact(cell, places)}</td>"
    if isinstance(cell, float):
        return f"<td{_right(column)}>{share(cell)}</td>"
    if isinstance(cell, int):
        return f"<td{_right(column)}>{count(cell)}</td>"
    css = ' class="long"' if column.kind == "long" else " class=day" if isinstance(cell, date) else ""
    return f"<td{css}>{name(str(cell))}</td>"


def _right(column: Column) -> str:
    return "" if column.kind in ("text", "long") else ' class="n"'


def _exact(value: Decimal, places: int) -> str:
    """Return an amount to its last digit; what follows the cents, and the first three digits that count, is set back."""
    text = f"{abs(value):,.{places}f}"
    cents = len(text) - places + max(2, DIGITS - 1 - value.adjusted() if value else 0)
    tail = f"<small>{text[cents:]}</small>" if text[cents:] else ""
    return f'<data value="{value:f}">{"−" if value < 0 else ""}{text[:cents]}{tail}</data>'


def _places(cells: Sequence[Cell]) -> int:
    """Return how many places show every amount of a column whole: two at least."""
    return max(2, *(-int(cell.normalize().as_tuple().exponent) for cell in cells if isinstance(cell, Decimal)), 0)


def _significant(size: Decimal) -> Decimal:
    return size.quantize(Decimal(1).scaleb(size.adjusted() - DIGITS + 1), ROUND_HALF_EVEN)


def _json(cell: Cell) -> Any:
    return f"{cell:f}" if isinstance(cell, Decimal) else cell.isoformat() if isinstance(cell, date) else cell
