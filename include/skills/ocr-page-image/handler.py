"""A page is read by rapidocr. Where that is sure, or the page is blank, this is the answer; all else is for a model to look at."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from skillyard.documents.decoding import clean
from skillyard.documents.kinds.image import first_picture
from skillyard.documents.ocr import rapid, rapid_knew_script
from skillyard.documents.ocr.layout import Line, in_reading_order, is_written_downwards, ordered
from skillyard.documents.ocr.picture import prepared
from skillyard.documents.ocr.reading import Reading
from skillyard.skills import Source

if TYPE_CHECKING:
    from PIL.Image import Image

SURE, LINE_SURE = 0.9, 0.7
"""Of the page, and of every line: clean print has 0.96 and more, a page upside down 0.75."""
MIN_LETTERS, MAX_LINES = 10, 2_000
INK, MAX_INK_SHARE = 12, 0.0002
"""A pixel this much lighter or darker (of 255) than the page is ink; a blank page has no more of it than this."""


def handle(source: Source, parameters: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the text with its lines; None where the engine is not there, not sure, or finds nothing on a page that is not blank."""
    if not rapid.is_there():
        return None
    picture = prepared(first_picture(source.data))
    scored, version = rapid.read_lines(picture)
    if not scored:
        return {"text": "", "lines": [], "mean_confidence": None} if _is_blank(picture) else None
    lines = [line for line, _ in scored]
    mean, is_tall = rapid.mean_confidence(scored), is_written_downwards(lines)
    reading = Reading(in_reading_order(lines), version, mean, len(lines), is_tall)
    is_sure = mean >= SURE and min(score for _, score in scored) >= LINE_SURE and rapid_knew_script(reading) and not is_tall
    if not is_sure or sum(map(str.isalnum, reading.text)) < MIN_LETTERS or len(lines) > MAX_LINES:
        return None
    return {
        "text": clean(reading.text),
        "lines": [_said(line, score, picture.size) for line, score in _in_order(scored)],
        "mean_confidence": round(min(mean, 1.0), 4),
    }


def _in_order(scored: list[tuple[Line, float]]) -> list[tuple[Line, float]]:
    scores = dict(scored)
    return [(line, scores[line]) for line in ordered(list(scores))]


def _said(line: Line, score: float, size: tuple[int, int]) -> dict[str, Any]:
    ends = zip((line.left, line.top, line.right, line.bottom), (*size, *size), strict=True)
    return {
        "text": clean(line.text),
        "box": [round(min(max(end / side, 0.0), 1.0), 4) for end, side in ends],
        "confidence": round(min(score, 1.0), 4),
    }


def _is_blank(picture: "Image") -> bool:
    """Return whether there is next to nothing on the page but its own, even colour."""
    import numpy

    pixels = numpy.asarray(picture).astype(numpy.int16)
    return float((abs(pixels - numpy.median(pixels)) > INK).mean()) <= MAX_INK_SHARE
