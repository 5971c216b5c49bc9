"""tesseract as a program beside us: one thread, a deadline and a memory limit for each picture."""

import csv
import io
import os
import re
import resource
import shutil
import subprocess
from functools import lru_cache
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from skillyard.documents.ocr.reading import Reading

if TYPE_CHECKING:
    from PIL.Image import Image

DEADLINE_S = 90.0
CPU_S = 30
"""A dense page of 12 megapixels takes 6 s of a core; on a busy machine that can be a minute."""
MEMORY_BYTES = 512 * 1024**2
WORD_LEVEL = "5"
VERSION = re.compile(r"tesseract v?(\d+\.\d+)")
ORIENTATION = re.compile(r"^(Rotate|Orientation confidence|Script|Script confidence): (\S+)", re.M)
MIN_TURN_CONFIDENCE = 2.0
"""Upright pages of text have 5 to 34."""


class TesseractFailed(RuntimeError):
    """The program did not end within its deadline, or not well."""


class Orientation(NamedTuple):
    """By how many degrees clockwise a picture has to be turned to stand upright, and the script it is in."""

    turn: int
    script: str
    script_confidence: float


@lru_cache(maxsize=8)
def languages(path: str | None) -> frozenset[str]:
    """Return the languages that the program on this search path can read, by tesseract's names; empty when there is no program."""
    program = shutil.which("tesseract", path=path)
    if program is None:
        return frozenset()
    listed = subprocess.run([program, "--list-langs"], capture_output=True, text=True, timeout=DEADLINE_S, check=False).stdout
    return frozenset(listed.splitlines()[1:])


def read(picture: "Image", language: str) -> Reading:
    """Return the words of a picture: lines, and paragraphs with an empty line between them."""
    printed = _run(picture, "-l", language, "tsv")
    if not printed.startswith("level\t"):
        raise TesseractFailed("tesseract printed no table of words")
    rows = csv.DictReader(io.StringIO(printed), delimiter="\t", quoting=csv.QUOTE_NONE)
    words = [row for row in rows if row["level"] == WORD_LEVEL and row["text"].strip()]
    paragraphs = []
    for _, in_paragraph in groupby(words, lambda row: (row["block_num"], row["par_num"])):
        lines = groupby(in_paragraph, lambda row: row["line_num"])
        paragraphs.append("\n".join(" ".join(row["text"] for row in in_line) for _, in_line in lines))
    confidence = sum(float(row["conf"]) for row in words) / len(words) / 100 if words else 0.0
    return Reading("\n\n".join(paragraphs), f"tesseract {_version()}", confidence, sum(p.count("\n") + 1 for p in paragraphs))


def orientation(picture: "Image") -> Orientation | None:
    """Return how the picture stands and its script; None when it has too few characters to tell."""
    found = dict(ORIENTATION.findall(_run(picture, "--psm", "0")))
    if "Script" not in found:
        return None
    is_sure = float(found["Orientation confidence"]) >= MIN_TURN_CONFIDENCE
    return Orientation(int(found["Rotate"]) if is_sure else 0, found["Script"], float(found["Script confidence"]))


@lru_cache(maxsize=1)
def _version() -> str:
    said = subprocess.run(["tesseract", "--version"], capture_output=True, text=True, timeout=DEADLINE_S, check=False).stdout
    found = VERSION.search(said)
    return found.group(1) if found else "unknown"


def _run(picture: "Image", *arguments: str) -> str:
    """Return what the program prints for a picture; also when it ends with exit code 1, as it does where it finds too little to go by."""
    raw = io.BytesIO()
    picture.convert("L").save(raw, "PPM")
    command = ["tesseract", "stdin", "stdout", "--dpi", "200", *arguments]
    environment = os.environ | {"OMP_THREAD_LIMIT": "1"}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment) as process:
        resource.prlimit(process.pid, resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
        resource.prlimit(process.pid, resource.RLIMIT_CPU, (CPU_S, CPU_S))
        try:
            printed, _ = process.communicate(raw.getvalue(), DEADLINE_S)
        except subprocess.TimeoutExpired as error:
            process.kill()
            raise TesseractFailed(f"tesseract did not end within {DEADLINE_S:g} s") from error
    if process.returncode not in (0, 1):
        raise TesseractFailed(f"tesseract ended with {process.returncode}")
    return printed.decode("utf-8", "replace")
