"""PNG, JPEG and TIFF: each picture, or each page of a TIFF, is read by OCR."""

from collections.abc import Iterator
from io import BytesIO
from typing import TYPE_CHECKING

from skillyard.documents.kinds.content import Content, PageContent, ReadOptions
from skillyard.documents.ocr import read_picture
from skillyard.documents.ocr.picture import MAX_SIDE
from skillyard.documents.result import Refused

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_PIXELS = 100_000_000
"""A page of A3 at 600 dots per inch has 70 million."""
MAX_PAGES = 1_000
DECODER = "pillow"
"""The parser of a page that could not even be decoded."""
FORMATS = ("PNG", "JPEG", "TIFF")
PNG, PNG_END = b"\x89PNG", b"IEND"
REDUCED_IMAGE = 1
NEW_SUBFILE_TYPE, ORIENTATION, EXIF_FOLDER = 0x00FE, 0x0112, 0x8769
TURNS = {2: "FLIP_LEFT_RIGHT", 3: "ROTATE_180", 4: "FLIP_TOP_BOTTOM", 5: "TRANSPOSE", 6: "ROTATE_270", 7: "TRANSVERSE", 8: "ROTATE_90"}
"""EXIF's orientation → what makes it upright."""
EXIF = {0x010E: "description", 0x0131: "creator", 0x013B: "author", 0x8298: "copyright"}
EXIF_DATES = (0x9003, 0x9004, 0x0132)
"""When it was taken, digitised, changed: the first that is there. Where it was taken (GPS) is never read: it can be somebody's home."""
PNG_TEXTS = {"Title": "title", "Author": "author", "Description": "description", "Software": "creator", "Creation Time": "created"}


def read_image(data: bytes, options: ReadOptions) -> Content:
    """Return one page for each picture. ``Refused``: too_large or corrupt."""
    from PIL import Image

    if data.startswith(PNG) and PNG_END not in data:
        raise Refused("corrupt", "a truncated image: its end is missing")
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None  # ours holds, with our own message
    try:
        with _open(data) as image:
            metadata = _metadata(image)
            pages = tuple(_pages(image))
    finally:
        Image.MAX_IMAGE_PIXELS = limit
    if all(page.parser == DECODER for page in pages):
        raise Refused("corrupt", "a truncated or damaged image")
    return Content(pages, title=metadata.pop("title", None), metadata=metadata)


def first_picture(data: bytes) -> "Image":
    """Return the first picture of a file, decoded and upright. ``Refused``: too_large or corrupt."""
    from PIL import Image

    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        with _open(data) as image:
            if image.width * image.height > MAX_PIXELS:
                raise Refused("too_large", f"{image.width:,} x {image.height:,} pixels, allowed are {MAX_PIXELS:,}")
            return _upright(image).copy()
    except (Refused, MemoryError):
        raise
    except Exception as error:  # whatever a decoder says of damaged bytes
        raise Refused("corrupt", f"a damaged image: {error}") from error
    finally:
        Image.MAX_IMAGE_PIXELS = limit


def pictures(data: bytes) -> Iterator["Image | None"]:
    """Yield each page's picture, upright, good until the next one; None for one that cannot be decoded. ``Refused``: as above."""
    from PIL import Image

    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        with _open(data) as image:
            for number in range(MAX_PAGES):
                try:
                    image.seek(number)
                except EOFError:
                    return
                except Exception:  # as with pages that are read
                    yield None
                    return
                if not _is_preview(image):
                    yield _picture(image)
                if image.format != "TIFF":
                    return
    finally:
        Image.MAX_IMAGE_PIXELS = limit


def _picture(image: "Image") -> "Image | None":
    if image.width * image.height > MAX_PIXELS:
        raise Refused("too_large", f"{image.width:,} x {image.height:,} pixels, allowed are {MAX_PIXELS:,}")
    try:
        return _upright(image)
    except MemoryError:
        raise
    except Exception:  # whatever a decoder says of damaged bytes
        return None


def _open(data: bytes) -> "Image":
    from PIL import Image

    try:
        return Image.open(BytesIO(data), formats=FORMATS)
    except (OSError, ValueError, SyntaxError, TypeError) as error:
        raise Refused("corrupt", f"a damaged image: {error}") from error


def _pages(image: "Image") -> Iterator[PageContent]:
    """Yield a page for each picture; one that cannot be decoded is unreadable, and a chain of pages that breaks off ends with one."""
    hint = None
    for number in range(MAX_PAGES + 1):
        try:
            image.seek(number)
        except EOFError:
            return
        except Exception:
            yield PageContent("", DECODER, "unreadable")
            return
        if number == MAX_PAGES:
            raise Refused("too_large", f"more than {MAX_PAGES:,} pages")
        if not _is_preview(image):
            page = _read_page(image, hint)
            hint = hint or _language(page)
            yield page
        if image.format != "TIFF":
            return


def _read_page(image: "Image", hint: str | None) -> PageContent:
    picture = _picture(image)
    return read_picture(picture, hint) if picture else PageContent("", DECODER, "unreadable")


def _upright(image: "Image") -> "Image":
    """Return the picture decoded, the right way up, and no more than twice as large as OCR wants it, to keep its copies small."""
    from PIL.Image import Transpose

    image.draft("L", (MAX_SIDE, MAX_SIDE))
    image.load()
    turn = TURNS.get(image.getexif().get(ORIENTATION, 1))  # a TIFF is upright once it is loaded, and says so
    factor = max(image.size) // MAX_SIDE
    picture = image.reduce(factor) if factor > 1 and image.mode in ("L", "RGB", "RGBA", "CMYK") else image
    return picture.transpose(Transpose[turn]) if turn else picture


def _language(page: PageContent) -> str | None:
    """Return the language that the next page is likely to be in."""
    from skillyard.documents.language import detect_language

    return detect_language(page.text)


def _is_preview(image: "Image") -> bool:
    """Return whether this picture is a small copy of another one in the same TIFF."""
    kind = getattr(image, "tag_v2", {}).get(NEW_SUBFILE_TYPE, 0)
    return isinstance(kind, int) and bool(kind & REDUCED_IMAGE)


def _metadata(image: "Image") -> dict[str, str]:
    """Return what the picture says of itself and of who made it."""
    found = {"width": str(image.width), "height": str(image.height)}
    found |= {name: str(image.info[key]) for key, name in PNG_TEXTS.items() if image.info.get(key)}
    try:
        exif = image.getexif()
        taken = exif.get_ifd(EXIF_FOLDER)
    except Exception:  # damaged EXIF says nothing, and the picture may be whole
        return found
    found |= {name: str(exif[tag]).strip() for tag, name in EXIF.items() if exif.get(tag)}
    dates = [str(value) for tag in EXIF_DATES if (value := taken.get(tag) or exif.get(tag))]
    return found | ({"created": dates[0]} if dates else {})
