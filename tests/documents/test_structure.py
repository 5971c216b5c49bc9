"""Headings and tables are kept beside the text, whatever the kind; what a document says of itself is kept too."""

import io

import pytest

from skillyard.documents import Parsed, parse_document
from skillyard.documents.kinds.markdown import markdown_page
from tests.documents import made
from tests.documents.made import TEXT

MARKDOWN = f"""# Harbour **rules**

{TEXT}

```
# not a heading
| not | a table |
| --- | --- |
```

## Prices ##

| Item | Price |
|:-----|------:|
| Rope \\| line | 12.50 |
| Boat | |

| no rule | here |
"""


def parsed(data: bytes, name: str) -> Parsed:
    result = parse_document(data, name)
    assert isinstance(result, Parsed), result
    for page in result.pages:
        for heading in page.headings:
            assert page.n_chars > heading.offset >= 0 and (heading.offset == 0 or page.text[heading.offset - 1] == "\n")
            line = page.text[heading.offset :].split("\n")[0]
            assert heading.text.split()[0] in line
    return result


def test_markdown_has_headings_and_tables_but_not_those_in_code():
    page = markdown_page("\r\n" + MARKDOWN.replace("\n", "\r\n"), "x")
    assert [(heading.level, heading.text) for heading in page.headings] == [(1, "Harbour rules"), (2, "Prices")]
    assert [page.text[heading.offset :].split("\n")[0] for heading in page.headings] == ["# Harbour **rules**", "## Prices ##"]
    assert page.tables == ((("Item", "Price"), ("Rope | line", "12.50"), ("Boat", "")),)
    assert parsed(MARKDOWN.encode(), "a.md").pages[0].tables == page.tables


def test_a_docx_has_headings_tables_and_properties():
    from docx import Document

    document = Document()
    document.core_properties.title, document.core_properties.author = "Rules", "Ada Quill"
    document.core_properties.keywords = "boats, ropes"
    document.add_heading("Opening hours", 1)
    document.add_paragraph(TEXT)
    document.add_heading("Prices", 2)
    table = document.add_table(2, 2)
    for row, cells in enumerate((("Item", "Price"), ("Rope", "12.50"))):
        for column, cell in enumerate(cells):
            table.cell(row, column).text = cell
    out = io.BytesIO()
    document.save(out)
    result = parsed(out.getvalue(), "a.docx")
    assert [(heading.level, heading.text) for heading in result.pages[0].headings] == [(1, "Opening hours"), (2, "Prices")]
    assert result.pages[0].tables == ((("Item", "Price"), ("Rope", "12.50")),)
    assert result.title == "Rules"
    assert {"author": "Ada Quill", "keywords": "boats, ropes"}.items() <= dict(result.metadata).items()
    assert dict(result.metadata)["created"].endswith("Z")


def test_a_workbook_has_a_table_a_sheet_and_a_deck_a_heading_a_slide():
    workbook = parsed(made.xlsx(March="41.5", April="7"), "a.xlsx")
    assert [page.tables for page in workbook.pages] == [((("March", "Amount"), ("Rope", "41.5")),), ((("April", "Amount"), ("Rope", "7")),)]
    assert [page.headings[0].text for page in workbook.pages] == ["March", "April"]
    deck = parsed(made.pptx("Harbour plans", "Costs"), "a.pptx")
    assert [[heading.text for heading in page.headings] for page in deck.pages] == [["Harbour plans"], ["Costs"]]


def test_html_has_the_headings_of_its_main_text_and_its_tables_once():
    rows = "".join(f"<tr><td>Rope {n}</td><td>{n}.50</td></tr>" for n in range(3))
    body = f"<h1>Harbour rules</h1><p>{TEXT}</p><h2>Prices</h2><p>{TEXT}</p><table><tr><th>Item</th><th>Price</th></tr>{rows}</table>"
    result = parsed(made.html(body, "<title>Rules</title><meta name='author' content='Ada Quill'>"), "a.html")
    assert [(heading.level, heading.text) for heading in result.pages[0].headings] == [(1, "Harbour rules"), (2, "Prices")]
    assert result.pages[0].tables == ((("Item", "Price"), ("Rope 0", "0.50"), ("Rope 1", "1.50"), ("Rope 2", "2.50")),)
    assert dict(result.metadata)["author"] == "Ada Quill"


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_csv_has_its_rows_as_a_table(mark: str):
    text = f'Item{mark}Price\n"Rope{mark} thick"{mark}12.50\nBoat{mark}9\n'
    assert parsed(text.encode(), "a.csv").pages[0].tables == ((("Item", "Price"), (f"Rope{mark} thick", "12.50"), ("Boat", "9")),)
    assert parsed(b"just some words\nand some more\n", "a.csv").pages[0].tables == ()
