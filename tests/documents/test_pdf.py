"""PDF: reading order, tables, headings, what repeats, what is damaged or encrypted."""

import io
from collections.abc import Callable

import pytest
from reportlab.pdfgen.canvas import Canvas

from skillyard.documents.decoding import clean
from skillyard.documents.kinds.content import Content, ReadOptions
from skillyard.documents.kinds.pdf import read_pdf
from skillyard.documents.kinds.pdf.metadata import iso_date
from skillyard.documents.kinds.pdf.usable import is_unmapped, plain_lines
from skillyard.documents.result import Refused
from tests.documents import made

SENTENCE = "The harbour office keeps the books of every boat that was here"
ROWS = (("Item", "Colour", "Price"), ("Rope", "blue", "12.50"), ("Anchor", "black", "80.00"), ("Lamp", "red", "9.10"))


def drawn(*pages: Callable[[Canvas], None]) -> bytes:
    out = io.BytesIO()
    canvas = Canvas(out, pagesize=(595, 842), invariant=1)
    for draw in pages:
        canvas.setFont("Helvetica", 10)
        draw(canvas)
        canvas.showPage()
    canvas.save()
    return out.getvalue()


def read(data: bytes, *passwords: str) -> Content:
    return read_pdf(data, ReadOptions(passwords=passwords))


def body(canvas: Canvas, word: str, n_lines: int = 20) -> None:
    for number in range(n_lines):
        canvas.drawString(60, 740 - 14 * number, f"{SENTENCE} {word} {'abcdefghijklmnopqrstuvwxyz'[number % 26]}.")


def running(number: int) -> Callable[[Canvas], None]:
    def draw(canvas: Canvas) -> None:
        body(canvas, "year")
        canvas.drawString(60, 805, "Harbour rules of Northwick")
        canvas.drawString(280, 30, f"Page {number} of 4")

    return draw


def test_what_repeats_at_the_edges_of_pages_is_kept_apart_from_their_text():
    pages = read(drawn(*(running(number) for number in range(1, 5)))).pages
    assert [page.header for page in pages] == ["Harbour rules of Northwick"] * 4
    assert [page.footer for page in pages] == [f"Page {number} of 4" for number in range(1, 5)]
    assert all(page.text.startswith(SENTENCE) and page.text.endswith("year t.") for page in pages)


def test_bare_numbers_are_footers_only_when_they_count_the_pages():
    def numbered(*numbers: int) -> list[str | None]:
        def draw(number: int) -> Callable[[Canvas], None]:
            return lambda canvas: (body(canvas, "year"), canvas.drawString(290, 30, str(number)))

        return [page.footer for page in read(drawn(*map(draw, numbers))).pages]

    assert numbered(7, 8, 9, 10) == ["7", "8", "9", "10"]
    assert numbered(812, 40, 77, 312) == [None] * 4


def test_a_line_that_is_part_of_the_text_stays_however_often_it_repeats():
    pages = read(drawn(*(lambda canvas: body(canvas, "year", 50) for _ in range(4)))).pages
    assert all(page.header is None and page.footer is None and page.text.count(SENTENCE) == 50 for page in pages)


def table(canvas: Canvas) -> None:
    canvas.drawString(60, 760, f"{SENTENCE} before.")
    for number, row in enumerate(ROWS):
        for x, cell in zip((60, 220, 380), row, strict=True):
            canvas.drawString(x, 700 - 16 * number, cell)
    canvas.drawString(60, 560, f"{SENTENCE} after.")


def test_a_table_is_rows_of_cells_in_the_text_and_apart():
    page = read(drawn(table)).pages[0]
    assert page.tables == (ROWS,)
    assert page.text.splitlines() == [f"{SENTENCE} before.", *("\t".join(row) for row in ROWS), f"{SENTENCE} after."]


def test_columns_that_are_drawn_across_are_read_one_after_the_other():
    def columns(canvas: Canvas) -> None:
        for number in range(14):
            canvas.drawString(50, 740 - 14 * number, f"left line {number:02d} of the text that fills it")
            canvas.drawString(320, 740 - 14 * number, f"right line {number:02d} of the text that fills it")

    text = read(drawn(columns)).pages[0].text
    assert [line.split()[0] for line in text.splitlines()] == ["left"] * 14 + ["right"] * 14


def test_columns_that_are_drawn_one_after_the_other_are_left_alone():
    def columns(canvas: Canvas) -> None:
        for x, side in ((50, "left"), (320, "right")):
            for number in range(14):
                canvas.drawString(x, 740 - 14 * number, f"{side} line {number:02d} of the text that fills it")

    page = read(drawn(columns)).pages[0]
    assert [line.split()[0] for line in page.text.splitlines()] == ["left"] * 14 + ["right"] * 14
    assert page.tables == ()


