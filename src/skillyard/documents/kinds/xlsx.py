"""XLSX, by kreuzberg: one page a sheet."""

from skillyard.documents.kinds.content import Content, ReadOptions
from skillyard.documents.kinds.markdown import markdown_pages
from skillyard.documents.kinds.office import by_kreuzberg, by_markitdown, read_office
from skillyard.documents.sniff import MIME_TYPES


def read_xlsx(data: bytes, options: ReadOptions) -> Content:
    """Return each sheet as a Markdown table below its name."""
    return read_office(data, _by_kreuzberg, lambda d: Content(markdown_pages([by_markitdown(d, ".xlsx")], "markitdown")))


def _by_kreuzberg(data: bytes) -> Content:
    text, metadata = by_kreuzberg(data, MIME_TYPES["xlsx"])
    names = metadata.get("sheet_names")
    sheets = split_sheets(text, [str(name) for name in names] if isinstance(names, list) else [])
    return Content(markdown_pages(sheets, "kreuzberg"))


def split_sheets(text: str, names: list[str]) -> tuple[str, ...]:
    """Return the text cut before each sheet's heading, in the workbook's order; in one piece when a heading is missing."""
    starts, at = [], 0
    for name in names:
        heading = f"## {name}\n"
        found = at if text.startswith(heading, at) else text.find(f"\n{heading}", at)
        if found < 0:
            return (text,)
        starts.append(found)
        at = found + len(heading)
    return tuple(text[a:b] for a, b in zip(starts, [*starts[1:], len(text)], strict=True)) or (text,)
