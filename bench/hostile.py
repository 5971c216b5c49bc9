"""Hostile and encrypted PDFs through the real pool, beside bare pypdfium2 in a process of its own on the same files.

What is asked for: each document ends as text or as a typed reject within its deadline, no hang, no dead pool, no empty text that says
nothing, every document that needs a password says so, and no worker is ever larger than 700 MB.
"""

import json
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from bench.figures import Figure
from skillyard.documents import Parsed, ParsePool, Rejected

DEADLINE_S = 60.0
OVERTIME_S = 10.0
MOST_RSS_MB = 700
BARE_DEADLINE_S = 20.0
BARE = """
import json, resource, sys
import pypdfium2
out = {"text": 0, "error": ""}
try:
    document = pypdfium2.PdfDocument(sys.argv[1])
    for number in range(len(document)):
        out["text"] += len(document[number].get_textpage().get_text_bounded().strip())
except Exception as error:
    out["error"] = f"{type(error).__name__} {getattr(error, 'err_code', '')}"
out["rss_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps(out))
"""
PASSWORD_ERROR = "PdfiumError 4"


@dataclass(slots=True)
class Outcome:
    """How the pool did."""

    results: dict[str, Parsed | Rejected] = field(default_factory=dict)
    took_s: dict[str, float] = field(default_factory=dict)
    peak_rss_mb: float = 0.0
    n_dead_pools: int = 0


def hostile_figures(data: Path, is_quick: bool) -> list[Figure]:
    """Return the figures of the hostile and the encrypted PDFs below ``data``, the shared data's folder."""
    bad = sorted((data / "docs" / "pdf_bad").glob("*.pdf"))
    encrypted = sorted((data / "docs" / "pdf_kinds" / "encrypted").glob("*.pdf"))
    outcome = _through_pool([*bad, *encrypted], 2)
    results = outcome.results
    errors = Counter(result.error_kind for file in bad if isinstance(result := results.get(str(file)), Rejected))
    bare = {str(file): _bare(file) for file in (encrypted if is_quick else [*bad, *encrypted])}
    locked = [str(file) for file in encrypted if bare[str(file)]["error"] == PASSWORD_ERROR]
    silent = [key for key, result in results.items() if isinstance(result, Parsed) and _is_silent(result)]
    unsaid = [key for key in locked if not _says_password(results.get(key))]
    slowest_s = max(outcome.took_s.values(), default=0.0)
    n_files = len(bad) + len(encrypted)
    return [
        Figure("hostile PDFs", len(bad), "files"),
        Figure("… that gave text", sum(_has_text(results.get(str(file))) for file in bad), "files"),
        Figure("… parsed without text, and saying so", sum(_is_blank(results.get(str(file))) for file in bad), "files"),
        *(Figure(f"… refused: {kind}", n, "files") for kind, n in sorted(errors.items())),
        Figure("encrypted PDFs", len(encrypted), "files"),
        Figure("… that gave text", sum(_has_text(results.get(str(file))) for file in encrypted), "files"),
        _goal_zero("… that need a password and do not say so", len(unsaid), "files"),
        _goal_zero("hangs: no answer in time", n_files - len(results), "files"),
        _goal_zero("pools that died", outcome.n_dead_pools, "pools"),
        _goal_zero("silent empties", len(silent), "files"),
        Figure("slowest document", slowest_s, "s", f"<= {DEADLINE_S + 1:.0f}", slowest_s <= DEADLINE_S + 1),
        Figure("peak RSS of a worker", outcome.peak_rss_mb, "MB", f"<= {MOST_RSS_MB}", outcome.peak_rss_mb <= MOST_RSS_MB),
        *(() if is_quick else _bare_figures([bare[str(file)] for file in bad])),
    ]


def _through_pool(files: list[Path], n_workers: int) -> Outcome:
    outcome, started = Outcome(), dict[str, float]()

    def load(file: Path) -> bytes:
        content = file.read_bytes()
        started[str(file)] = time.monotonic()
        return content

    is_over = threading.Event()
    watcher = threading.Thread(target=_watch, args=(outcome, is_over))
    watcher.start()
    try:
        with ParsePool(n_workers, DEADLINE_S) as pool:
            for key, result in pool.parse((str(file), file.name, lambda file=file: load(file)) for file in files):
                outcome.took_s[key] = time.monotonic() - started[key]
                if outcome.took_s[key] <= DEADLINE_S + OVERTIME_S:
                    outcome.results[key] = result
    except Exception as error:
        print(f"the pool died: {type(error).__name__}: {error}", file=sys.stderr)
        outcome.n_dead_pools += 1
    finally:
        is_over.set()
        watcher.join()
    return outcome


def _watch(outcome: Outcome, is_over: threading.Event) -> None:
    """Read every worker's high-water mark often enough to see it before the worker ends."""
    while not is_over.wait(0.01):
        for child in psutil.Process().children():
            with suppress(OSError, StopIteration, IndexError):
                status = Path(f"/proc/{child.pid}/status").read_text()
                mark = next(line for line in status.splitlines() if line.startswith("VmHWM"))
                outcome.peak_rss_mb = max(outcome.peak_rss_mb, int(mark.split()[1]) / 1024)


def _bare(file: Path) -> dict[str, str | float]:
    try:
        ended = subprocess.run([sys.executable, "-c", BARE, str(file)], capture_output=True, text=True, timeout=BARE_DEADLINE_S)
    except subprocess.TimeoutExpired:
        return {"text": 0, "error": "hang", "rss_mb": 0.0}
    return json.loads(ended.stdout) if ended.stdout else {"text": 0, "error": "crash", "rss_mb": 0.0}


def _bare_figures(bare: list[dict[str, str | float]]) -> list[Figure]:
    return [
        Figure("bare pypdfium2: hostile PDFs that gave text", sum(float(one["text"]) > 0 for one in bare), "files"),
        Figure("bare pypdfium2: without text and without a word", sum(not one["text"] and not one["error"] for one in bare), "files"),
        Figure(
            f"bare pypdfium2: hangs or crashes (over {BARE_DEADLINE_S:.0f} s)",
            sum(one["error"] in ("hang", "crash") for one in bare),
            "files",
        ),
        Figure("bare pypdfium2: peak RSS", max(float(one["rss_mb"]) for one in bare), "MB"),
    ]


def _goal_zero(name: str, value: int, unit: str) -> Figure:
    return Figure(name, value, unit, "0", value == 0)


def _has_text(result: Parsed | Rejected | None) -> bool:
    return isinstance(result, Parsed) and any(page.text for page in result.pages)


def _is_blank(result: Parsed | Rejected | None) -> bool:
    return isinstance(result, Parsed) and not _has_text(result)


def _is_silent(result: Parsed) -> bool:
    return not result.pages or any((page.status == "text") != bool(page.text) for page in result.pages)


def _says_password(result: Parsed | Rejected | None) -> bool:
    return isinstance(result, Rejected) and result.error_kind == "password_required"
