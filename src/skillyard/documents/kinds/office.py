"""What DOCX, XLSX and PPTX have in common: two libraries, each the other's fallback, behind one check of the archive."""

import re
from collections.abc import Callable
from io import BytesIO

from skillyard.documents.archive import check_archive
from skillyard.documents.kinds.content import Content
from skillyard.documents.result import Refused

IMAGE = re.compile(r"!\[([^\]]*)\]\([^)]*\)")
ESCAPED = re.compile(r"\\([^\w\s|])")


def read_office(data: bytes, *readers: Callable[[bytes], Content]) -> Content:
    """Return what the first reader that manages gives; ``corrupt`` with every reader's word when none does.

    A fallback that finds no text where another reader failed has failed too: some libraries take damage for emptiness.
    """
    check_archive(data)
    failures: list[str] = []
    for reader in readers:
        try:
            content = reader(data)
            if not failures or any(page.text.strip() for page in content.pages):
                return content
            failures.append(f"{content.parser} finds no text")
        except (MemoryError, ImportError):
            raise
        except Exception as error:
            failures.append(f"{type(error).__name__}: {error}".splitlines()[0][:200])
    raise Refused("corrupt", "; ".join(failures))


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
