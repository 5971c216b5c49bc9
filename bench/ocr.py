"""What OCR reads and what it takes: each engine alone, and the engine we choose for each picture.

Two sets of pictures. Pages of known text in twelve languages are drawn at 200 dpi: their truth is exact. The sample images and scans came
without truth: ``ocr_truth.json`` has the digests of the words on those that a person could read, the others are timed alone. Words are
compared as they are, whatever their order; where no spaces stand between words, characters are.
"""

import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING

from bench.figures import Figure

if TYPE_CHECKING:
    from PIL.Image import Image

TRUTH = Path(__file__).with_name("ocr_truth.json")
DOTS_PER_INCH = 200
SPACELESS = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]")
READ_BY_NONE = ("ar", "el", "hi", "ru", "th")
"""Languages of the drawn pages that rapidocr's bundled model does not read; nor does tesseract without their language packs."""
QUICK = ("en_table", "zh_table")
QUICK_SAMPLES = ("test_hello_world", "invoice_image", "flower_no_text")
MIN_F1 = 0.93
"""What rapidocr alone reached on the samples with its own settings, at 6 s and 1 GB an image."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A document's pages as pictures and what is written on them."""

    name: str
    pages: "tuple[Image, ...]"
    truth: Counter[str] | None
    """Digests of its words, if they are known."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one engine made of a sample."""

    sample: Sample
    text: str
    status: str | None
    took_s: float

    @property
    def f1(self) -> float:
        return f1(self.text, self.sample.truth or Counter())


Engine = Callable[["Image"], tuple[str, str | None]]


def ocr_figures(data: Path, is_quick: bool) -> list[Figure]:
    """Return the figures of every engine that is installed and of our choice; ``data`` is the folder with ``docs``."""
    pages, samples = list(_drawn(data, is_quick)), list(_samples(data, is_quick))
    figures: list[Figure] = []
    for name, engine in _engines().items():
        is_ours = name == "ours"
        readable = [sample for sample in pages if is_ours or sample.name[:2] not in READ_BY_NONE]
        figures += _of_pages(name, [_run(engine, sample) for sample in readable], is_ours)
        figures += _of_samples(name, [_run(engine, sample) for sample in samples], is_ours)
    return figures


def f1(text: str, truth: Counter[str]) -> float:
    """Return the harmonic mean of the share of the truth's words that were read and of the read ones that are right."""
    read = digests(text)
    n = read.total() + truth.total()
    return 2 * (read & truth).total() / n if n else 1.0


def digests(text: str) -> Counter[str]:
    """Return how often each word occurs, by a digest of it."""
    return Counter(sha256(word.encode()).hexdigest()[:8] for word in _words(text))


def _words(text: str) -> list[str]:
    if len(SPACELESS.findall(text)) * 2 > len(text):
        return [mark for mark in text if mark.isalnum()]
    return re.findall(r"\w+", text.lower())


def _engines() -> dict[str, Engine]:
    from skillyard.documents.ocr import rapid, read_picture, tesseract
    from skillyard.documents.ocr.picture import prepared

    def ours(picture: "Image") -> tuple[str, str | None]:
        page = read_picture(picture)
        return page.text, page.status

    engines: dict[str, Engine] = {"ours": ours}
    if "eng" in tesseract.languages(None):
        engines["tesseract, English"] = lambda picture: (tesseract.read(prepared(picture), "eng").text, None)
    if rapid.is_there():
        engines["rapidocr"] = lambda picture: (rapid.read(prepared(picture)).text, None)
    return engines


def _run(engine: Engine, sample: Sample) -> Outcome:
    began = time.perf_counter()
    read = [engine(page) for page in sample.pages]
    took_s = (time.perf_counter() - began) / len(sample.pages)
    return Outcome(sample, "\n".join(text for text, _ in read), next((status for _, status in read if status), None), took_s)


def _of_pages(name: str, outcomes: Sequence[Outcome], is_ours: bool) -> Iterator[Figure]:
    """Yield F1 on the drawn pages by language group, and time; for us also how many pages of other scripts are said to be such."""
    groups = {
        "English": lambda language: language == "en",
        "other Latin": lambda language: language in ("de", "es", "ro", "tr", "vi"),
        "Chinese": lambda language: language == "zh",
    }
    for group, holds in groups.items():
        if of_group := [o for o in outcomes if holds(o.sample.name[:2])]:
            goal = {"English": 0.98, "other Latin": 0.85, "Chinese": 0.98}[group]
            yield _figure(f"OCR {name}: {group} pages, F1", mean(o.f1 for o in of_group), "", goal if is_ours else None)
            yield Figure(f"OCR {name}: {group} pages", mean(o.took_s for o in of_group), "s/page")
    foreign = [o for o in outcomes if o.sample.name[:2] in READ_BY_NONE]
    if is_ours and foreign:
        honest = mean(o.status == "ocr_unavailable" or o.f1 > 0.5 for o in foreign)
        yield _figure("OCR ours: pages that no engine reads, said so", honest, "share", 1.0)


def _of_samples(name: str, outcomes: Sequence[Outcome], is_ours: bool) -> Iterator[Figure]:
    """Yield F1 on the samples whose truth is known, letters read where there are none, and time on all of them."""
    for folder, label in (("images_text", "images"), ("scanned", "scans")):
        of_folder = [o for o in outcomes if folder in o.sample.name]
        if known := [o for o in of_folder if o.sample.truth]:
            yield _figure(f"OCR {name}: {len(known)} {label}, F1", mean(o.f1 for o in known), "", MIN_F1 if is_ours else None)
        if of_folder:
            yield Figure(f"OCR {name}: {len(of_folder)} {label}", mean(o.took_s for o in of_folder), "s/page")
    n_invented = sum(len(o.text) for o in outcomes if o.sample.truth == Counter())
    yield Figure(
        f"OCR {name}: pictures without text", n_invented, "characters", "0" if is_ours else "", not n_invented if is_ours else None
    )


def _figure(name: str, value: float, unit: str, goal: float | None) -> Figure:
    return Figure(name, value, unit, f">= {goal}" if goal else "", value >= goal if goal else None)


def _drawn(data: Path, is_quick: bool) -> Iterator[Sample]:
    folder = data / "docs" / "pdf_synth"
    for file in sorted((folder / "pdf").glob("*.pdf")):
        if file.stem in QUICK if is_quick else not file.stem.endswith("_two") or file.stem[:2] in ("en", "de"):
            yield Sample(file.stem, _draw(file), digests((folder / "truth" / f"{file.stem}.txt").read_text()))


def _samples(data: Path, is_quick: bool) -> Iterator[Sample]:
    from PIL import Image

    docs, truth = data / "docs", json.loads(TRUTH.read_text())
    files = [*sorted((docs / "images_text").glob("*.*g")), *sorted((docs / "pdf_kinds" / "scanned").glob("*.pdf"))]
    for file in files:
        name = file.relative_to(docs).as_posix()
        if not is_quick or file.stem.endswith(QUICK_SAMPLES):
            pages = _draw(file, 1) if file.suffix == ".pdf" else (Image.open(file),)
            yield Sample(name, pages, Counter(truth[name].split()) if name in truth else None)


def _draw(file: Path, n_pages: int | None = None) -> "tuple[Image, ...]":
    import pypdfium2

    with pypdfium2.PdfDocument(file) as document:
        pages = [document[index] for index in range(min(len(document), n_pages or len(document)))]
        return tuple(page.render(scale=DOTS_PER_INCH / 72, grayscale=True).to_pil().copy() for page in pages)
