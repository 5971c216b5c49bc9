"""Tables of PDF pages, by where the text stands."""

from skillyard.documents.kinds.pdf.grids import Piece, Table, find_tables
from skillyard.documents.kinds.pdf.paged_tables import PageTables, join_tables

PRICES = (("Rope", "12 m", "3.40"), ("Paint, two coats", "5 l", "41.00"), ("Nails", "2 kg", "7.10"), ("Total", "", "51.50"))


def rows_of(cells: tuple[tuple[str, ...], ...], x: float = 50, top: float = 700, start: int = 0) -> list[tuple[Piece, ...]]:
    """Return a table set in columns of 100 points and lines of 12."""
    return [
        tuple(
            Piece(text, (x + 100 * column, top - 12 * line, x + 100 * column + 5 * len(text), top - 12 * line + 9), start + line)
            for column, text in enumerate(row)
            if text
        )
        for line, row in enumerate(cells)
    ]


def test_columns_of_white_space_are_a_table() -> None:
    (table,) = find_tables(rows_of(PRICES))
    assert table.rows == PRICES and table.header is None and table.box[0] == 50


def test_a_line_close_below_goes_on_in_its_cell() -> None:
    rows = rows_of((("Item", "Price"), ("Paint in", "41.00"), ("two coats", ""), ("Nails", "7.10")))
    (table,) = find_tables(rows)
    assert table.rows == (("Item", "Price"), ("Paint in two coats", "41.00"), ("Nails", "7.10"))
    assert table.header == ("Item", "Price")


def test_two_flows_beside_each_other_are_told_apart_by_the_order_of_drawing() -> None:
    left = rows_of(tuple((f"A line of text, number {n}",) for n in range(10)))
    right = rows_of(tuple((f"Part {n}", f"{n}.50") for n in range(10)), x=300, start=100)
    (table,) = find_tables([(*a, *b) for a, b in zip(left, right, strict=True)])
    assert table.rows[3] == ("Part 3", "3.50") and len(table.rows[0]) == 2


def test_a_table_is_joined_only_where_nothing_stands_between() -> None:
    first, second = (Table((("Item", "Price"), (name, "1.00")), (50, 60, 400, 500), True) for name in ("Rope", "Nails"))
    pages = [PageTables(1, (first,), False, True), PageTables(2, (second,), True, False)]
    (joined,) = join_tables(pages)
    assert joined.rows == ((1, ("Item", "Price")), (1, ("Rope", "1.00")), (2, ("Nails", "1.00")))
    assert len(join_tables([pages[0], pages[1]._replace(is_first_on_top=False)])) == 2
    assert len(join_tables([pages[0], pages[1]._replace(page=3)])) == 2
    assert len(join_tables([pages[0], pages[1]._replace(tables=(second._replace(box=(90, 60, 400, 500)),))])) == 2
