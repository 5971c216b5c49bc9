"""What a page of a PDF draws."""

import pytest

from skillyard.documents.kinds.pdf.drawn import Drawn, look_at, open_pdf
from skillyard.documents.result import Refused
from tests.documents import made


def test_images_over_each_other_count_once_and_what_hangs_over_the_edge_not_at_all() -> None:
    page = (0.0, 0.0, 100.0, 200.0)
    assert Drawn(page, ((0, 0, 50, 200), (0, 0, 50, 100)), 0, False).image_share == 0.5
    assert Drawn(page, ((-500, -500, 50, 900),), 0, False).image_share == 0.5
    assert Drawn(page, ((50, 50, 40, 40), (float("nan"), 0, float("inf"), 9)), 0, False).image_share == 0
    assert Drawn((0.0, 0.0, float("nan"), 1.0), (), 0, False).area == 1.0


def test_a_page_of_text_draws_no_image() -> None:
    import pypdfium2.raw as pdfium

    document = open_pdf(b"before it" + made.pdf("Tide table"))
    page = pdfium.FPDF_LoadPage(document.raw, 0)
    drawn = look_at(page)
    pdfium.FPDF_ClosePage(page)
    document.close()
    assert (drawn.images, drawn.n_paths, drawn.has_hidden_text) == ((), 0, False)
    assert drawn.area > 400_000


def test_what_cannot_be_opened_is_refused() -> None:
    with pytest.raises(Refused, match="password_required"):
        open_pdf(made.pdf("x", password="pier"))
    with pytest.raises(Refused, match="corrupt"):
        open_pdf(b"%PDF-1.4 and nothing else")
