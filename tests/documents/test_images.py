"""PNG, JPEG and TIFF become pages, whole or not at all, and say no more of their maker than is good for him."""

import io
import zlib

import pytest
from PIL import Image, TiffImagePlugin

from skillyard.documents import Parsed, Rejected, parse_document
from skillyard.documents.kinds import image as reader
from skillyard.documents.ocr import tesseract
from tests.documents import made
from tests.documents.pictures import ENGLISH, encoded, page, words

needs_tesseract = pytest.mark.skipif(not tesseract.languages(None), reason="tesseract is not installed: rapidocr would take minutes here")
SOFTWARE, DESCRIPTION, DATE, ORIENTATION, GPS = 0x0131, 0x010E, 0x0132, 0x0112, 0x8825


def parsed(data: bytes, name: str = "a.png") -> Parsed:
    result = parse_document(data, name)
    assert isinstance(result, Parsed), result
    return result


def refused(data: bytes) -> tuple[str, str]:
    result = parse_document(data, "a.png")
    assert isinstance(result, Rejected), result
    return result.error_kind, result.error_message


@needs_tesseract
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
def test_a_picture_of_text_is_a_page_of_text(kind: str):
    result = parsed(encoded(page(*ENGLISH), kind))
    (only,) = result.pages
    assert (result.kind, result.language, only.status) == ("image", "en", "text")
    assert words(only.text) == words(" ".join(ENGLISH))
    assert only.parser.startswith("tesseract ") and only.ocr_confidence is not None and only.ocr_confidence > 0.85
    assert result.title == ENGLISH[0]


@needs_tesseract
def test_a_picture_without_text_is_a_page_without_text():
    drawing = Image.effect_mandelbrot((800, 600), (-2, -1.5, 1, 1.5), 60)
    for picture in (Image.effect_noise((800, 600), 80), drawing, Image.radial_gradient("L"), Image.new("L", (1600, 1000), 255)):
        (only,) = parsed(encoded(picture, "PNG")).pages
        assert (only.status, only.text, only.ocr_confidence) == ("no_text", "", None)


@needs_tesseract
def test_a_tiff_has_a_page_for_each_picture_but_none_for_a_preview_of_it():
    preview = TiffImagePlugin.ImageFileDirectory_v2()
    preview[0x00FE] = 1
    out = io.BytesIO()
    with TiffImagePlugin.AppendingTiffWriter(out) as writer:
        for picture, tags in ((page(*ENGLISH[:2]), None), (Image.new("L", (40, 30)), preview), (page(*ENGLISH[2:]), None)):
            picture.save(writer, "TIFF", **({"tiffinfo": tags} if tags else {}))
            writer.newFrame()
    pages = parsed(out.getvalue()).pages
    assert [page.page_no for page in pages] == [1, 2]
    assert words(pages[0].text) == words(" ".join(ENGLISH[:2])) and words(pages[1].text) == words(" ".join(ENGLISH[2:]))


@needs_tesseract
def test_a_camera_that_was_held_sideways_is_believed():
    exif = Image.Exif()
    exif[ORIENTATION] = 8
    sideways = page(*ENGLISH).transpose(Image.Transpose.ROTATE_270)
    assert words(parsed(encoded(sideways, "JPEG", exif=exif)).pages[0].text) == words(" ".join(ENGLISH))


@needs_tesseract
@pytest.mark.parametrize("mode", ["1", "P", "LA", "RGBA", "CMYK", "I;16", "F"])
def test_every_mode_is_read(mode: str):
    picture = page(*ENGLISH)
    if mode in ("LA", "RGBA"):  # black letters on nothing
        alpha = picture.point(lambda value: 255 - value)
        picture = Image.merge("LA", (Image.new("L", picture.size, 0), alpha)).convert(mode)
    elif mode in ("I;16", "F"):
        picture = picture.convert("F").point(lambda value: value * 200.0 + 0.0).convert("I" if mode == "I;16" else "F").convert(mode)
    else:
        picture = picture.convert(mode)
    data = encoded(picture, "TIFF")
    with Image.open(io.BytesIO(data)) as read_back:
        assert read_back.mode == mode
    assert words(parsed(data).pages[0].text) == words(" ".join(ENGLISH))


def test_a_picture_says_who_made_it_when_and_with_what_but_never_where():
    exif = Image.Exif()
    exif[SOFTWARE], exif[DESCRIPTION], exif[DATE] = "Scanner 3", "The pier", "2026:11:02 09:00:00"
    exif[GPS] = {1: "N", 2: (54.0, 30.0, 11.0), 3: "E", 4: (9.0, 3.0, 7.0)}
    result = parsed(encoded(Image.new("L", (40, 30), 255), "JPEG", exif=exif))
    said = {"creator": "Scanner 3", "description": "The pier", "created": "2026:11:02 09:00:00", "width": "40", "height": "30"}
    assert dict(result.metadata) == said


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
def test_a_truncated_picture_is_corrupt(kind: str):
    data = encoded(Image.effect_noise((400, 300), 50), kind)
    assert refused(data[: len(data) // 2])[0] == "corrupt"
    assert refused(data[:30])[0] == "corrupt"


def test_a_tiff_whose_second_page_is_lost_says_so():
    pages = [Image.new("L", (400, 300), 255), Image.effect_noise((400, 300), 50)]
    data = encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:])
    cut = parsed(data[: data.rfind(b"\x00\x01\x03\x00") - 20000])
    assert [page.status for page in cut.pages] == ["no_text", "unreadable"]


def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded():
    data = made.png().replace((1).to_bytes(4, "big") * 2, (60_000).to_bytes(4, "big") * 2, 1)
    header = data[12:29]
    kind, message = refused(data[:29] + zlib.crc32(header).to_bytes(4, "big") + data[33:])
    assert kind == "too_large" and "60,000 x 60,000 pixels" in message and "100,000,000" in message


def test_a_tiff_of_too_many_pages_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(reader, "MAX_PAGES", 3)
    pages = [Image.new("1", (8, 8), 1) for _ in range(4)]
    kind, message = refused(encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:]))
    assert kind == "too_large" and "more than 3 pages" in message
