"""Reads one source: settings in a YAML head, then text in a small part of Markdown.

A block is a run of lines between blank lines. ``# `` and ``## `` begin headings, ``- `` bullets, ``| `` table rows, ``>> ``
a right-aligned paragraph; ``===`` is a page or column break. A line that ends with a backslash is broken there, and
``**bold**`` is the only inline mark.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml


@dataclass(frozen=True, slots=True)
class Block:
    """One heading, paragraph, list or table."""

    kind: str
    """title, heading, paragraph, right, bullets, table or break"""
    lines: tuple[str, ...] = ()
    """The text; one line per bullet; empty for a table."""
    rows: tuple[tuple[str, ...], ...] = ()
    """The cells of a table; the first row is its head."""


@dataclass(frozen=True, slots=True)
class Source:
    """What one document says and how it should look."""

    blocks: tuple[Block, ...]
    settings: dict[str, Any] = field(default_factory=dict)


def read_source(path: Path) -> Source:
    """Return the parsed source file."""
    return parse_source(path.read_text(encoding="utf-8"))


def parse_source(text: str) -> Source:
    """Return the settings and the blocks of a source's text."""
    settings: dict[str, Any] = {}
    if text.startswith("---\n"):
        head, text = text[4:].split("\n---\n", 1)
        settings = yaml.safe_load(head)
    chunks = [chunk.strip("\n") for chunk in text.split("\n\n")]
    return Source(tuple(_block(chunk) for chunk in chunks if chunk.strip()), settings)


def _block(chunk: str) -> Block:
    lines = chunk.split("\n")
    if chunk.startswith("# "):
        return Block("title", (_joined(chunk[2:]),))
    if chunk.startswith("## "):
        return Block("heading", (_joined(chunk[3:]),))
    if chunk.startswith(">> "):
        return Block("right", (_joined(chunk[3:]),))
    if chunk == "===":
        return Block("break")
    if chunk.startswith("- "):
        return Block("bullets", tuple(_joined(item) for item in chunk[2:].split("\n- ")))
    if chunk.startswith("|"):
        return Block(
            "table",
            rows=tuple(tuple(cell.strip() for cell in line.strip().removeprefix("|").removesuffix("|").split("|")) for line in lines),
        )
    return Block("paragraph", (_joined(chunk),))


def _joined(text: str) -> str:
    """Join wrapped lines with spaces; a backslash at a line's end becomes a line break."""
    return text.replace("\\\n", "\x00").replace("\n", " ").replace("\x00", "\n")
