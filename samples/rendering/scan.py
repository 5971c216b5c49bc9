"""A source as an image: a fax-like scan in a PDF without a text layer, or a PNG."""

import io
import random
import time

import pypdfium2
from PIL import Image

from rendering.pdf import render_pdf
from rendering.source import Source

SCANNED_AT = time.strptime("2026-03-02 09:00", "%Y-%m-%d %H:%M")
SPECKS = 220


def render_scan(source: Source, seed: int) -> bytes:
    """Return a PDF of black-and-white page images, each a little askew and specked, and no text."""
    rng = random.Random(seed)
    pages = [_scanned(page, rng) for page in _rastered(source, dpi=150)]
    out = io.BytesIO()
    dates = {"creationDate": SCANNED_AT, "modDate": SCANNED_AT}
    pages[0].save(out, "PDF", resolution=150, save_all=True, append_images=pages[1:], producer="Sample Scanner 2", **dates)
    return out.getvalue()


def render_png(source: Source) -> bytes:
    """Return the first page as a PNG in sixteen greys."""
    page = _rastered(source, dpi=source.settings.get("dpi", 110))[0]
    out = io.BytesIO()
    page.quantize(16).save(out, "PNG", optimize=True)
    return out.getvalue()


def _rastered(source: Source, dpi: int) -> list[Image.Image]:
    with pypdfium2.PdfDocument(render_pdf(source)) as document:
        return [page.render(scale=dpi / 72).to_pil().convert("L") for page in document]


def _scanned(page: Image.Image, rng: random.Random) -> Image.Image:
    turned = page.rotate(rng.uniform(-1.2, 1.2), resample=Image.Resampling.BILINEAR, fillcolor=255)
    for _ in range(SPECKS):
        x, y = rng.randrange(turned.width - 2), rng.randrange(turned.height - 2)
        turned.paste(0, (x, y, x + rng.randint(1, 2), y + 1))
    return turned.point(lambda grey: 255 if grey > 140 else 0).convert("1", dither=Image.Dither.NONE)
