"""How near the text comes to the truth, beside bare pypdfium2, on 36 PDFs in 12 languages and three layouts.

Similarity is rapidfuzz's ``Indel.normalized_similarity`` (twice the longest common subsequence over both lengths) of the pages' texts with
runs of white space as one space. The second set is the same pages bound into one document a language, with a header and a page number
stamped on each of them: that is what is not in the truth and has to go.
"""

import io
from pathlib import Path

from bench.figures import Figure
from bench.parse_speed import bare_pages
from skillyard.documents.kinds.content import ReadOptions
from skillyard.documents.kinds.pdf import read_pdf

LAYOUTS = ("one", "two", "table")


def fidelity_figures(data: Path, is_quick: bool) -> list[Figure]:
    """Return per language and layout what is gained over pypdfium2, plain and with furniture."""
    folder = data / "docs/pdf_synth"
    languages = sorted(path.stem.removesuffix("_one") for path in (folder / "pdf").glob("*_one.pdf"))
    figures = []
    for language in languages[:: 4 if is_quick else 1]:
        for layout in LAYOUTS:
            pdf, truth = (folder / f"pdf/{language}_{layout}.pdf").read_bytes(), _truth(folder, language, layout)
            figures.append(_gain(f"{language} {layout}", similarity(_ours(pdf), truth), similarity(_bare(pdf), truth)))
        figures += _with_furniture(folder, language)
    return figures


def _gain(name: str, ours: float, bare: float, must_be_better: bool = False) -> Figure:
    goal = f"> {bare:.4f} bare" if must_be_better else f">= {bare:.4f} bare"
    return Figure(f"similarity, {name}", ours, "", goal, ours > bare if must_be_better else ours >= bare)


def _with_furniture(folder: Path, language: str) -> list[Figure]:
    parts = [(layout, (folder / f"pdf/{language}_{layout}.pdf").read_bytes()) for layout in LAYOUTS]
    bound, ends = bind_with_furniture([pdf for _, pdf in parts])
    ours, bare = _ours(bound), _bare(bound)
    figures = []
    for number, (layout, _) in enumerate(parts):
        span = slice(ends[number - 1] if number else 0, ends[number])
        truth = _truth(folder, language, layout)
        name = f"{language} {layout} with furniture"
        figures.append(_gain(name, similarity(ours[span], truth), similarity(bare[span], truth), must_be_better=layout != "one"))
    return figures


def bind_with_furniture(pdfs: list[bytes]) -> tuple[bytes, list[int]]:
    """Return the documents bound into one, a header and a page number on each page, and where each of them ends."""
    from pypdf import PdfReader, PdfWriter
    from reportlab.pdfgen.canvas import Canvas

    writer, ends = PdfWriter(), []
    for pdf in pdfs:
        for page in PdfReader(io.BytesIO(pdf)).pages:
            writer.add_page(page)
        ends.append(len(writer.pages))
    for number, page in enumerate(writer.pages, start=1):
        width, height = float(page.mediabox.width), float(page.mediabox.height)
        stamp = io.BytesIO()
        canvas = Canvas(stamp, pagesize=(width, height))
        canvas.setFont("Helvetica", 9)
        canvas.drawString(60, height - 25, "Annual reader of the Northwick library, volume 12")
        canvas.drawCentredString(width / 2, 18, f"Page {number} of {len(writer.pages)}")
        canvas.save()
        page.merge_page(PdfReader(stamp).pages[0])
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue(), ends


def similarity(pages: list[str], truth: str) -> float:
    """Return how alike the pages' text and the truth are, from 0 to 1."""
    from rapidfuzz.distance import Indel

    return Indel.normalized_similarity(" ".join("\n".join(pages).split()), truth)


def _truth(folder: Path, language: str, layout: str) -> str:
    return " ".join((folder / f"truth/{language}_{layout}.txt").read_text("utf-8").split())


def _ours(pdf: bytes) -> list[str]:
    return [page.text for page in read_pdf(pdf, ReadOptions()).pages]


def _bare(pdf: bytes) -> list[str]:
    from pypdfium2 import PdfDocument

    return list(bare_pages(PdfDocument(pdf)))
