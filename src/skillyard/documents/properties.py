"""What a file says of itself without being read: title, people, dates, number of pages, whether it is locked.

Names are those of the readers' metadata; ``created`` and ``modified`` are ISO 8601, as the file states them.
"""

import re
import struct
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from email.utils import parsedate_to_datetime
from io import BytesIO
from typing import Any
from xml.etree.ElementTree import ParseError, fromstring
from zipfile import ZipFile

from skillyard.documents.archive import check_archive
from skillyard.documents.decoding import decode
from skillyard.documents.kinds import READERS, ReadOptions
from skillyard.documents.kinds.image import EXIF, EXIF_FOLDER, FORMATS, MAX_PAGES, PNG_TEXTS
from skillyard.documents.kinds.office import stated_properties
from skillyard.documents.kinds.pdf.metadata import DATES, FIELDS, iso_date
from skillyard.documents.result import Refused
from skillyard.documents.sniff import is_encrypted_office

Properties = dict[str, Any]
LOCKED: Properties = {"is_encrypted": True, "needs_password": True}
PARTS = {"pptx": re.compile(r"ppt/slides/[^/]+\.xml"), "xlsx": re.compile(r"xl/(?:work|chart|dialog)sheets/[^/]+\.xml")}
MACROS = re.compile(r"(?:word|xl|ppt)/vbaProject\.bin", re.I)
TAKEN, DIGITISED, CHANGED = 0x9003, 0x9004, 0x0132
OFFSETS = {TAKEN: 0x9011, DIGITISED: 0x9012, CHANGED: 0x9010}
EXIF_DATE = re.compile(r"(\d{4}):(\d\d):(\d\d) (\d\d:\d\d:\d\d)")
GPS_FOLDER = 0x8825


OLD_OFFICE = {
    "title": "title",
    "subject": "subject",
    "author": "author",
    "keywords": "keywords",
    "last_saved_by": "modified_by",
    "creating_application": "producer",
    "company": "company",
}
OLD_DATES = {"create_time": "created", "last_saved_time": "modified"}


def read_properties(data: bytes, kind: str, *, has_place: bool = False) -> Properties:
    """Return what a document of this kind says of itself; ``Refused`` (corrupt) when it cannot be opened.

    Where a picture was taken is read only with ``has_place``: it can be somebody's home.
    """
    if kind == "pdf":
        return _of_pdf(data)
    if kind in ("docx", "xlsx", "pptx"):
        return _of_office(data, kind)
    if kind == "image":
        return _of_image(data, has_place=has_place)
    content = READERS[kind](data, ReadOptions(has_ocr=False))
    found: Properties = {"title": content.title, **content.metadata}
    if kind in ("eml", "msg"):
        found["created"] = _mail_date(found.get("created", ""))
    return found


def _of_pdf(data: bytes) -> Properties:
    import pypdfium2

    try:
        document = pypdfium2.PdfDocument(data[max(data.find(b"%PDF-"), 0) :])
    except pypdfium2.PdfiumError as error:
        if error.err_code == pypdfium2.raw.FPDF_ERR_PASSWORD:
            return LOCKED
        return _of_damaged_pdf(data, str(error))
    try:
        info = {key: document.get_metadata_value(key) for key in ("Title", *FIELDS, *DATES)}
        is_encrypted = pypdfium2.raw.FPDF_GetSecurityHandlerRevision(document.raw) >= 0
        return {**_of_info(info), "n_pages": len(document), "is_encrypted": is_encrypted}
    finally:
        document.close()


def _of_damaged_pdf(data: bytes, found: str) -> Properties:
    """Return what the second reader finds in a file that pdfium cannot open."""
    import logging

    from pypdf import PdfReader

    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    try:
        reader = PdfReader(BytesIO(data), strict=False)
        if reader.is_encrypted:
            return LOCKED
        stated: Any = reader.metadata or {}
        return {**_of_info({key: str(stated.get(f"/{key}") or "") for key in ("Title", *FIELDS, *DATES)}), "n_pages": len(reader.pages)}
    except (MemoryError, ImportError):
        raise
    except Exception as error:  # whatever a damaged file makes of it
        raise Refused("corrupt", f"a damaged PDF: {found}") from error


def _of_info(info: dict[str, str]) -> Properties:
    words = {name: info[key] for key, name in FIELDS.items()}
    return {"title": info["Title"], **words, **{name: iso_date(info[key]) for key, name in DATES.items()}}


