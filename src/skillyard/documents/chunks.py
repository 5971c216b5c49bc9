"""Chunks: a document's text in pieces of bounded size along its headings, paragraphs and tables.

A chunk is a span from an offset in one page's text to an offset in the same page's or a later one's. Text is first cut into *atoms*, the
least that a chunk takes as a whole: a heading, a table, a short paragraph, or sentences of a long one. Chunks are runs of atoms: a new
one begins at a heading once there is enough before it, or where no more fits; then it takes up the last atoms of the one before.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import groupby

from skillyard.documents.result import Chunk, Heading, ParsedPage
from skillyard.tokens import estimate_tokens

CHUNK_TOKENS = 512
"""What the usual embedding models take; the estimate errs on the safe side."""
ENOUGH_TOKENS = 128
"""A heading begins a new chunk when there is so much before it."""
OVERLAP_TOKENS = 64
ATOM_TOKENS = 60
"""One that is cut out of a paragraph, with the space before it, is short enough to be overlap."""
LINE = re.compile(r"[^\n]+|\n\s*\n")
"""A line, or what separates paragraphs."""


@dataclass(frozen=True, slots=True)
class Atom:
    """A span of one page's text."""

    page: ParsedPage
    start: int
    end: int
    n_tokens: int
    """Of the span and of the white space before it."""
    path: tuple[Heading, ...]
    """The headings it stands under, outermost first; of a heading, itself included."""
    is_heading: bool = False
    begins_block: bool = True
    is_table: bool = False


def cut_chunks(doc_id: str, pages: Sequence[ParsedPage]) -> tuple[Chunk, ...]:
    """Return a document's chunks in reading order, of at most ``CHUNK_TOKENS`` estimated tokens each.

    Every character of its text that is not white space stands in one, or in two where they overlap.
    """
    return tuple(_to_chunk(doc_id, number, run, n_old) for number, (run, n_old) in enumerate(_runs(_atoms(pages)), start=1))


def _to_chunk(doc_id: str, number: int, run: list[Atom], n_old: int) -> Chunk:
    first, last = run[0], run[-1]
    pages = [page for page, _ in groupby(run, key=lambda atom: atom.page)]
    texts = [page.text[first.start if page is first.page else 0 : last.end if page is last.page else None] for page in pages]
    text = "\n\n".join(texts)
    new = run[n_old:]
    path = next((atom.path for atom in new if not atom.is_heading), new[-1].path)
    return Chunk(
        chunk_id=sha256(f"{doc_id}\0{first.page.page_no}\0{first.start}\0{text}".encode()).hexdigest(),
        chunk_no=number,
        page_no=first.page.page_no,
        start_offset=first.start,
        last_page_no=last.page.page_no,
        end_offset=last.end,
        text=text,
        n_tokens=estimate_tokens(text),
        heading=" > ".join(heading.text for heading in path) or None,
        language=first.page.language,
    )


def _runs(atoms: Iterable[Atom]) -> Iterator[tuple[list[Atom], int]]:
    """Yield each chunk's atoms, and how many of the first of them stand in the chunk before as well."""
    run: list[Atom] = []
    n_old = n_tokens = 0
    for atom in atoms:
        if atom.is_heading and n_tokens >= ENOUGH_TOKENS and _size(run[n_old:]) >= ENOUGH_TOKENS:
            yield run, n_old
            run, n_old, n_tokens = [], 0, 0
        while len(run) > n_old and n_tokens + atom.n_tokens > CHUNK_TOKENS:
            kept, rest = _break(run, n_old)
            yield kept, n_old
            overlap = _tail(kept)
            run, n_old = [*overlap, *rest], len(overlap)
            n_tokens = _size(run)
        if n_old == len(run) and n_tokens + atom.n_tokens > CHUNK_TOKENS:
            run, n_old, n_tokens = [], 0, 0
        run.append(atom)
        n_tokens += atom.n_tokens
    if len(run) > n_old:
        yield run, n_old


def _size(run: Sequence[Atom]) -> int:
    return sum(atom.n_tokens for atom in run)


def _break(run: list[Atom], n_old: int) -> tuple[list[Atom], list[Atom]]:
    """Return a full chunk and what goes to the next: from the last paragraph, heading or table on, if it is full enough without."""
    for at in range(len(run) - 1, n_old, -1):
        if run[at].begins_block and _size(run[:at]) >= CHUNK_TOKENS / 2:
            return run[:at], run[at:]
    return run, []


def _tail(run: Sequence[Atom]) -> list[Atom]:
    """Return the last atoms that the next chunk begins with."""
    tail: list[Atom] = []
    for atom in reversed(run):
        if atom.is_table or _size([atom, *tail]) > OVERLAP_TOKENS:
            break
        tail.insert(0, atom)
    return tail if len(tail) < len(run) else []


def _atoms(pages: Iterable[ParsedPage]) -> Iterator[Atom]:
    path: tuple[Heading, ...] = ()
    for page in pages:
        headings = {heading.offset: heading for heading in page.headings}
        at = 0
        for kind, start, end in _blocks(page.text, headings):
            if kind == "heading":
                heading = headings[start]
                path = (*(above for above in path if above.level < heading.level), heading)
            is_whole = kind == "heading" or _fits(page.text, start, end, CHUNK_TOKENS if kind == "table" else ATOM_TOKENS)
            for first, last in [(start, end)] if is_whole else _sentences(page.text, start, end):
                n_tokens = min(estimate_tokens(page.text[at:last]), CHUNK_TOKENS)
                yield Atom(page, first, last, n_tokens, path, kind == "heading", first == start, kind == "table")
                at = last


def _blocks(text: str, headings: dict[int, Heading]) -> Iterator[tuple[str, int, int]]:
    """Yield (kind, start, end) of each heading, table and paragraph."""

    def kind_of(line: re.Match[str]) -> str:
        if line.group().isspace():
            return "gap"
        if line.start() in headings:
            return f"heading {line.start()}"
        return "table" if line.group().startswith("|") or " | " in line.group() or "\t" in line.group() else "text"

    for kind, lines in groupby(LINE.finditer(text), key=kind_of):
        if kind != "gap":
            block = list(lines)
            yield kind.partition(" ")[0], block[0].start(), block[-1].end()


def _fits(text: str, start: int, end: int, most_tokens: int) -> bool:
    return estimate_tokens(text[start:end]) <= most_tokens


def _sentences(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield the spans of a long block, cut where it is divided most: between lines, sentences, clauses, words."""
    from semchunk import chunkerify

    cut = chunkerify(estimate_tokens, ATOM_TOKENS, memoize=False)
    for first, last in cut(text[start:end], offsets=True)[1]:
        yield start + first, start + last
