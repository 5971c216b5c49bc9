"""Publishing and reading a million result rows beside bare pyarrow, and compaction: how fast, and how much memory it holds.

Ours publishes through ``replace_rows``: schema checked, keys looked at, every row hashed, staged, the manifest switched, placed. pyarrow
writes the same table, types and compression, into the same partition. Both flush to the disk. They take turns in one process; imports
and the first turn are not counted. Validation is a step of its own before a publish: its time is shown without a goal.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from statistics import median

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bench.figures import Figure, parser, report
from skillyard.lake.lake import Lake
from skillyard.lake.publish import append, replace_rows
from skillyard.lake.read import read
from skillyard.lake.results import results_table
from skillyard.lake.tables import PAGES, Table
from skillyard.lake.validate import validate

WORDS = ("invoice", "contract", "letter", "report", "billing", "legal", "tax", "memo", "order", "claim", "policy", "notice")
OUTPUT = {
    "type": "object",
    "properties": {
        "tags": {"type": "array", "items": {"type": "string"}},
        "kind": {"type": "string", "enum": ["invoice", "contract", "letter"]},
        "total": {"type": ["number", "null"], "x-decimal": True},
        "issued_on": {"type": ["string", "null"], "format": "date"},
        "summary": {"type": "string"},
    },
}
RESULTS = results_table("bench", 1, OUTPUT)
DAY = datetime(2026, 11, 20, 12, tzinfo=UTC)
WRITE_GOAL, READ_GOAL = 0.6, 0.9
COMPACT_RSS_MB = 800
"""Most that compacting may hold: the pages it merges are more than that when they are read whole."""


def main() -> int:
    """Measure and report; 1 when a ratio falls short. Quick, fewer rows and no goals."""
    options = parser(__doc__).parse_args()
    n_rows, n_turns = (100_000, 2) if options.quick else (1_000_000, 5)
    rows = make_results(n_rows)
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="skillyard-bench-") as folder:
        figures += compare_writes(Path(folder), rows, n_turns, options.quick)
        figures += compare_reads(Path(folder), rows, n_turns, options.quick)
        figures.append(Figure("validation of the same rows", timed(lambda: validate(Lake(f"{folder}/checked"), RESULTS, rows)), "s"))
        figures += compaction(Path(folder), options.quick)
    figures += inbox(options.quick)
    text = f"{n_rows} result rows of {rows.num_columns} columns, {rows.nbytes / n_rows:.0f} bytes each in memory, {n_turns} turns"
    return report(figures, f"{text}; load average before {os.getloadavg()[0]:.1f}", options.json)


def compare_writes(folder: Path, rows: pa.Table, n_turns: int, is_quick: bool) -> list[Figure]:
    """Return seconds to write the rows, pyarrow's and ours by turns."""

    def bare() -> None:
        path = folder / "bare" / "dt=2026-11-20"
        path.mkdir(parents=True)
        with (path / "part-0.parquet").open("wb") as file:
            pq.write_table(rows, file, compression="zstd")
            file.flush()
            os.fsync(file.fileno())

    def ours() -> None:
        replace_rows(Lake(str(folder / "ours")), RESULTS, rows, "a")

    pairs = []
    for turn in range(n_turns + 1):
        for name in ("bare", "ours"):
            shutil.rmtree(folder / name, ignore_errors=True)
        pair = (timed(bare), timed(ours))
        pairs += [pair] if turn else []
    return ratio("publish", pairs, rows.num_rows, None if is_quick else WRITE_GOAL)


