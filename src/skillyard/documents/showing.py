"""One process of a pool that turns files into pictures for a model to look at: pages of a PDF, or an image, none larger than it can use."""

import json
from base64 import b64encode
from collections.abc import Callable, Iterator
from io import BytesIO
from multiprocessing.connection import Connection
from typing import Any

from skillyard.documents.process import Work
from skillyard.documents.result import Refused, Rejected, Spool, reject
from skillyard.documents.serving import Answer, serve

LONGEST_SIDE = 1_568
"""In pixels: larger pictures are made smaller by providers, and are charged for. Source: https://docs.claude.com/en/docs/build-with-claude/vision"""
MAX_PIXELS = 80_000_000
"""Of an image as it is: what unpacks to more is no picture of a page."""
Pictures = list[str]
"""JPEG or PNG as data URLs, in the order of the pages."""


def showing(max_pages: int) -> Work[Pictures]:
    """Return the work of showing the first pages of a file."""
    return Work("skillyard.documents.showing", _decode, (str(max_pages),))


def show(data: bytes, max_pages: int) -> Pictures:
    """Return the first pages of a PDF, or an image's frames, as pictures; ``Refused`` when the bytes are neither."""
    pages = _pdf_pages(data, max_pages) if data.lstrip()[:5] == b"%PDF-" else _frames(data, max_pages)
    return [_data_url(page) for page in pages]


def begin(connection: Connection, told: tuple[str, ...]) -> Answer:
    """Return what answers a file with its pictures, or with why there are none."""
    max_pages = int(told[0])

    def answer(job: dict[str, Any], data: bytes) -> None:
        try:
            said: list[Any] = ["shown", *show(data, max_pages)]
        except Refused as error:
            said = ["refused", job["doc_id"], error.error_kind, error.found]
        except MemoryError:
            said = ["refused", job["doc_id"], "out_of_memory", "an allocation failed"]
        connection.send_bytes(json.dumps(said).encode())

    return answer


def _decode(message: bytes, _: Callable[[], Spool]) -> Pictures | Rejected:
    what, *rest = map(str, json.loads(message))
    if what == "shown":
        return rest
    doc_id, error_kind, found = rest
    return reject(doc_id, "file", "application/octet-stream", error_kind, found)


def _pdf_pages(data: bytes, max_pages: int) -> Iterator[Any]:
    """Yield the first pages, drawn."""
    from skillyard.documents.kinds.pdf.drawn import open_pdf

    document = open_pdf(data)
    try:
        for number in range(min(len(document), max_pages)):
            page = document[number]
            yield page.render(scale=LONGEST_SIDE / max(*page.get_size(), 1)).to_pil()
            page.close()
    finally:
        document.close()


def _frames(data: bytes, max_pages: int) -> Iterator[Any]:
    """Yield the first frames, upright and no larger than a model can use."""
    from PIL import Image, ImageOps, ImageSequence

    try:
        with Image.open(BytesIO(data)) as image:
            if image.width * image.height > MAX_PIXELS:
                raise Refused("too_large", f"{image.width} x {image.height} pixels, allowed are {MAX_PIXELS:,} in all")
            for number, frame in enumerate(ImageSequence.Iterator(image)):
                if number == max_pages:
                    return
                upright = ImageOps.exif_transpose(frame)
                upright.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
                yield upright
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise Refused("corrupt", f"no image that can be read: {error}") from error


def _data_url(picture: Any) -> str:
    """Return a picture as what is smaller: PNG for what is drawn, JPEG for what was photographed."""
    flat = picture.convert("RGB")
    found = []
    for kind, options in (("png", {"optimize": True}), ("jpeg", {"quality": 85})):
        out = BytesIO()
        flat.save(out, kind, **options)
        found.append((len(out.getvalue()), kind, out.getvalue()))
    _, kind, data = min(found)
    return f"data:image/{kind};base64,{b64encode(data).decode()}"


if __name__ == "__main__":
    serve(begin)
