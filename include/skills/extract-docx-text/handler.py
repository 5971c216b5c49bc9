"""What a Word file holds: its blocks in order, its tables, and what people noted and changed in it."""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from skillyard.documents.decoding import clean
from skillyard.documents.word import TABLE, W, blocks_of, commented, open_word, rows_of, text_of
from skillyard.skills import Source

MAX_BLOCKS, MAX_CHARS, MAX_OTHERS, MAX_ABOUT = 20_000, 2_000_000, 5_000, 1_000
CHANGES = {f"{W}ins": "insertion", f"{W}moveTo": "insertion", f"{W}del": "deletion", f"{W}moveFrom": "deletion"}
STYLE, OUTLINE, NUMBERING = f"{W}pPr/{W}pStyle", f"{W}pPr/{W}outlineLvl", f"{W}pPr/{W}numPr"
BODY_TEXT = 9
"""The outline level of what is no heading."""
Styles = dict[str, tuple[str, int | None, bool]]
"""By a style's id: its name, its heading level, whether it makes lists."""


def handle(source: Source, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the blocks with their tables, comments, changes, notes and running text."""
    document = open_word(source.data)
    body, styles = document.element.body, _styles(document)
    blocks: list[dict[str, Any]] = []
    tables: list[list[list[str]]] = []
    n_chars, is_cut = 0, False
    for element in blocks_of(body):
        rows = rows_of(element) if element.tag == TABLE else []
        block = _table(rows, len(tables)) if element.tag == TABLE else _paragraph(element, styles)
        if not block["text"].strip(" |\n"):
            continue
        n_chars += len(block["text"])
        is_cut = len(blocks) == MAX_BLOCKS or n_chars > MAX_CHARS
        if is_cut:
            n_chars -= len(block["text"])
            break
        blocks.append(block)
        tables += [rows] if element.tag == TABLE else []
    found = {"comments": _comments(document), "changes": _changes(body), "notes": _texts(document, ("/footnotes", "/endnotes"))}
    lists = {name: list(islice(items, MAX_OTHERS + 1)) for name, items in found.items()}
    is_cut = is_cut or any(len(items) > MAX_OTHERS for items in lists.values())
    running = [*dict.fromkeys(islice(_texts(document, ("/header", "/footer")), MAX_OTHERS))]
    kept: dict[str, Any] = {name: items[:MAX_OTHERS] for name, items in lists.items()}
    return {"blocks": blocks, "tables": tables, **kept, "running_text": running, "n_chars": n_chars, "is_cut": is_cut}


def _table(rows: list[list[str]], number: int) -> dict[str, Any]:
    text = "\n".join(" | ".join(" ".join(cell.split()) for cell in row) for row in rows)
    return {"kind": "table", "style": None, "heading_level": None, "text": text, "table_no": number}


def _paragraph(element: Any, styles: Styles) -> dict[str, Any]:
    named = element.find(STYLE)
    style, level, is_list = styles.get(named.get(f"{W}val", ""), (None, None, False)) if named is not None else (None, None, False)
    level = _outline(element.find(OUTLINE), level)
    kind = "heading" if level is not None else "list_item" if is_list or element.find(NUMBERING) is not None else "paragraph"
    return {"kind": kind, "style": style, "heading_level": level, "text": text_of(element), "table_no": None}


def _styles(document: Any) -> Styles:
    """Return every paragraph style, with what it takes over from the style that it is based on."""
    found: Styles = {}
    for style in document.styles.element.iter(f"{W}style"):
        level, is_list, above, seen = None, False, style, set()
        while above is not None and above not in seen:
            seen.add(above)
            name = _value(above, f"{W}name").lower()
            if level is None:
                level = 0 if name == "title" else _outline(above.find(OUTLINE), None)
                level = int(name[8:]) if level is None and name.startswith("heading ") and name[8:] in tuple("123456789") else level
            is_list = is_list or name.startswith("list ") or above.find(NUMBERING) is not None
            above = document.styles.element.get_by_id(_value(above, f"{W}basedOn")) if _value(above, f"{W}basedOn") else None
        name = _value(style, f"{W}name")
        found[style.get(f"{W}styleId", "")] = (name[:1].upper() + name[1:], level, is_list and level is None)
    return found


def _outline(element: Any, otherwise: int | None) -> int | None:
    """Return the heading level that an outline level states; ``otherwise`` where there is none."""
    value = element.get(f"{W}val", "") if element is not None else ""
    if value not in tuple("0123456789"):
        return otherwise
    return None if int(value) == BODY_TEXT else int(value) + 1


def _value(element: Any, tag: str) -> str:
    found = element.find(tag)
    return str(found.get(f"{W}val", "")) if found is not None else ""


def _comments(document: Any) -> Iterator[dict[str, Any]]:
    about = commented(document.element.body, MAX_ABOUT)
    for root in _roots(document, ("/comments",)):
        for comment in root.iter(f"{W}comment"):
            words = clean("".join(about.get(comment.get(f"{W}id", ""), ())))[:MAX_ABOUT]
            author, at = comment.get(f"{W}author"), comment.get(f"{W}date")
            yield {"author": author or None, "commented_at": at or None, "text": text_of(comment), "about": words or None}


def _changes(body: Any) -> Iterator[dict[str, Any]]:
    for element in body.iter(*CHANGES):
        if text := text_of(element):
            author, at = element.get(f"{W}author"), element.get(f"{W}date")
            yield {"kind": CHANGES[element.tag], "author": author or None, "changed_at": at or None, "text": text}


def _texts(document: Any, ends: tuple[str, ...]) -> Iterator[str]:
    """Yield the texts of notes, headers or footers."""
    for root in _roots(document, ends):
        parts = [note for note in root if note.tag in (f"{W}footnote", f"{W}endnote")] or [root]
        yield from filter(None, map(text_of, parts))


def _roots(document: Any, ends: tuple[str, ...]) -> Iterator[Any]:
    """Yield what lies beside the document itself, by the ends of its relations, in their order."""
    from docx.oxml.parser import parse_xml

    related = [rel for rel in document.part.rels.values() if not rel.is_external]
    for end in ends:
        yield from (parse_xml(rel.target_part.blob) for rel in related if str(rel.reltype).endswith(end))
