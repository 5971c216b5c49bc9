"""Pictures of text, drawn on the spot."""

import io
from pathlib import Path
from typing import Any

import reportlab
from PIL import Image, ImageDraw, ImageFont

LATIN_FONT = Path(reportlab.__file__).parent / "fonts" / "Vera.ttf"
GERMAN = (
    "Das Hafenamt von Nordwick öffnet um neun Uhr.",
    "Besucher werden gebeten, ihre Boote am östlichen",
    "Anleger zu lassen und die Gebühr von fünf Münzen",
    "in die Büchse zu werfen, bevor sie weitergehen.",
)
ENGLISH = (
    "The harbour office of Northwick opens at nine.",
    "Visitors are kindly asked to leave their boats",
    "at the eastern pier and to put the fee of five",
    "coins into the box before they go any further.",
)


def page(*lines: str, size: tuple[int, int] = (1600, 1000), font: str | None = None, mode: str = "L") -> Image.Image:
    """Return a white page with these lines in letters of 48 pixels, by the font of this file or one that reportlab brings."""
    picture = Image.new(mode, size, "white")
    draw = ImageDraw.Draw(picture)
    letters = ImageFont.truetype(font or str(LATIN_FONT), 48)
    for number, line in enumerate(lines):
        draw.text((100, 100 + 66 * number), line, fill="black", font=letters)
    return picture


def encoded(picture: Image.Image, kind: str, **options: Any) -> bytes:
    """Return a picture as the bytes of a file of this kind."""
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def scanned_pdf(*pages: Image.Image) -> bytes:
    """Return a PDF of pictures without a letter of text."""
    from reportlab.lib.utils import ImageReader
    from reportlab.pdfgen.canvas import Canvas

    out = io.BytesIO()
    canvas = Canvas(out, pagesize=(612, 396), invariant=1)
    for picture in pages:
        canvas.drawImage(ImageReader(picture), 0, 0, 612, 396)
        canvas.showPage()
    canvas.save()
    return out.getvalue()


def words(text: str) -> set[str]:
    """Return the words of a text without what stands around them."""
    return {word.strip(".,") for word in text.split()}
