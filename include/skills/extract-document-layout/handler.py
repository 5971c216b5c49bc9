"""A PDF's blocks with role, place and text, by the geometry of its pages."""

from collections.abc import Mapping
from typing import Any

from skillyard.documents.kinds.pdf.blocks import read_layout
from skillyard.documents.kinds.pdf.drawn import open_pdf
from skillyard.skills import Source

MAX_BLOCKS = 5_000


def handle(source: Source, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the blocks in reading order, and the sizes of the pages."""
    document = open_pdf(source.data)
    try:
        n_pages, max_pages = len(document), max(parameters["max_pages"], 1)
        layout = read_layout(document, source.data, min(n_pages, max_pages))
    finally:
        document.close()
    return {
        "blocks": [{**block._asdict(), "box": list(block.box)} for block in layout.blocks[:MAX_BLOCKS]],
        "pages": [{"page": number, "width": width, "height": height} for number, (width, height) in enumerate(layout.sizes, 1)],
        "n_blocks": len(layout.blocks),
        "n_pages": n_pages,
        "is_cut": n_pages > max_pages or len(layout.blocks) > MAX_BLOCKS,
    }
