"""Tables of a PDF as rows, joined where they go on over a page break."""

from collections.abc import Iterator, Mapping
from typing import Any

from skillyard.documents.kinds.pdf.drawn import open_pdf
from skillyard.documents.kinds.pdf.paged_tables import Joined, join_tables, tables_by_page
from skillyard.skills import Source

MAX_TABLES, MAX_ROWS = 500, 5_000


def handle(source: Source, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tables and their rows."""
    document = open_pdf(source.data)
    try:
        n_pages, max_pages = len(document), max(parameters["max_pages"], 1)
        found = join_tables(tables_by_page(document, source.data, min(n_pages, max_pages)))
    finally:
        document.close()
    kept = found[:MAX_TABLES]
    rows = list(_rows(kept))
    return {
        "tables": [
            {
                "table": number,
                "page": table.rows[0][0],
                "last_page": table.rows[-1][0],
                "header": list(table.header) if table.header else None,
                "n_rows": len(table.rows) - bool(table.header),
                "n_columns": len(table.rows[0][1]),
                "divided_by": "rules" if table.is_ruled else "space",
            }
            for number, table in enumerate(kept, 1)
        ],
        "rows": rows[:MAX_ROWS],
        "n_tables": len(found),
        "n_pages": n_pages,
        "is_cut": n_pages > max_pages or len(found) > MAX_TABLES or len(rows) > MAX_ROWS,
    }


def _rows(tables: list[Joined]) -> Iterator[dict[str, Any]]:
    for number, table in enumerate(tables, 1):
        for page, cells in table.rows[bool(table.header) :]:
            yield {"table": number, "page": page, "cells": list(cells)}
