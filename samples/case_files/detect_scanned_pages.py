"""Writes the made file of detect-scanned-pages' cases; the others there are copies from the inbox."""

import io
from pathlib import Path

from PIL import Image
from reportlab.lib.pagesizes import A4
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

FILES = Path(__file__).parents[2] / "include" / "skills" / "detect-scanned-pages" / "evals" / "files"
WIDTH, HEIGHT = A4
INVISIBLE = 3


def main() -> None:
    """Write the file."""
    out = io.BytesIO()
    canvas = Canvas(out, pagesize=A4, invariant=1, pageCompression=0)
    grey = ImageReader(Image.linear_gradient("L").resize((16, 16)))
    for draw in (letter, scan, searchable, logo, strips_in_a_form, outlines):
        draw(canvas, grey)
        canvas.showPage()
    canvas.save()
    (FILES / "six-kinds-of-page.pdf").write_bytes(out.getvalue())


def letter(canvas: Canvas, grey: ImageReader) -> None:
    """Draw text with a small picture."""
    for line in range(12):
        canvas.drawString(72, 700 - 16 * line, f"{line + 1}. The lift in staircase B was inspected and found in order.")
    canvas.drawImage(grey, 450, 760, 60, 40)


def scan(canvas: Canvas, grey: ImageReader) -> None:
    """Draw a picture over the whole page, with a stamp of a few characters."""
    canvas.drawImage(grey, 0, 0, WIDTH, HEIGHT)
    canvas.drawString(500, 20, "LB-0002")


def searchable(canvas: Canvas, grey: ImageReader) -> None:
    """Draw a picture over the whole page, and what OCR read on it invisibly."""
    canvas.drawImage(grey, 0, 0, WIDTH, HEIGHT)
    text = canvas.beginText(72, 700)
    text.setTextRenderMode(INVISIBLE)
    text.textLine("Inspection report of the lift in staircase C, 2 March 2026")
    canvas.drawText(text)


def logo(canvas: Canvas, grey: ImageReader) -> None:
    """Draw nothing but a logo."""
    canvas.drawImage(grey, 72, 740, 80, 40)


def strips_in_a_form(canvas: Canvas, grey: ImageReader) -> None:
    """Draw the upper half of the page as strips in a form that is half as large as it is drawn."""
    canvas.beginForm("strips", upperx=WIDTH, uppery=HEIGHT)
    for number in range(8):
        canvas.drawImage(grey, 0, number * HEIGHT / 32, WIDTH / 2, HEIGHT / 32)
    canvas.endForm()
    canvas.translate(0, HEIGHT / 2)
    canvas.scale(2, 2)
    canvas.doForm("strips")


def outlines(canvas: Canvas, grey: ImageReader) -> None:
    """Draw letters as shapes."""
    for number in range(30):
        path = canvas.beginPath()
        x, y = 72 + 14 * number, 700
        path.moveTo(x, y)
        path.curveTo(x + 4, y + 14, x + 8, y + 14, x + 10, y)
        path.close()
        canvas.drawPath(path, fill=1)


if __name__ == "__main__":
    main()
