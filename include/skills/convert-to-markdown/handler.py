"""Office documents, web pages and PDFs as Markdown, with a list of what was left out."""

import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from io import BytesIO
from typing import Any
from zipfile import ZipFile

from skillyard.documents.decoding import clean
from skillyard.documents.encryption import decrypt_office
from skillyard.documents.kinds import READERS, Content, ReadOptions
from skillyard.documents.kinds.content import plain_pages
from skillyard.documents.kinds.html import decode_html
from skillyard.documents.kinds.office import by_kreuzberg, by_markitdown, plain_markdown, read_office
from skillyard.documents.kinds.pdf.blocks import Block, read_layout
from skillyard.documents.kinds.pdf.drawn import open_pdf
from skillyard.documents.result import Refused
from skillyard.documents.sniff import MIME_TYPES, sniff
from skillyard.skills import Source

IMAGE_TAG = re.compile(rb"<(?:img|svg|canvas|video|object|iframe)\b", re.I)
HIDDEN_SHEET = re.compile(rb'<(?:\w+:)?sheet\b[^<>]{0,500}?\bstate="(?:hidden|veryHidden)"')
PARTS = (
    (re.compile(r"(?:word|xl|ppt)/media/."), "Images left out: {n}."),
    (re.compile(r"word/comments\.xml|xl/comments|xl/threadedComments/.|ppt/comments/."), "Comments are left out."),
    (re.compile(r"word/(?:header|footer)\d*\.xml"), "Headers and footers are left out."),
    (re.compile(r"(?:word|xl|ppt)/embeddings/."), "Embedded files left out: {n}."),
    (re.compile(r"(?:word|xl|ppt)/charts/chart\d*\.xml"), "Charts left out: {n}."),
    (re.compile(r"(?:word|xl|ppt)/vbaProject\.bin"), "The file has programs (macros) in it."),
)
MERGED = re.compile(rb"<w:(?:vMerge|gridSpan)\b")
CHANGE = re.compile(rb"<w:(?:ins|del) ")
NO_HEADER = re.compile(r"^\|(?: {1,3}\|)+\n(\|(?: --- \|)+)\n(\|.*\|)\n", re.M)
"""A table whose header is empty because the file marks none: its first row is taken for it."""
MARKS = re.compile(r"^(#|>|[-+*] |\d+[.)] )", re.M)
BULLET = re.compile(r"^(?:[•◦▪▫‣⁃∙●○■□–—*·-])\s+", re.M)
MAX_NAMED = 20


def handle(source: Source, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the file as Markdown."""
    data = decrypt_office(source.data, ())
    kind, max_chars = sniff(data, source.name).kind, max(parameters["max_chars"], 0)
    is_cut = False
    if kind == "pdf":
        text, left_out, is_cut = _of_pdf(data, max(parameters["max_pages"], 1))
    elif kind == "html":
        text, left_out = _of_html(data)
    elif kind in ("docx", "xlsx", "pptx"):
        text, left_out = _of_office(data, kind), list(_of_parts(data))
    else:
        raise Refused("unsupported_type", f"the content is {kind}, which is not turned into Markdown")
    text = clean(text)
    return {"markdown": text[:max_chars], "warnings": left_out, "n_chars": len(text), "is_cut": is_cut or len(text) > max_chars}


def _of_office(data: bytes, kind: str) -> str:
    """Return the text as ingestion reads it; a DOCX by markitdown first, which keeps the marks of lists."""
    if kind != "docx":
        return "\n\n".join(page.text for page in READERS[kind](data, ReadOptions(has_ocr=False)).pages)
    content = read_office(
        data,
        lambda d: Content(plain_pages([NO_HEADER.sub(r"\2\n\1\n", by_markitdown(d, ".docx"))], "markitdown")),
        lambda d: Content(plain_pages([by_kreuzberg(d, MIME_TYPES["docx"])[0]], "kreuzberg")),
    )
    return content.pages[0].text


def _of_html(data: bytes) -> tuple[str, list[str]]:
    from markitdown import MarkItDown, StreamInfo

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a page nested too deep it takes the text alone, and says so
        info = StreamInfo(extension=".html", charset="utf-8")
        page = BytesIO(decode_html(data).encode("utf-8", "replace"))
        text = MarkItDown(enable_plugins=False).convert_stream(page, stream_info=info).markdown
    n_images = len(IMAGE_TAG.findall(data))
    return plain_markdown(text), [f"Images and embedded things left out: {n_images}."] if n_images else []


def _of_parts(data: bytes) -> Iterator[str]:
    """Yield what an Office file has besides its text."""
    with ZipFile(BytesIO(data)) as archive:
        names = archive.namelist()
        for pattern, sentence in PARTS:
            if n := sum(bool(pattern.match(name)) for name in names):
                yield sentence.format(n=n)
        if "word/document.xml" in names and CHANGE.search(archive.read("word/document.xml")):
            yield "Tracked changes are not marked as such."
        if "word/document.xml" in names and MERGED.search(archive.read("word/document.xml")):
            yield "Tables have merged cells: their rows may be out of line with the header."
        if "xl/workbook.xml" in names and (n := len(HIDDEN_SHEET.findall(archive.read("xl/workbook.xml")))):
            yield f"Hidden sheets in the text: {n}."


def _of_pdf(data: bytes, max_pages: int) -> tuple[str, list[str], bool]:
    try:
        document = open_pdf(data)
    except Refused as error:
        if error.error_kind != "corrupt":
            raise
        pages = READERS["pdf"](data, ReadOptions(has_ocr=False)).pages
        return "\n\n".join(page.text for page in pages[:max_pages]), ["The file is damaged: plain text."], len(pages) > max_pages
    try:
        n_pages = len(document)
        layout = read_layout(document, data, min(n_pages, max_pages))
    finally:
        document.close()
    left_out = list(_of_blocks(layout.blocks, len(layout.sizes)))
    return "\n\n".join(filter(None, map(_markdown, layout.blocks))), left_out, n_pages > max_pages


def _of_blocks(blocks: Sequence[Block], n_pages: int) -> Iterator[str]:
    """Yield what the Markdown does not have of a PDF."""
    if n_figures := sum(block.role == "figure" for block in blocks):
        yield f"Figures left out: {n_figures}."
    if any(block.role in ("header", "footer") for block in blocks):
        yield "Headers and footers are left out."
    filled = {block.page for block in blocks if block.text}
    if empty := [str(page) for page in range(1, n_pages + 1) if page not in filled]:
        yield f"Pages without text: {', '.join(empty[:MAX_NAMED])}{' …' if len(empty) > MAX_NAMED else ''}."


def _markdown(block: Block) -> str:
    """Return a block in Markdown; nothing for what is left out."""
    if block.role in ("figure", "header", "footer"):
        return ""
    if block.role in ("title", "heading"):
        return f"{'#' * (block.level or 1)} {block.text}"
    if block.role == "list":
        return BULLET.sub("- ", block.text)
    if block.role == "table":
        rows = [[cell.replace("|", "\\|") for cell in line.split("\t")] for line in block.text.split("\n")]
        lines = [f"| {' | '.join(row)} |" for row in rows]
        return "\n".join([lines[0], "|" + " --- |" * len(rows[0]), *lines[1:]])
    return MARKS.sub(r"\\\1", block.text)
