"""Pages without text are read by the engine that knows their script; where none does, the page says so."""

import os
import shutil
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from skillyard.documents import Parsed, ParsePool, parse_document, patience
from skillyard.documents.ocr import rapid, read_picture, tesseract
from skillyard.documents.ocr.layout import Line, in_reading_order
from skillyard.documents.process import MAX_DEADLINE_S, Job
from tests.documents.pictures import ENGLISH, GERMAN, encoded, page, scanned_pdf, words

INSTALLED = tesseract.languages(os.environ.get("PATH"))
needs_tesseract = pytest.mark.skipif("eng" not in INSTALLED, reason="tesseract with English is not installed")
needs_orientation = pytest.mark.skipif(not {"eng", "osd"} <= INSTALLED, reason="tesseract's orientation and script data are not installed")
DEJAVU = Path("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf")
RUSSIAN = ("Портовая контора открывается в девять часов.", "Посетителей просят оставлять лодки у восточного") * 3


@pytest.fixture
def without_tesseract(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.fixture
def without_rapidocr(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "rapidocr", None)
    rapid._engine.cache_clear()
    yield
    rapid._engine.cache_clear()


@needs_tesseract
def test_english_is_read_by_tesseract_in_lines_and_paragraphs():
    read = read_picture(page(*ENGLISH))
    assert read.text == "\n".join(ENGLISH)
    assert read.parser.startswith("tesseract ") and read.ocr_confidence is not None and 0.85 < read.ocr_confidence <= 1


@needs_tesseract
def test_small_letters_are_read_from_an_enlarged_picture():
    read = read_picture(page(*ENGLISH).resize((400, 250), Image.Resampling.LANCZOS))
    assert len(words(read.text) & words(" ".join(ENGLISH))) >= 0.9 * len(words(" ".join(ENGLISH)))


@needs_orientation
@pytest.mark.parametrize("turn", [90, 180, 270])
def test_a_page_that_lies_on_its_side_or_head_is_turned(turn: int):
    read = read_picture(page(*ENGLISH, *ENGLISH).rotate(turn, expand=True))
    assert words(read.text) == words(" ".join(ENGLISH))


@needs_tesseract
@pytest.mark.skipif("deu" in INSTALLED, reason="tesseract knows German here")
def test_a_language_that_tesseract_lacks_is_read_by_rapidocr():
    read = read_picture(page(*GERMAN))
    assert read.parser.startswith("rapidocr ")
    assert words(read.text) == words(" ".join(GERMAN))


def test_without_tesseract_a_page_is_read_by_rapidocr_even_upside_down(without_tesseract: None):
    read = read_picture(page(*ENGLISH[:2], size=(1400, 300)).rotate(180))
    assert read.parser.startswith("rapidocr ") and read.status is None
    assert words(read.text) == words(" ".join(ENGLISH[:2]))


@pytest.mark.usefixtures("without_tesseract", "without_rapidocr")
def test_without_an_engine_the_page_says_that_ocr_is_unavailable():
    result = parse_document(scanned_pdf(page(*ENGLISH)), "scan.pdf")
    assert isinstance(result, Parsed)
    assert [(page.status, page.text, page.ocr_confidence) for page in result.pages] == [("ocr_unavailable", "", None)]


@needs_orientation
@pytest.mark.skipif("rus" in INSTALLED, reason="tesseract knows Russian here")
@pytest.mark.skipif(not DEJAVU.exists(), reason="no font with Cyrillic letters here")
def test_a_script_that_no_engine_knows_is_not_read_as_nonsense():
    read = read_picture(page(*RUSSIAN, font=str(DEJAVU)))
    assert (read.status, read.text) == ("ocr_unavailable", "")


@needs_tesseract
def test_scanned_pages_of_a_pdf_are_read_in_a_worker():
    with ParsePool(n_workers=1) as pool:
        result = dict(pool.parse([("scan", "scan.pdf", scanned_pdf(page(*ENGLISH[:2]), page(*ENGLISH[2:])))]))["scan"]
    assert isinstance(result, Parsed)
    assert [words(page.text) for page in result.pages] == [words(" ".join(ENGLISH[:2])), words(" ".join(ENGLISH[2:]))]
    assert all(page.ocr_confidence for page in result.pages)


def fake_program(folder: Path, body: str) -> None:
    """Put a program called tesseract into a folder: it knows English and does this with a picture."""
    program = folder / "tesseract"
    listed = 'if [ "$1" = --list-langs ]; then printf "List:\\neng\\n"; exit; fi\n'
    version = 'if [ "$1" = --version ]; then echo tesseract 9.9; exit; fi\n'
    program.write_text(f"#!/bin/sh\n{listed}{version}{body}\n")
    program.chmod(0o755)


@pytest.fixture
def slow_tesseract(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A tesseract that takes a second for a picture."""
    fake_program(tmp_path, "cat > /dev/null; sleep 1; printf 'level\\tblock_num\\n'")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")


@pytest.mark.usefixtures("slow_tesseract")
def test_pages_to_be_read_by_ocr_move_the_deadline():
    pages = [Image.new("L", (8, 8), 255) for _ in range(4)]
    data = encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:])
    started = time.monotonic()
    with ParsePool(n_workers=1, deadline_s=1.5) as pool:
        result = dict(pool.parse([("scan", "scan.tiff", data)]))["scan"]
    assert time.monotonic() - started > 4
    assert isinstance(result, Parsed) and [page.status for page in result.pages] == ["no_text"] * 4


def test_a_document_can_ask_for_time_only_up_to_a_limit():
    job = Job("k", "a.pdf", "0", time.monotonic() - 100, 60.0, Path("spool"))
    job.extend(5)
    assert job.deadline_s == pytest.approx(105, abs=1)
    job.extend(1)
    assert job.deadline_s == pytest.approx(105, abs=1)
    job.extend(1e9)
    assert job.deadline_s == MAX_DEADLINE_S


def test_a_picture_at_which_tesseract_hangs_is_read_by_rapidocr(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    fake_program(tmp_path, f"exec {shutil.which('sleep')} 60")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(tesseract, "DEADLINE_S", 0.5)
    read = read_picture(page(*ENGLISH[:1], size=(1400, 200)))
    assert read.parser.startswith("rapidocr ") and words(read.text) == words(ENGLISH[0])


@pytest.mark.usefixtures("without_rapidocr")
def test_a_picture_at_which_the_only_engine_hangs_is_unreadable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    fake_program(tmp_path, f"exec {shutil.which('sleep')} 60")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(tesseract, "DEADLINE_S", 0.5)
    assert read_picture(Image.new("L", (8, 8), 255)).status == "unreadable"


def test_every_picture_asks_for_time(monkeypatch: pytest.MonkeyPatch):
    asked: list[float] = []
    monkeypatch.setattr(patience, "_listeners", [asked.append])
    read_picture(Image.new("L", (8, 8), 255))
    assert asked == [120.0]


@needs_tesseract
def test_a_document_that_has_had_its_time_keeps_the_pages_it_has(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(patience, "_began_at", [time.monotonic()])
    assert read_picture(page(*ENGLISH)).text
    monkeypatch.setattr(patience, "_began_at", [time.monotonic() - patience.MAX_S - 1])
    assert read_picture(page(*ENGLISH)).status == "ocr_unavailable"


def line(left: float, top: float, text: str) -> Line:
    return Line(left, top, left + 12 * len(text), top + 20, text)


def test_two_columns_are_read_one_after_the_other():
    left = [line(100, 100 + 30 * n, f"left column prose, the line number {n}") for n in range(6)]
    right = [line(700, 103 + 30 * n, f"right column prose, the line number {n}") for n in range(8)]
    text = in_reading_order([line(100, 20, "A title that stretches over the whole of the page, both of its columns"), *right, *left])
    assert text.splitlines()[0].startswith("A title")
    assert [row for row in text.splitlines() if row.startswith("left")] == [each.text for each in left]
    assert text.index("left column prose, the line number 5") < text.index("right column prose, the line number 0")


def test_the_rows_of_a_table_stay_rows():
    cells = [line(100 + 200 * column, 100 + 40 * row, f"r{row}c{column}") for column in range(3) for row in range(5)]
    assert [row.split() for row in in_reading_order(cells).split("\n") if row] == [
        [f"r{row}c{column}" for column in range(3)] for row in range(5)
    ]


def test_columns_that_run_downwards_are_read_from_the_right():
    columns = [Line(x, 20, x + 20, 300, text) for x, text in ((10, "三三三"), (40, "二二二"), (70, "一一一"))]
    assert in_reading_order(columns) == "一一一\n二二二\n三三三"


@given(st.lists(st.tuples(st.integers(0, 900), st.integers(0, 900), st.integers(1, 400), st.integers(1, 60)), max_size=30))
def test_every_line_is_in_the_text_once_wherever_it_stands(boxes: list[tuple[int, int, int, int]]):
    lines = [Line(x, y, x + wide, y + high, f"w{number}") for number, (x, y, wide, high) in enumerate(boxes)]
    assert sorted(in_reading_order(lines).split()) == sorted(line.text for line in lines)


@pytest.mark.usefixtures("without_rapidocr")
def test_a_tesseract_that_dies_makes_its_page_unreadable_not_empty(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    fake_program(tmp_path, "kill -9 $$")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert read_picture(Image.new("L", (8, 8), 255)).status == "unreadable"
