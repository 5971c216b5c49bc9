"""Chunks: nothing is lost, none is too large, structure is kept, ids are stable."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from skillyard.documents.chunks import CHUNK_TOKENS, OVERLAP_TOKENS, cut_chunks
from skillyard.documents.decoding import clean
from skillyard.documents.result import Chunk, Heading, ParsedPage
from skillyard.tokens import estimate_tokens

DOC = "d" * 64
PARAGRAPH = "The parcel left on Monday. It was weighed, sealed and signed for; nobody has seen it since. " * 3


def page(text: str, page_no: int = 1) -> ParsedPage:
    """Return a page whose lines that begin with # are its headings."""
    headings, at = [], 0
    for line in text.split("\n"):
        if line.startswith("#"):
            headings.append(Heading(len(line) - len(line.lstrip("#")), line.lstrip("# "), at))
        at += len(line) + 1
    return ParsedPage(page_no, text, len(text), "en", "text", "plain", headings=tuple(headings))


def spans(chunk: Chunk, pages: list[ParsedPage]) -> list[tuple[int, int, int]]:
    """Return (page_no, start, end) of a chunk on each of its pages."""
    own = [p for p in pages if chunk.page_no <= p.page_no <= chunk.last_page_no]
    return [
        (
            p.page_no,
            chunk.start_offset if p.page_no == chunk.page_no else 0,
            chunk.end_offset if p.page_no == chunk.last_page_no else p.n_chars,
        )
        for p in own
    ]


LINES = st.lists(
    st.text(st.characters(codec="utf-8"), max_size=200) | st.sampled_from(["# Head", "", "| a | b |", PARAGRAPH, "漢字。" * 400])
)


@settings(max_examples=150, deadline=None)
@given(st.lists(LINES.map("\n".join).map(clean), max_size=4))
def test_every_character_is_in_a_chunk_and_every_chunk_is_what_stands_there(texts: list[str]) -> None:
    pages = [page(text, number) for number, text in enumerate(texts, start=1)]
    chunks = cut_chunks(DOC, pages)
    covered: set[tuple[int, int]] = set()
    for chunk in chunks:
        own = spans(chunk, pages)
        assert chunk.text == "\n\n".join(pages[no - 1].text[a:b] for no, a, b in own if pages[no - 1].text)
        covered |= {(no, at) for no, a, b in own for at in range(a, b)}
    assert all((p.page_no, at) in covered for p in pages for at, ch in enumerate(p.text) if not ch.isspace())
    assert [chunk.chunk_no for chunk in chunks] == list(range(1, len(chunks) + 1))
    assert len({chunk.chunk_id for chunk in chunks}) == len(chunks)
    assert chunks == cut_chunks(DOC, pages)


def test_no_chunk_is_larger_than_it_may_be() -> None:
    text = "\n\n".join([PARAGRAPH * 20, "x" * 20_000, "漢字" * 3_000, "\n".join("| cell | cell |" for _ in range(900))])
    chunks = cut_chunks(DOC, [page(text)])
    assert max(chunk.n_tokens for chunk in chunks) <= CHUNK_TOKENS
    assert all(chunk.n_tokens == estimate_tokens(chunk.text) for chunk in chunks)


def test_neighbours_overlap_by_whole_sentences_and_not_by_more_than_allowed() -> None:
    chunks = cut_chunks(DOC, [page(" ".join(f"Sentence number {n} says little." for n in range(400)))])
    assert len(chunks) > 3
    for before, after in pairwise(chunks):
        shared = before.text[after.start_offset - before.start_offset :]
        assert shared and after.text.startswith(shared) and estimate_tokens(shared) <= OVERLAP_TOKENS
        assert shared.startswith("Sentence number")


def test_a_heading_begins_a_chunk_and_names_what_stands_under_it() -> None:
    text = clean(f"# One\n\n{PARAGRAPH * 2}\n\n## Within\n\n{PARAGRAPH * 2}\n\n# Two\n\n{PARAGRAPH * 2}")
    chunks = cut_chunks(DOC, [page(text)])
    assert [(chunk.text.splitlines()[0], chunk.heading) for chunk in chunks] == [
        ("# One", "One"),
        ("## Within", "One > Within"),
        ("# Two", "Two"),
    ]


def test_a_table_stays_whole() -> None:
    rows = "\n".join(f"| item {n} | {n}.00 EUR |" for n in range(40))
    chunks = cut_chunks(DOC, [page(clean(f"{PARAGRAPH * 4}\n\n{rows}\n\n{PARAGRAPH}"))])
    assert sum(rows in chunk.text for chunk in chunks) == 1
    assert sum("| item 7 |" in chunk.text for chunk in chunks) == 1


def test_a_chunk_runs_over_the_end_of_a_page() -> None:
    (chunk,) = cut_chunks(DOC, [page("It begins here", 1), page("", 2), page("and ends here.", 3)])
    assert (chunk.page_no, chunk.start_offset, chunk.last_page_no, chunk.end_offset) == (1, 0, 3, 14)
    assert chunk.text == "It begins here\n\nand ends here."


def test_a_document_without_text_has_no_chunks() -> None:
    assert cut_chunks(DOC, [page("")]) == ()
