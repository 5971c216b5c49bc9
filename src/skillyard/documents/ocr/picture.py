"""A picture made ready for reading: grey on white, large enough, not too large."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

SMALL_SIDE = 1500
"""A page of fewer pixels has letters too small for tesseract: at twice the size it reads 480 words of a page instead of 421."""
MAX_SIDE = 4096


def prepared(picture: "Image") -> "Image":
    """Return the picture in grey, what is transparent as white, twice as large if it is small, no larger than ``MAX_SIDE``."""
    from PIL import Image

    if "A" in picture.getbands() or "transparency" in picture.info:
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture.convert("RGBA"))
    grey = _to_grey(picture)
    longer = max(grey.size)
    if longer < SMALL_SIDE:
        return grey.resize((grey.width * 2, grey.height * 2), Image.Resampling.LANCZOS)
    if longer > MAX_SIDE:
        grey.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.LANCZOS)
    return grey


def _to_grey(picture: "Image") -> "Image":
    """Return it in 8 bits; Pillow clips more than 8 to white instead of scaling them."""
    if not picture.mode.startswith(("I", "F")):
        return picture.convert("L")
    import numpy
    from PIL import Image

    values = numpy.array(picture, numpy.float32)
    values -= values.min()
    return Image.fromarray((values * (255 / max(float(values.max()), 1e-9))).astype(numpy.uint8))
