"""What DOCX, XLSX and PPTX have in common: two libraries, each the other's fallback, behind one check of the archive."""

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from io import BytesIO
from xml.etree.ElementTree import ParseError, fromstring
from zipfile import ZipFile

from skillyard.documents.archive import check_archive
from skillyard.documents.kinds.content import Content
from skillyard.documents.result import Refused

PROPERTIES = {
    "docProps/core.xml": {
        **{name: name for name in ("title", "subject", "keywords", "description", "category", "created", "modified", "language")},
        "creator": "author",
        "lastModifiedBy": "modified_by",
    },
    "docProps/app.xml": {"Application": "producer", "Company": "company"},
}
"""What is kept of a document's properties, and under which name."""
IMAGE = re.compile(r"!\[([^\]]*)\]\([^)]*\)")
ESCAPED = re.compile(r"\\([^\w\s|])")


def read_office(data: bytes, *readers: Callable[[bytes], Content]) -> Content:
    """Return what the first reader that manages gives; ``corrupt`` with every reader's word when none does.

    A fallback that finds no text where another reader failed has failed too: some libraries take damage for emptiness.
    """
    check_archive(data)
    stated = stated_properties(data)
    failures: list[str] = []
    for reader in readers:
        try:
            content = reader(data)
            if not failures or any(page.text.strip() for page in content.pages):
                return replace(content, title=stated.pop("title", None), metadata=stated)
            failures.append(f"{content.parser} finds no text")
        except (MemoryError, ImportError):
            raise
        except Exception as error:
            failures.append(f"{type(error).__name__}: {error}".splitlines()[0][:200])
    raise Refused("corrupt", "; ".join(failures))


def stated_properties(data: bytes) -> dict[str, str]:
    """Return what a document says of itself: title, author, subject, dates …"""
    found: dict[str, str] = {}
    with ZipFile(BytesIO(data)) as archive:
        for part, words in PROPERTIES.items():
            with suppress(KeyError, ParseError):
                for element in fromstring(archive.read(part)):
                    word = words.get(element.tag.rpartition("}")[2])
                    if word and element.text and element.text.strip():
                        found[word] = element.text.strip()
    return found


def by_kreuzberg(data: bytes, mime_type: str) -> tuple[str, dict[str, object]]:
    """Return the document as Markdown and its metadata."""
    from kreuzberg import ExtractionConfig, extract_bytes_sync

    result = extract_bytes_sync(data, mime_type, ExtractionConfig(use_cache=False, output_format="markdown"))
    return plain_markdown(ESCAPED.sub(r"\1", result.content)), dict(result.metadata)


def by_markitdown(data: bytes, suffix: str) -> str:
    """Return the document as Markdown."""
    from markitdown import MarkItDown, StreamInfo

    return plain_markdown(MarkItDown(enable_plugins=False).convert_stream(BytesIO(data), stream_info=StreamInfo(extension=suffix)).markdown)


def plain_markdown(text: str) -> str:
    """Return Markdown in which an image is only its description."""
    return IMAGE.sub(lambda found: found.group(1), text)