def _of_office(data: bytes, kind: str) -> Properties:
    check_archive(data)
    found: Properties = dict(stated_properties(data))
    with ZipFile(BytesIO(data)) as archive:
        names = archive.namelist()
        if kind == "docx":
            with suppress(KeyError, ParseError, ValueError):
                pages = fromstring(archive.read("docProps/app.xml")).find("{*}Pages")
                found["n_pages"] = int(pages.text or "") if pages is not None else None
        else:
            found["n_pages"] = sum(bool(PARTS[kind].fullmatch(name)) for name in names)
    return {**found, "has_macros": any(MACROS.fullmatch(name) for name in names)}


def read_old_properties(data: bytes) -> Properties:
    """Return what an Office document of before 2007 says of itself, or that a later one is locked as a whole."""
    from olefile import OleFileIO  # type: ignore[import-untyped]

    if is_encrypted_office(data):
        return LOCKED
    try:
        with OleFileIO(BytesIO(data)) as file:
            stated = file.get_metadata()
    except (OSError, ValueError, TypeError, IndexError, struct.error) as error:
        raise Refused("corrupt", f"a damaged Office document of before 2007: {error}") from error
    found: Properties = {word: _old_text(getattr(stated, name)) for name, word in OLD_OFFICE.items()}
    found |= {word: date.isoformat() + "+00:00" for name, word in OLD_DATES.items() if isinstance(date := getattr(stated, name), datetime)}
    return {**found, "n_pages": stated.num_pages or stated.slides or None}


def _old_text(stated: Any) -> str:
    return (decode(stated) or "").strip("\0") if isinstance(stated, bytes) else ""


def _of_image(data: bytes, *, has_place: bool) -> Properties:
    from PIL import Image

    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None  # nothing is decoded
    try:
        with Image.open(BytesIO(data), formats=FORMATS) as image:
            found: Properties = {"width": image.width, "height": image.height}
            found |= {name: str(image.info[key]) for key, name in PNG_TEXTS.items() if image.info.get(key)}
            with suppress(Exception):  # damaged EXIF says nothing, and the picture may be whole
                found |= _of_exif(image.getexif(), has_place=has_place)
            return {**found, "n_pages": sum(1 for _ in _frames(image))}
    except (OSError, ValueError, SyntaxError, TypeError) as error:
        raise Refused("corrupt", f"a damaged image: {error}") from error
    finally:
        Image.MAX_IMAGE_PIXELS = limit


def _frames(image: Any) -> Iterator[int]:
    for number in range(MAX_PAGES if image.format == "TIFF" else 1):
        try:
            image.seek(number)
        except Exception:  # the chain of pages ends, or breaks off
            return
        yield number


def _of_exif(exif: Any, *, has_place: bool) -> Properties:
    taken = {**exif, **exif.get_ifd(EXIF_FOLDER)}
    found: Properties = {name: str(exif[tag]).strip() for tag, name in EXIF.items() if exif.get(tag)}
    for name, tags in {"created": (TAKEN, DIGITISED), "modified": (CHANGED,)}.items():
        found[name] = next((date for tag in tags if (date := _exif_date(str(taken.get(tag, "")), str(taken.get(OFFSETS[tag], ""))))), None)
    place = exif.get_ifd(GPS_FOLDER) if has_place else {}
    with suppress(KeyError, TypeError, ValueError, ZeroDivisionError):
        latitude, longitude = _degrees(place[2], place[1], "S"), _degrees(place[4], place[3], "W")
        if abs(latitude) <= 90 and abs(longitude) <= 180:
            found |= {"latitude": latitude, "longitude": longitude}
    return found


def _exif_date(stated: str, offset: str) -> str | None:
    found = EXIF_DATE.match(stated)
    zone = offset if re.fullmatch(r"[+-]\d\d:\d\d", offset) else ""
    return f"{found[1]}-{found[2]}-{found[3]}T{found[4]}{zone}" if found else None


def _degrees(parts: Any, half: str, negative: str) -> float:
    degrees, minutes, seconds = map(float, parts)
    return round((-1 if half == negative else 1) * (degrees + minutes / 60 + seconds / 3600), 6)


def _mail_date(stated: str) -> str | None:
    try:
        return parsedate_to_datetime(stated).isoformat()
    except (TypeError, ValueError, OverflowError):
        return None
