"""Blocks of PDF pages: roles, places and order."""

import io

from PIL import Image
from reportlab.lib.pagesizes import A4
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

from skillyard.documents.kinds.pdf.blocks import Layout, read_layout
from skillyard.documents.kinds.pdf.drawn import open_pdf


def layout_of(*pages: list[tuple[float, float, float, str]], rotation: int = 0, picture: bool = False) -> Layout:
    """Return the layout of pages of (left, distance from the top, size, text)."""
    out = io.BytesIO()
    canvas = Canvas(out, pagesize=A4, invariant=1)
    for lines in pages:
        canvas.setPageRotation(rotation)
        if picture:
            canvas.drawImage(ImageReader(Image.new("L", (8, 8))), 100, 500, 200, 100)
        for left, top, size, text in lines:
            canvas.setFont("Helvetica", size)
            canvas.drawString(left, A4[1] - top, text)
        canvas.showPage()
    canvas.save()
    document = open_pdf(out.getvalue())
    layout = read_layout(document, out.getvalue(), len(pages))
    document.close()
    return layout


def text(top: float, n_lines: int = 4) -> list[tuple[float, float, float, str]]:
    return [(72, top + 14 * n, 10, f"The ferry waits for the last train, as line {n} of this page says.") for n in range(n_lines)]


def test_room_between_lines_divides_paragraphs_and_larger_type_is_a_heading() -> None:
    found = layout_of([(72, 80, 20, "Timetable"), *text(120), *text(200), (72, 300, 14, "Fares"), *text(330)]).blocks
    assert [(block.role, block.level) for block in found] == [
        ("title", None),
        ("paragraph", None),
        ("paragraph", None),
        ("heading", 2),
        ("paragraph", None),
    ]
    left, top, right, bottom = found[0].box
    assert (round(left), round(right) < 180, 60 < top < bottom < 90) == (72, True, True)


def test_items_of_a_list_keep_their_wrapped_lines() -> None:
    lines = [(72, 100, 10, "- bring the oars, the rope"), (82, 114, 10, "and the lamp"), (72, 128, 10, "- close the gate")]
    (found,) = layout_of(lines).blocks
    assert (found.role, found.text) == ("list", "- bring the oars, the rope and the lamp\n- close the gate")


def test_what_repeats_at_the_edge_is_a_footer_and_stands_last() -> None:
    pages = [[(72, 820, 8, f"Harbour office, page {n}"), *text(100, 6)] for n in (1, 2, 3)]
    assert [block.role for block in layout_of(*pages).blocks] == ["paragraph", "footer"] * 3


def test_a_figure_has_a_place_whatever_the_rotation() -> None:
    (upright,) = (block for block in layout_of(text(400), picture=True).blocks if block.role == "figure")
    assert upright.box == (100, round(A4[1] - 600, 1), 300, round(A4[1] - 500, 1))
    turned = layout_of(text(400), picture=True, rotation=90)
    (figure,) = (block for block in turned.blocks if block.role == "figure")
    assert turned.sizes == [(595.3, 841.9)] and figure.box == (500, 100, 600, 300)
