"""Charts and diagrams of Office documents, by their XML, as lines of text."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

C = "{http://schemas.openxmlformats.org/drawingml/2006/chart}"
A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
MAX_POINTS = 200
"""Of a chart's series."""


def chart_lines(part: bytes) -> Iterator[str]:
    """Yield a chart's title and, by its series, the value of each category.

    The counts that a chart states are not believed: python-pptx makes lists that long.
    """
    root = _root(part)
    for title in root.iter(f"{C}title"):
        yield _text(title)
    for series in root.iter(f"{C}ser"):
        named, names, values = (_points(series.find(f"{C}{name}")) for name in ("tx", "cat", "val"))
        pairs = [f"{names.get(index, '')} {value}".strip() for index, value in islice(values.items(), MAX_POINTS)]
        yield f"{' '.join(named.values())}: {', '.join(pairs)}"


def diagram_lines(part: bytes) -> Iterator[str]:
    """Yield the words of a diagram by its data part, a line for each of its shapes."""
    yield from map(_text, _root(part).iter(f"{A}p"))


def _points(part: Any) -> dict[str, str]:
    """Return a series' values by their index, as the program that wrote the file last saw them."""
    points = part.iter(f"{C}pt") if part is not None else ()
    return {point.get("idx", ""): " ".join((point.findtext(f"{C}v") or "").split()) for point in points}


def _text(element: Any) -> str:
    return " ".join("".join(text.text or "" for text in element.iter(f"{A}t")).split())


def _root(part: bytes) -> Any:
    from lxml.etree import XMLParser, fromstring  # type: ignore[import-untyped]

    return fromstring(part, XMLParser(resolve_entities=False, no_network=True))
