"""A picture becomes text: by tesseract where it has the language, else by rapidocr, and where neither can, the page says so.

tesseract with the first language costs 1.5 s a page and says by its confidence whether it knew the script: 0.81 to 0.96 on Latin pages,
below 0.57 on those of six other scripts. Only then is the picture turned and its script looked up, and rapidocr asked, which takes three
times as long. The engines' confidences are not compared with each other: rapidocr gives 0.9 to the full stops that it finds in Russian.
"""

import os
from typing import TYPE_CHECKING

from skillyard.documents import patience
from skillyard.documents.kinds.content import PageContent
from skillyard.documents.language import detect_language
from skillyard.documents.ocr import rapid, tesseract
from skillyard.documents.ocr.picture import prepared
from skillyard.documents.ocr.reading import Reading
from skillyard.documents.ocr.scripts import RAPID_LACKS, RAPID_SCRIPTS, SCRIPT_LANGUAGES, TESSERACT_NAMES

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["read_picture"]

SURE = 0.85
"""Of tesseract: below it a picture may be turned, poor, or in another language or script."""
FOREIGN = 0.65
"""Of tesseract: below it, the script that it detects is believed, and at once if it is as sure of it as ``SCRIPT_SURE``."""
SCRIPT_SURE = 2.0
SCRIPT_LIKELY = 1.0
"""Thai pages have 1.4 and more; noise is detected as Bengali with 0.4 to 0.6."""
RAPID_SURE = 0.8
"""Of rapidocr: pages that it can read have 0.94 and more, upside down 0.75."""
MIN_LETTER_SHARE = 0.5
MANY_LINES = 5
"""So many that rapidocr finds and cannot read are text in a script it lacks; fewer may be a photograph."""
PICTURE_S = 120.0
"""What a picture may take, whatever its document has left: the slowest path takes 12 s on a core of its own, 40 s on a busy machine."""
UNAVAILABLE = "ocr_unavailable"


def read_picture(picture: "Image", hint: str | None = None) -> PageContent:
    """Return the text of a picture of a page; ``hint`` is the ISO 639-1 language that it is likely to be in.

    ``ocr_unavailable`` when no engine is installed, or none that reads the picture's script, or when the document has had its time for OCR.
    """
    if not patience.ask_for(PICTURE_S):
        return PageContent("", "none", UNAVAILABLE)
    installed = tesseract.languages(os.environ.get("PATH"))
    ready = prepared(picture)
    try:
        reading = _by_tesseract_first(ready, hint, installed) if installed - {"osd"} else _by_rapidocr(ready)
    except tesseract.TesseractFailed:
        if not rapid.is_there():
            return PageContent("", "tesseract", "unreadable")
        patience.ask_for(PICTURE_S)
        reading = _by_rapidocr(ready)
    if reading is None:
        return PageContent("", "none", UNAVAILABLE)
    if not reading.is_text:
        return PageContent("", reading.parser)
    return PageContent(reading.text, reading.parser, ocr_confidence=round(min(reading.confidence, 1.0), 4))


def _by_tesseract_first(picture: "Image", hint: str | None, installed: frozenset[str]) -> Reading | None:
    """Return the reading of the engine that suits the picture; None when it is in a script that none of them has."""
    language = _first_language(hint, installed)
    if language is None and (reading := _sure_rapidocr(picture)):
        return reading
    language = language or _first_language("en", installed) or min(installed - {"osd"})
    reading = tesseract.read(picture, language)
    if reading.confidence >= SURE:
        return _in_its_language(picture, language, installed, reading)
    return _by_script(picture, language, installed, reading) if reading.text else reading


def _in_its_language(picture: "Image", language: str, installed: frozenset[str], reading: Reading) -> Reading:
    """Return the reading, or a better one if it turns out to be in another language than it was read in."""
    spoken = TESSERACT_NAMES.get(detect_language(reading.text) or "", language)
    if spoken == language:
        return reading
    return tesseract.read(picture, spoken) if spoken in installed else _sure_rapidocr(picture) or reading


def _by_script(picture: "Image", language: str, installed: frozenset[str], reading: Reading) -> Reading | None:
    """Return the best reading of a picture of which tesseract is not sure: turned, or in another script."""
    found = tesseract.orientation(picture) if "osd" in installed else None
    if found and found.turn:
        picture = picture.rotate(-found.turn, expand=True)
        reading = tesseract.read(picture, language)
        if reading.confidence >= SURE:
            return _in_its_language(picture, language, installed, reading)
    is_foreign = found is not None and found.script != "Latin" and reading.confidence < FOREIGN
    if found and is_foreign:
        if own := [name for name in SCRIPT_LANGUAGES.get(found.script, ()) if name in installed][:2]:
            return tesseract.read(picture, "+".join(own))
        if found.script not in RAPID_SCRIPTS and found.script_confidence >= SCRIPT_SURE:
            return None
        is_foreign = found.script_confidence >= SCRIPT_LIKELY
    return _sure_rapidocr(picture) or (None if is_foreign else reading)


def _first_language(hint: str | None, installed: frozenset[str]) -> str | None:
    """Return the language to begin with; None when the one hinted at is not installed."""
    name = TESSERACT_NAMES.get(hint or "en", "eng")
    return name if name in installed else None


def _sure_rapidocr(picture: "Image") -> Reading | None:
    """Return what rapidocr reads if it knows the script."""
    reading = rapid.read(picture) if rapid.is_there() else None
    return reading if reading and rapid_knew_script(reading) else None


def rapid_knew_script(reading: Reading) -> bool:
    """Return whether rapidocr is sure of what it read, and it is in no language whose letters it lacks."""
    is_sure = reading.confidence >= RAPID_SURE and reading.letter_share >= MIN_LETTER_SHARE
    return is_sure and detect_language(reading.text) not in RAPID_LACKS


def _by_rapidocr(picture: "Image") -> Reading | None:
    """Return what rapidocr reads where tesseract is not installed, turning the picture if that helps."""
    if not rapid.is_there():
        return None
    reading = rapid.read(picture)
    if not reading.is_text or rapid_knew_script(reading):
        return reading
    for turn in (90, 270) if reading.is_tall else (180,):
        turned = rapid.read(picture.rotate(turn, expand=True))
        if rapid_knew_script(turned):
            return turned
    return None if reading.n_lines >= MANY_LINES else reading
