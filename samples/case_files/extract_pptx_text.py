"""Writes the decks of the cases of extract-pptx-text: ``python samples/case_files/extract_pptx_text.py``."""

import io
import sys
from pathlib import Path
from typing import Any

from pptx import Presentation
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.util import Cm

ROOT = Path(__file__).resolve().parents[2]
FILES = ROOT / "include" / "skills" / "extract-pptx-text" / "evals" / "files"
TITLE, TITLE_AND_TEXT, TITLE_ONLY, BLANK = 0, 1, 5, 6


def main() -> None:
    """Write every file."""
    FILES.mkdir(parents=True, exist_ok=True)
    for name, make in (("harbour-budget.pptx", budget), ("orientation-accueil.pptx", welcome), ("blank-slides.pptx", blank)):
        (FILES / name).write_bytes(saved(make()))
    (FILES / "broken-off.pptx").write_bytes((FILES / "harbour-budget.pptx").read_bytes()[:3000])


def budget() -> Any:
    """Return a deck with notes, a table with a merged cell, nested groups, a chart and a hidden slide."""
    deck = Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[TITLE_AND_TEXT])
    slide.shapes.title.text = "Harbour budget 2026"
    slide.placeholders[1].text = "Quay 4 is dredged in May\nNo new crane this year"
    slide.notes_slide.notes_text_frame.text = "Say first that the subsidy is not certain."
    slide = deck.slides.add_slide(deck.slide_layouts[TITLE_ONLY])
    slide.shapes.title.text = "Costs"
    table = slide.shapes.add_table(3, 2, Cm(2), Cm(4), Cm(10), Cm(4)).table
    table.cell(0, 0).merge(table.cell(0, 1))
    for row, column, text in ((0, 0, "Dredging"), (1, 0, "Contractor"), (1, 1, "310,000"), (2, 0, "Survey"), (2, 1, "24,500")):
        table.cell(row, column).text = text
    slide = deck.slides.add_slide(deck.slide_layouts[BLANK])
    group = slide.shapes.add_group_shape()
    box(group, "Before the storm")
    box(group.shapes.add_group_shape(), "After the storm")
    slide = deck.slides.add_slide(deck.slide_layouts[TITLE_ONLY])
    slide.shapes.title.text = "Reserve"
    slide._element.set("show", "0")
    numbers = CategoryChartData()
    numbers.categories = ["2024", "2025"]
    numbers.add_series("Ships", (412, 397.5))
    part = slide.shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, Cm(2), Cm(4), Cm(10), Cm(8), numbers).chart.part
    workbook = part._element.find("{http://schemas.openxmlformats.org/drawingml/2006/chart}externalData")
    part.drop_rel(workbook.rId)  # it holds the time of its making
    part._element.remove(workbook)
    return deck


def welcome() -> Any:
    """Return a French deck of one slide."""
    deck = Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[TITLE])
    slide.shapes.title.text = "Accueil des nouveaux bénévoles"
    slide.placeholders[1].text = "Rendez-vous samedi à 9 h devant l'écluse"
    return deck


def blank() -> Any:
    """Return two slides on which nothing stands, the first with an empty title."""
    deck = Presentation()
    deck.slides.add_slide(deck.slide_layouts[TITLE_ONLY])
    deck.slides.add_slide(deck.slide_layouts[BLANK])
    return deck


def box(group: Any, text: str) -> None:
    """Put a text box into a group."""
    group.shapes.add_textbox(Cm(1), Cm(1), Cm(5), Cm(1)).text_frame.text = text


def saved(deck: Any) -> bytes:
    """Return the deck's bytes, the same each time."""
    sys.path.insert(0, str(ROOT / "samples"))
    from rendering.word import SAVED_AT, repacked

    deck.core_properties.created = deck.core_properties.modified = SAVED_AT
    relations = deck.part.package._rels
    for key in [key for key, relation in relations.items() if relation.reltype.endswith("/thumbnail")]:
        relations.pop(key)  # a picture of the empty template
    out = io.BytesIO()
    deck.save(out)
    return repacked(out.getvalue())


if __name__ == "__main__":
    main()
