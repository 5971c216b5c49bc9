"""Makes the pictures of the cases of read-barcodes again: ``python samples/case_files/read_barcodes.py``."""

import io
from pathlib import Path
from typing import Any

import numpy
import zxingcpp
from PIL import Image
from reportlab.lib.pagesizes import A4
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

FILES = Path(__file__).parents[2] / "include" / "skills" / "read-barcodes" / "evals" / "files"
GREY = 160


def code(content: str | bytes, format: str, scale: int = 3, **options: Any) -> Image.Image:
    """Return a code as a picture."""
    barcode = zxingcpp.create_barcode(content, zxingcpp.BarcodeFormat[format], **options)
    return Image.fromarray(numpy.array(barcode.to_image(scale=scale)))


def page(size: tuple[int, int], *codes: tuple[Image.Image, tuple[int, int]], paper: int = 255) -> Image.Image:
    """Return a sheet of paper with codes on it."""
    sheet = Image.new("L", size, paper)
    for picture, at in codes:
        sheet.paste(picture, at)
    return sheet


def label() -> Image.Image:
    return page(
        (640, 480), (code("4006381333931", "EAN13"), (40, 30)), (code("https://lamps.example/parts?no=4471&lot=7", "QRCode"), (420, 260))
    )


def turned() -> Image.Image:
    """A label that was put on askew, the other way up, and one in white on black."""
    slanted = code("LB-0042/2026", "Code128").rotate(173, expand=True, fillcolor=255)
    inverted = code("CRATE 18", "DataMatrix", 5).point(lambda value: 255 - value)
    return page((900, 600), (slanted, (60, 40)), (inverted, (620, 380)), paper=255)


def bytes_and_identifiers() -> Image.Image:
    trade_item = code("(01)09521234543213(17)261130(10)LOT7", "DataMatrix", 5, gs1=True)
    key = code(bytes(range(0, 256, 17)) + b"\xff\xfe\x00\x01", "Aztec", 5)
    return page((700, 300), (trade_item, (40, 40)), (key, (450, 40)))


def japanese() -> Image.Image:
    return page((300, 300), (code("請求書番号：AZ-1042\n青空印刷株式会社", "QRCode", 5), (20, 20)))


def stripes() -> Image.Image:
    """Bars that are no code."""
    sheet = page((500, 300), paper=GREY)
    for column in range(60, 440, 20):
        sheet.paste(0, (column, 60, column + 10, 240))
    return sheet


def damaged() -> Image.Image:
    """Two codes of which one is scratched over a third of its modules."""
    scratched = code("Berth fee receipt 4471, paid on arrival", "QRCode", 5, ec_level="L")
    scratched.paste(255, (20, 60, 150, 110))
    return page((560, 260), (scratched, (20, 20)), (code("RECEIPT4471", "Code39", 2), (200, 40)))


def pdf(*pages: tuple[Image.Image, ...], password: str | None = None) -> bytes:
    """Return a PDF with a line of text and its codes on each page."""
    out = io.BytesIO()
    canvas = Canvas(out, pagesize=A4, invariant=1, encrypt=StandardEncryption(password) if password else None)
    for number, codes in enumerate(pages, 1):
        canvas.drawString(72, 780, f"Delivery note 2026-310, sheet {number}")
        for place, picture in enumerate(codes):
            canvas.drawImage(ImageReader(picture), 72, 600 - 200 * place, picture.width / 4, picture.height / 4)
        canvas.showPage()
    canvas.save()
    return out.getvalue()


def main() -> None:
    """Write the files."""
    for make in (label, turned, bytes_and_identifiers, japanese, stripes, damaged):
        make().save(FILES / f"{make.__name__.replace('_', '-')}.png", optimize=True)
    sheets = [page((400, 300), (code(f"BATCH-{number}", "QRCode"), (60, 60))) for number in (1, 2)]
    sheets[0].save(FILES / "batch.tif", compression="tiff_lzw", save_all=True, append_images=[Image.new("L", (400, 300), 255), sheets[1]])
    note = ((code("DN-2026-310-1", "Code128"), code("12345670", "EAN8")), (), (code("DN-2026-310-3", "PDF417"),))
    (FILES / "delivery-note.pdf").write_bytes(pdf(*note))
    (FILES / "broken-off.png").write_bytes((FILES / "label.png").read_bytes()[:120])


if __name__ == "__main__":
    main()
