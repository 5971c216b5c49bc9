"""The pictures of an image file, one by one: upright, without previews, with a gap for what cannot be decoded."""

import io

import pytest
from PIL import Image, TiffImagePlugin

from skillyard.documents.kinds.image import pictures
from skillyard.documents.result import Refused
from tests.documents.pictures import encoded

ORIENTATION, NEW_SUBFILE_TYPE = 0x0112, 0x00FE


def tags(**values: int) -> TiffImagePlugin.ImageFileDirectory_v2:
    found = TiffImagePlugin.ImageFileDirectory_v2()
    for name, value in values.items():
        found[globals()[name]] = value
    return found


def tiff(*pages: tuple[tuple[int, int], dict[str, int]]) -> bytes:
    out = io.BytesIO()
    with TiffImagePlugin.AppendingTiffWriter(out) as writer:
        for size, values in pages:
            Image.linear_gradient("L").resize(size).save(writer, "TIFF", tiffinfo=tags(**values))
            writer.newFrame()
    return out.getvalue()


def test_every_page_comes_upright_and_a_preview_is_none() -> None:
    data = tiff(((40, 30), {}), ((8, 6), {"NEW_SUBFILE_TYPE": 1}), ((50, 30), {"ORIENTATION": 6}))
    assert [picture and picture.size for picture in pictures(data)] == [(40, 30), (30, 50)]


def test_a_page_that_cannot_be_decoded_is_a_gap_and_an_image_of_one_picture_ends_with_it() -> None:
    out = io.BytesIO()
    pages = [Image.effect_noise((200, 100), 80) for _ in range(2)]
    pages[0].save(out, "TIFF", save_all=True, append_images=pages[1:])
    assert [picture is None for picture in pictures(out.getvalue()[:-15_000])] == [False, True]
    png = encoded(pages[0], "PNG")
    assert [picture is None for picture in pictures(png)] == [False]
    assert [picture is None for picture in pictures(png[: len(png) // 2])] == [True]


def test_what_is_too_large_or_no_image_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("skillyard.documents.kinds.image.MAX_PIXELS", 100)
    with pytest.raises(Refused, match="too_large"):
        list(pictures(encoded(Image.new("L", (20, 20)), "PNG")))
    with pytest.raises(Refused, match="corrupt"):
        list(pictures(b"no image"))