def test_headings_are_found_by_size_and_weight_and_lie_where_they_say():
    def draw(canvas: Canvas) -> None:
        canvas.setFont("Helvetica", 22)
        canvas.drawString(60, 780, "Rules of the harbour")
        canvas.setFont("Helvetica", 10)
        body(canvas, "year", 12)
        canvas.setFont("Helvetica-Bold", 10)
        canvas.drawString(60, 530, "Opening hours")
        canvas.setFont("Helvetica", 10)
        for number in range(6):
            canvas.drawString(60, 515 - 14 * number, f"{SENTENCE} number {number}.")

    page = read(drawn(draw)).pages[0]
    assert [(heading.level, heading.text) for heading in page.headings] == [(1, "Rules of the harbour"), (2, "Opening hours")]
    assert clean(page.text) == page.text
    assert all(page.text[heading.offset :].startswith(heading.text + "\n") for heading in page.headings)


def test_junk_before_the_file_is_a_rescue_and_recorded():
    assert {(page.parser, page.rescue_level) for page in read(made.pdf(made.TEXT)).pages} == {("pypdfium2", 0)}
    assert {(page.parser, page.rescue_level) for page in read(b"HTTP/1.1 200 OK\r\n" * 100 + made.pdf(made.TEXT)).pages} == {
        ("pypdfium2", 1)
    }


def test_the_second_reader_reads_a_page_and_says_so():
    from skillyard.documents.kinds.pdf.rescue import SecondReader

    page = SecondReader(made.pdf(made.TEXT)).page(0)
    assert (page.text.strip(), page.parser, page.rescue_level) == (made.TEXT, "pypdf", 2)


def test_a_document_of_too_many_pages_is_refused():
    many = made.raw_pdf(b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Count 5001 /Kids [2 0 R] >>")
    with pytest.raises(Refused, match="5,001 pages, allowed are 5,000") as refused:
        read(many)
    assert refused.value.error_kind == "too_large"


def test_an_encrypted_document_opens_with_one_of_the_passwords():
    data = made.pdf(made.TEXT, password="secret")
    assert read(data, "wrong", "secret").pages[0].text == made.TEXT
    with pytest.raises(Refused, match="none of 1 passwords fits") as refused:
        read(data, "wrong")
    assert refused.value.error_kind == "password_required"


def test_a_document_that_only_its_owner_may_change_is_read():
    from pikepdf import Encryption, Pdf

    out = io.BytesIO()
    with Pdf.open(io.BytesIO(made.pdf(made.TEXT))) as document:
        document.save(out, encryption=Encryption(owner="secret", user=""))
    assert read(out.getvalue()).pages[0].text == made.TEXT


def test_a_document_tells_its_author_and_dates():
    from pikepdf import Pdf

    out = io.BytesIO()
    with Pdf.open(io.BytesIO(made.pdf(made.TEXT, title="Rules"))) as document:
        document.docinfo["/Author"] = "Ada"
        document.docinfo["/CreationDate"] = "D:20240229123456+01'30'"
        document.save(out)
    content = read(out.getvalue())
    assert (content.title, content.metadata["author"], content.metadata["created"]) == ("Rules", "Ada", "2024-02-29T12:34:56+01:30")


@pytest.mark.parametrize(
    ("stated", "date"),
    [("D:2024", "2024-01-01T00:00:00+00:00"), ("20240102030405Z", "2024-01-02T03:04:05+00:00"), ("D:20241350", None), ("yesterday", None)],
)
def test_a_date_is_in_iso_8601_or_left_out(stated: str, date: str | None):
    assert iso_date(stated) == date


def test_words_are_joined_over_line_ends_and_marks_to_their_letters():
    assert plain_lines("the compromised tra\x02\r\nbecular bone") == "the compromised trabecular bone"
    assert plain_lines("signed on behalf of Smith\x02\r\nJones") == "signed on behalf of Smith-Jones"
    assert plain_lines("\u0641\u064a\r\n\u064b") == "\u0641\u064a\u064b"


def test_letters_that_map_to_nothing_are_no_text():
    assert is_unmapped("\ufffd\ufffd\ufffd some text after that")
    assert is_unmapped("9HU\x03DQW\x11ZRUW\x03OLFK\x03I\x81U\x03GHQ")
    assert not is_unmapped("M\u00fcller & S\u00f6hne \u2014 caf\u00e9")
