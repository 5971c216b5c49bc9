"""Pages per second of the parse pool beside bare pypdfium2 in as many processes, in the same run."""

import multiprocessing
import statistics
import time
from collections.abc import Iterator
from multiprocessing.queues import Queue
from pathlib import Path

from bench.figures import Figure
from skillyard.documents.kinds.pdf.pages import PARSER
from skillyard.documents.pool import ParsePool
from skillyard.documents.result import Parsed

N_WORKERS = 2
GOAL = 0.8


def speed_figures(data: Path, is_quick: bool) -> list[Figure]:
    """Return pages/s of both and their ratio, over alternating rounds.

    On the PDFs of ``pdf_kinds/text`` of which no page is a scan: OCR is another bench.
    """
    with ParsePool(N_WORKERS) as pool, BareProcesses() as bare:
        files = _read_by_pdfium(pool, sorted((data / "docs/pdf_kinds/text").glob("*.pdf")))
        _round(pool, bare, files)  # starts the processes and loads what they need
        rounds = [_round(pool, bare, files * (1 if is_quick else 4)) for _ in range(3 if is_quick else 7)]
    ratios = [ours / theirs for ours, theirs in rounds]
    ratio = statistics.median(ratios)
    return [
        Figure("pages/s, pool of 2 workers", statistics.median(ours for ours, _ in rounds), "pages/s"),
        Figure("pages/s, bare pypdfium2 in 2 processes", statistics.median(theirs for _, theirs in rounds), "pages/s"),
        Figure("pool / bare, median of rounds", ratio, "", f">= {GOAL}", ratio >= GOAL),
        Figure("pool / bare, lowest round", min(ratios), ""),
        Figure("pool / bare, highest round", max(ratios), ""),
    ]


def _read_by_pdfium(pool: ParsePool, files: list[Path]) -> list[Path]:
    """Return the files of which no page was read by anything but pdfium, the largest first."""
    results = dict(pool.parse((f"{path}", path.name, path.read_bytes()) for path in files))
    kept = [path for path in files if isinstance(found := results[f"{path}"], Parsed) and {page.parser for page in found.pages} == {PARSER}]
    return sorted(kept, key=lambda path: -path.stat().st_size)


def _round(pool: ParsePool, bare: "BareProcesses", files: list[Path]) -> tuple[float, float]:
    started = time.perf_counter()
    n_bare = bare.count_pages(files)
    theirs = n_bare / (time.perf_counter() - started)
    started = time.perf_counter()
    results = pool.parse((f"{number}", path.name, path.read_bytes()) for number, path in enumerate(files))
    n_ours = sum(len(result.pages) for _, result in results if isinstance(result, Parsed))
    assert n_ours == n_bare, f"{n_ours} pages from the pool, {n_bare} from pypdfium2"
    return n_ours / (time.perf_counter() - started), theirs


class BareProcesses:
    """Two processes that read PDFs by pypdfium2 and send back the pages' texts; a context manager."""

    def __enter__(self) -> "BareProcesses":
        context = multiprocessing.get_context("spawn")
        self._files, self._texts = context.Queue(), context.Queue()
        self._processes = [context.Process(target=_read_bare, args=(self._files, self._texts)) for _ in range(N_WORKERS)]
        for process in self._processes:
            process.start()
        return self

    def __exit__(self, *_: object) -> None:
        for _process in self._processes:
            self._files.put(None)
        for process in self._processes:
            process.join()

    def count_pages(self, files: list[Path]) -> int:
        """Read the files and return how many pages came back."""
        for path in files:
            self._files.put(path.read_bytes())
        return sum(len(self._texts.get()) for _ in files)


def _read_bare(files: "Queue[bytes | None]", texts: "Queue[list[str]]") -> None:
    from pypdfium2 import PdfDocument

    while (data := files.get()) is not None:
        document = PdfDocument(data)
        texts.put(list(bare_pages(document)))
        document.close()


def bare_pages(document: object) -> Iterator[str]:
    """Yield each page's text as pypdfium2 gives it."""
    for index in range(len(document)):  # type: ignore[arg-type]
        page = document[index]  # type: ignore[index]
        text_page = page.get_textpage()
        yield text_page.get_text_bounded()
        text_page.close()
        page.close()
