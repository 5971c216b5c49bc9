"""Writes the made files of extract-pdf-tables' cases; the others there are copies from the inbox."""

import io
from pathlib import Path

from reportlab.lib.colors import grey
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import getSampleStyleSheet
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Paragraph, SimpleDocTemplate, Table

FILES = Path(__file__).parents[2] / "include" / "skills" / "extract-pdf-tables" / "evals" / "files"
BERTHS = [["Berth", "Boat", "Owner", "Paid until"]]
BERTHS += [[f"E{n:02d}", f"Boat {n}", f"Owner no. {n}" if n % 7 else "", f"{1 + n % 28:02d}.03.2026"] for n in range(1, 56)]


def main() -> None:
    """Write each file."""
    (FILES / "berths-ruled.pdf").write_bytes(berths())
    (FILES / "letter.pdf").write_bytes(letter())


def berths() -> bytes:
    """Return a table with rules around every cell that goes on over a page break without its header."""
    out = io.BytesIO()
    document = SimpleDocTemplate(out, pagesize=A4, invariant=1, pageCompression=0)
    document.build([Table(BERTHS, style=[("GRID", (0, 0), (-1, -1), 0.5, grey)])])
    return out.getvalue()


def letter() -> bytes:
    """Return a letter without a table, whose address and date stand beside each other."""
    out = io.BytesIO()
    canvas = Canvas(out, pagesize=A4, invariant=1, pageCompression=0)
    canvas.drawString(72, 760, "Northwick Harbour Office")
    canvas.drawString(400, 760, "2 March 2026")
    canvas.drawString(72, 744, "Pier Road 4")
    style = getSampleStyleSheet()["BodyText"]
    text = "The pontoon at berth E14 is closed until the end of the month, because two of its floats leak. We ask you to use E15. " * 4
    paragraph = Paragraph(text, style)
    _, height = paragraph.wrap(440, 400)
    paragraph.drawOn(canvas, 72, 700 - height)
    canvas.save()
    return out.getvalue()


if __name__ == "__main__":
    main()
