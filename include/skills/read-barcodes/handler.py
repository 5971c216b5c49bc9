"""Barcodes on the pages of a PDF or the pictures of an image, by zxing-cpp."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from skillyard.documents.decoding import UNWANTED
from skillyard.documents.kinds.image import pictures
from skillyard.documents.kinds.pdf.drawn import open_pdf
from skillyard.documents.ocr.picture import MAX_SIDE, prepared
from skillyard.documents.result import Refused
from skillyard.documents.sniff import sniff
from skillyard.skills import Source

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_PAGES, MAX_CODES, MAX_PAGE_CODES = 100, 1_000, 255
"""The last is zxing's own: it looks for no more in one picture."""
DOTS_PER_POINT = 300 / 72
CONTENTS = {"Text": "text", "GS1": "gs1"}
"""What zxing says of a value; all else is hex."""
UNMEANT = ("DXFilmEdge", "OtherBarcode")
"""What stands on the edge of a film, and what has no name."""


def handle(source: Source, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the codes of every page."""
    kind = sniff(source.data, source.name).kind
    if kind not in ("pdf", "image"):
        raise Refused("unsupported_type", f"the content is {kind}, neither an image nor a PDF")
    formats = _formats(parameters["look_for"])
    codes: list[dict[str, Any]] = []
    unread, n_pages, is_cut = [], 0, False
    for number, picture in enumerate(_drawn(source.data) if kind == "pdf" else pictures(source.data), 1):
        if number > MAX_PAGES or len(codes) >= MAX_CODES:
            is_cut = True
            break
        n_pages = number
        if picture is None:
            unread.append(number)
            continue
        found = _codes(prepared(picture), formats)
        is_cut = is_cut or len(found) >= MAX_PAGE_CODES
        codes += ({"page": number, **code} for code in found)
    if len(unread) == n_pages:
        raise Refused("corrupt", "no page can be drawn or decoded")
    return {"codes": codes[:MAX_CODES], "n_pages": n_pages, "unread_pages": unread, "is_cut": is_cut or len(codes) > MAX_CODES}


def _formats(look_for: str) -> Any:
    import zxingcpp

    group = {"all": zxingcpp.AllReadable, "matrix": zxingcpp.AllMatrix, "linear": zxingcpp.AllLinear}[look_for]
    found = [one for one in zxingcpp.barcode_formats_list(zxingcpp.BarcodeFormats(group)) if one.name not in UNMEANT]
    return zxingcpp.BarcodeFormats(found)


def _codes(picture: "Image", formats: Any) -> list[dict[str, Any]]:
    """Return what zxing reads on a picture, from top to bottom."""
    import zxingcpp

    found = []
    for code in zxingcpp.read_barcodes(picture, formats=formats):
        content = CONTENTS.get(code.content_type.name, "hex")
        if content == "hex" or UNWANTED.search(code.text):
            content, value = "hex", code.bytes.hex()
        else:
            value = code.text
        found.append({"format": code.format.name, "content": content, "value": value, "box": _box(code.position, picture.size)})
    return sorted(found, key=lambda code: (code["box"][1], code["box"][0], code["format"], code["value"]))


def _box(position: Any, size: tuple[int, int]) -> list[float]:
    corners = (position.top_left, position.top_right, position.bottom_right, position.bottom_left)
    xs, ys = [corner.x for corner in corners], [corner.y for corner in corners]
    ends = zip((min(xs), min(ys), max(xs), max(ys)), (*size, *size), strict=True)
    return [round(min(max(end / side, 0.0), 1.0), 4) for end, side in ends]


def _drawn(data: bytes) -> Iterator["Image | None"]:
    """Yield a PDF's pages drawn in grey; None for one that cannot be."""
    import pypdfium2

    document = open_pdf(data)
    try:
        for index in range(len(document)):
            try:
                page = document[index]
                scale = min(DOTS_PER_POINT, MAX_SIDE / max(*page.get_size(), 1))
                yield page.render(scale=scale, grayscale=True).to_pil()
                page.close()
            except (pypdfium2.PdfiumError, ValueError):
                yield None
    finally:
        document.close()