def compare_reads(folder: Path, rows: pa.Table, n_turns: int, is_quick: bool) -> list[Figure]:
    """Return seconds to read what was written, as one file and as many, pyarrow's and ours by turns."""
    figures, many = [], Lake(str(folder / "many"))
    for number in range(20):
        replace_rows(many, RESULTS, rows.slice(number * rows.num_rows // 20, rows.num_rows // 20), f"p{number:02d}")
    for name, lake in (("read", Lake(str(folder / "ours"))), ("read 20 files", many)):
        path = f"{lake.url.removeprefix('file://')}/{RESULTS.name}"

        def bare(path: str = path) -> None:
            assert ds.dataset(path, partitioning="hive").to_table().num_rows == rows.num_rows

        def ours(lake: Lake = lake) -> None:
            assert read(lake, RESULTS).num_rows == rows.num_rows

        pairs = [(timed(bare), timed(ours)) for _ in range(n_turns + 1)][1:]
        figures += ratio(name, pairs, rows.num_rows, None if is_quick else READ_GOAL)
    return figures


def ratio(name: str, pairs: list[tuple[float, float]], n_rows: int, goal: float | None) -> list[Figure]:
    """Return the figures of turns of (bare, ours), in seconds."""
    ratios = sorted(bare / ours for bare, ours in pairs)
    middle = median(ratios)
    return [
        Figure(f"{name}: pyarrow", n_rows / median(bare for bare, _ in pairs) / 1e6, "M rows/s"),
        Figure(f"{name}: ours", n_rows / median(ours for _, ours in pairs) / 1e6, "M rows/s"),
        Figure(f"{name}: ours / pyarrow", middle, "ratio", f">= {goal}" if goal else "", middle >= goal if goal else None),
        Figure(f"{name}: lowest ratio of {len(ratios)}", ratios[0], "ratio"),
        Figure(f"{name}: highest", ratios[-1], "ratio"),
    ]


def compaction(folder: Path, is_quick: bool) -> list[Figure]:
    """Return what merging a day of pages takes, in a process of its own."""
    lake = Lake(str(folder / "pages"))
    n_parts, n_pages = (20, 500) if is_quick else (60, 10_000)
    for number in range(n_parts):
        append(lake, PAGES, make_pages(number, n_pages), f"p{number:04d}")
    size_mb = sum(found.size_bytes for found in lake.storage.list("pages/")) / 1e6
    done = subprocess.run([sys.executable, __file__, "--compact", lake.url], capture_output=True, text=True, check=True)
    seconds, rss_mb, start_mb, n_files = map(float, done.stdout.split())
    is_flat = None if is_quick else rss_mb <= COMPACT_RSS_MB
    return [
        Figure(f"compact {n_parts} files: read and written", size_mb / seconds, "MB/s"),
        Figure(f"compact {n_parts} files: {size_mb:.0f} MB become", n_files, "files"),
        Figure("compact: peak RSS", rss_mb, "MB", "" if is_quick else f"<= {COMPACT_RSS_MB}", is_flat),
        Figure("compact: RSS before", start_mb, "MB"),
    ]


def compact_alone(url: str) -> None:
    """Compact a lake and print seconds, peak RSS and RSS at the start in MB, and the files there are then."""
    from skillyard.lake.compact import compact

    lake = Lake(url)
    start_mb = peak_rss_mb()
    seconds = timed(lambda: list(compact(lake)))
    print(seconds, peak_rss_mb(), start_mb, sum(1 for _ in lake.storage.list("pages/dt=")))


def peak_rss_mb() -> float:
    """Return the most memory this process has held; what ``getrusage`` says begins with what its parent held."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1e3


def inbox(is_quick: bool) -> list[Figure]:
    """Return the figures of ingestion from S3, where its bench is there."""
    try:
        from bench.inbox import inbox_figures
    except ImportError:
        return []
    found: list[Figure] = inbox_figures(is_quick)
    return found


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that work takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def make_results(n: int) -> pa.Table:
    """Return result rows in no order, with texts, lists, labels, money and dates."""
    random = np.random.default_rng(1)
    ids = [hashlib.sha256(str(i).encode()).hexdigest() for i in range(n)]
    ends = np.concatenate([[0], np.cumsum(random.integers(0, 4, n))]).astype(np.int32)
    tags = pa.array(np.array(WORDS)[random.integers(0, len(WORDS), ends[-1])].tolist())
    fill = {
        "item_id": ids,
        "doc_id": [hashlib.sha256(one.encode()).hexdigest() for one in ids],
        "uri": [f"s3://inbox/2026/{i % 100}/document-{i}.pdf" for i in range(n)],
        "tags": pa.ListArray.from_arrays(pa.array(ends), tags),
        "kind": np.array(["invoice", "contract", "letter"])[random.integers(0, 3, n)].tolist(),
        "total": [Decimal(i) / 100 if i % 5 else None for i in range(n)],
        "issued_on": [DAY.date() if i % 3 else None for i in range(n)],
        "summary": [" ".join(words) for words in np.array(WORDS)[random.integers(0, len(WORDS), (n, 11))]],
        "tier": np.array(["fast", "standard", "expert"])[random.integers(0, 3, n)].tolist(),
        "route_score": random.random(n),
        "cost_usd": [Decimal(i % 1000).scaleb(-7) for i in range(n)],
    }
    same = {"fingerprint": "ab" * 32, "is_stale": False, "n_attempts": 1, "n_escalations": 0, "produced_at": DAY, "produced_on": DAY.date()}
    return _table(RESULTS, n, fill, same)


def make_pages(number: int, n: int) -> pa.Table:
    """Return pages of about 1.5 kB of text that compresses as text does."""
    random = np.random.default_rng(number)
    words = np.char.add(np.array(WORDS)[random.integers(0, len(WORDS), 20_000)], random.integers(0, 10**5, 20_000).astype(str))
    text = " ".join(words.tolist())
    starts = random.integers(0, len(text) - 1500, n)
    fill = {
        "doc_id": [hashlib.sha256(f"{number}-{i}".encode()).hexdigest() for i in range(n)],
        "text": [text[start : start + 1500] for start in starts.tolist()],
        "headings": [[]] * n,
        "tables": [[]] * n,
    }
    return _table(PAGES, n, fill, {"page_no": 1, "n_chars": 1500, "rescue_level": 0, "status": "text", "ingested_on": DAY.date()})


def _table(table: Table, n: int, fill: dict[str, object], same: dict[str, object]) -> pa.Table:
    columns = []
    for field in table.schema:
        value = fill.get(field.name, [same.get(field.name, None if field.nullable else "constant")] * n)
        columns.append((value if isinstance(value, pa.Array) else pa.array(value)).cast(field.type))
    return pa.table(columns, schema=table.schema)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--compact"]:
        compact_alone(sys.argv[2])
        sys.exit()
    sys.exit(main())
