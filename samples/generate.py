"""Makes the generated samples again: ``python samples/generate.py`` writes them, ``--check`` compares and writes nothing.

Each file ``sources/<folder>/<name>.<pdf|docx|png>.md`` becomes ``inbox/<folder>/<name>.<pdf|docx|png>``; the bad ones, the long
invoice and the shipment table are made by code. Everything else in the inbox was written by hand and is left alone.
"""

import argparse
import io
import sys
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from PIL import Image
from rendering import broken
from rendering.long_tables import parts_invoice, shipments
from rendering.pdf import render_pdf
from rendering.scan import render_png, render_scan
from rendering.source import Source, parse_source, read_source
from rendering.word import render_docx

HERE = Path(__file__).resolve().parent
SOURCES, INBOX = HERE / "sources", HERE / "inbox"
SEED = 20260302


def main(arguments: list[str] | None = None) -> int:
    """Write or compare the generated files; returns 1 when ``--check`` finds a difference."""
    parser = argparse.ArgumentParser(description="Make the generated samples from their sources.")
    parser.add_argument("--check", action="store_true", help="compare with the files in inbox/ and write nothing")
    is_check = parser.parse_args(arguments).check
    n_files, differing = 0, []
    for name, make in recipes():
        n_files += 1
        path, data = INBOX / name, make()
        if is_check and not (path.is_file() and is_same(path.read_bytes(), data)):
            differing.append(name)
        elif not is_check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    for name in differing:
        print(f"samples/inbox/{name} is missing or is not what the generator makes: run python samples/generate.py", file=sys.stderr)
    print(f"{n_files} files compared, {len(differing)} differ" if is_check else f"{n_files} files written")
    return 1 if differing else 0


def recipes() -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Yield the inbox path of every generated file with the function that makes its bytes."""
    for path in sorted(SOURCES.rglob("*.md")):
        yield path.relative_to(SOURCES).with_suffix("").as_posix(), partial(render, path)
    yield "invoices/kestrel-parts-88213.pdf", lambda: render_pdf(parse_source(parts_invoice(SEED)))
    yield "reports/shipments-february.csv", lambda: shipments(SEED).encode()
    yield from bad_recipes()


def render(path: Path) -> bytes:
    """Return the file that a source describes, by the extension before ``.md``."""
    source = read_source(path)
    kind = path.suffixes[-2]
    if kind == ".pdf" and source.settings.get("layout") == "scan":
        return render_scan(source, SEED)
    renderers: dict[str, Callable[[Source], bytes]] = {".pdf": render_pdf, ".docx": render_docx, ".png": render_png}
    renderers[".txt"] = render_pdf  # the one sample whose name lies about what it is
    return renderers[kind](source)


def bad_recipes() -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Yield the files that a reader has to refuse."""

    def letter() -> bytes:
        return render(SOURCES / "contracts" / "lift-maintenance-offer.pdf.md")

    def memo() -> bytes:
        return render(SOURCES / "meetings" / "site-safety-round.docx.md")

    yield "bad/broken-off-download.pdf", lambda: broken.broken_off(letter())
    yield "bad/locked-payslip.pdf", lambda: broken.encrypted(letter(), "heron-7714")
    yield "bad/nothing.txt", lambda: b""
    yield "bad/program.pdf", lambda: broken.elf(SEED, 6000)
    yield "bad/inflating.pdf", lambda: broken.pdf_bomb(1_500_000)
    yield "bad/inflating.docx", lambda: broken.docx_bomb(memo(), 1_500_000)
    yield "bad/noise.bin", lambda: broken.garbage(SEED, 4096)
    yield "bad/noise.pdf", lambda: b"%PDF-1.7\n" + broken.garbage(SEED + 1, 9000)
    yield "bad/half-an-archive.docx", broken.half_docx
    yield "bad/unclosed-tags.docx", broken.unclosed_docx


def is_same(kept: bytes, made: bytes) -> bool:
    """Whether two files hold the same: byte for byte, or, as compressors differ between machines, the same members or pixels."""
    if kept == made:
        return True
    if zipfile.is_zipfile(io.BytesIO(made)) and zipfile.is_zipfile(io.BytesIO(kept)):
        return _members(kept) == _members(made)
    if made.startswith(b"\x89PNG") and kept.startswith(b"\x89PNG"):
        return _pixels(kept) == _pixels(made)
    return False


def _members(data: bytes) -> list[tuple[str, int, int]]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return [(info.filename, info.file_size, info.CRC) for info in archive.infolist()]


def _pixels(data: bytes) -> tuple[tuple[int, int], bytes]:
    image = Image.open(io.BytesIO(data)).convert("L")
    return image.size, image.tobytes()


if __name__ == "__main__":
    sys.exit(main())
