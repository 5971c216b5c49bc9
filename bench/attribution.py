"""Nightly attribution of a generated ledger: all tables, in a fresh process, beside the same tables written by hand in DuckDB's SQL.

Ours is what the DAG runs: every day read, checked for doubled, negative and lost rows, summed up, charged, validated and published. By hand
(``by_hand.py``) the same rows are made straight from the files, and nothing else. They take turns; a time is that of the whole process,
imports included. The sums of both and of the ledger have to be equal to the last decimal.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from statistics import median

import pyarrow.compute as pc

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bench.by_hand import MEASURED, make_tables
from bench.figures import Figure, parser, report
from bench.ledger_rows import FIRST, days, write_lake
from skillyard.costs.prices.book import PriceBook
from skillyard.lake.lake import Lake
from skillyard.lake.read import read, scan

SIZES = (1_000_000, 3_000_000, 10_000_000)
MOST_S, MOST_GB, LEAST_RATIO, MOST_GROWTH = 60, 2.0, 0.5, 1.3
PROFILE = "hybrid"
"""Its expert is the dearest model of the ledger."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One process."""

    seconds: float
    rss_gb: float
    spilled_gb: float
    """The most that stood in its folder for temporary files."""
    said: dict[str, str]


def main() -> int:
    """Measure and report; 1 when a goal is missed. Quick, fewer rows and no goals of speed."""
    options = parser(__doc__).parse_args()
    sizes, n_rounds = ((20_000, 100_000), 1) if options.quick else (SIZES, 3)
    book = PriceBook.load(ROOT / "include")
    load = os.getloadavg()[0]
    ours: dict[int, list[Turn]] = {}
    with tempfile.TemporaryDirectory(prefix="skillyard-bench-", dir=os.environ.get("TMPDIR")) as folder:
        for size in sizes:
            lake = Path(folder) / str(size)
            started = time.perf_counter()
            write_lake(Lake(str(lake)), size, book)
            print(f"{size} rows generated in {time.perf_counter() - started:.0f} s", flush=True)
            hand: list[Turn] = []
            ours[size] = []
            for _ in range(n_rounds):
                for name in MEASURED:
                    shutil.rmtree(lake / name, ignore_errors=True)
                ours[size].append(turn("--ours", lake, Path(folder)))
                if size == sizes[-1]:
                    hand.append(turn("--by-hand", lake, Path(folder)))
            differing = check(lake, hand)
            if size != sizes[-1]:
                shutil.rmtree(lake)
    figures = [*growth(ours, options.quick), *beside(ours[sizes[-1]], hand, options.quick)]
    figures.append(Figure("sums that differ: tables, ledger, SQL", len(differing), "sums", "= 0", not differing))
    for line in differing:
        print(line)
    shape = f"{', '.join(f'{size:,}' for size in sizes)} rows of {len(days())} days, {n_rounds} rounds by turns"
    return report(figures, f"{shape}; load average before {load:.1f}", options.json)


def growth(ours: dict[int, list[Turn]], is_quick: bool) -> list[Figure]:
    """Return the time by size, and how it grows: a row of the largest beside one of the smallest, and the rows added first and last."""
    seconds = {size: median(one.seconds for one in turns) for size, turns in ours.items()}
    sizes = sorted(seconds)
    figures = [Figure(f"{size / 1e6:g}M rows: all tables", seconds[size], "s") for size in sizes[:-1]]
    if is_quick:
        return figures
    a_row = {size: seconds[size] / size for size in sizes}
    worst = a_row[sizes[-1]] / min(a_row.values())
    added = [(seconds[big] - seconds[small]) / (big - small) for small, big in pairwise(sizes)]
    figures.append(Figure("growth: a row of 10M / the cheapest of all sizes", worst, "ratio", f"<= {MOST_GROWTH}", worst <= MOST_GROWTH))
    figures.append(
        Figure(
            "growth: a row from 3M to 10M / from 1M to 3M",
            added[1] / added[0],
            "ratio",
            f"<= {MOST_GROWTH}",
            added[1] <= added[0] * MOST_GROWTH,
        )
    )
    return figures


def beside(ours: list[Turn], hand: list[Turn], is_quick: bool) -> list[Figure]:
    """Return the figures of the largest ledger."""
    ratios = sorted(theirs.seconds / own.seconds for own, theirs in zip(ours, hand, strict=True))
    seconds, ratio, rss = median(one.seconds for one in ours), median(ratios), max(one.rss_gb for one in ours)

    def goal(text: str, is_met: bool) -> tuple[str, bool | None]:
        return ("", None) if is_quick else (text, is_met)

    return [
        Figure("largest: all tables", seconds, "s", *goal(f"<= {MOST_S}", seconds <= MOST_S)),
        Figure("largest: slowest round", max(one.seconds for one in ours), "s"),
        Figure("largest: peak RSS", rss, "GB", *goal(f"<= {MOST_GB}", rss <= MOST_GB)),
        Figure("largest: most in temporary files", max(one.spilled_gb for one in ours), "GB"),
        Figure("by hand: all tables", median(one.seconds for one in hand), "s"),
        Figure("by hand: peak RSS", max(one.rss_gb for one in hand), "GB"),
        Figure("ours / by hand, speed", ratio, "ratio", *goal(f">= {LEAST_RATIO}", ratio >= LEAST_RATIO)),
        Figure(f"lowest ratio of {len(ratios)}", ratios[0], "ratio"),
        Figure("highest", ratios[-1], "ratio"),
    ]


def turn(way: str, lake: Path, folder: Path) -> Turn:
    """Run one way in a process of its own and watch its temporary files."""
    spill = folder / "spill"
    spill.mkdir()
    env = {**os.environ, **environment(lake, folder), "TMPDIR": str(spill)}
    started, most = time.perf_counter(), 0
    with subprocess.Popen([sys.executable, __file__, way, str(lake), str(spill)], env=env, stdout=subprocess.PIPE, text=True) as process:
        while process.poll() is None:
            most = max(most, size_of(spill))
            time.sleep(0.1)
        seconds = time.perf_counter() - started
        assert process.stdout is not None
        said = process.stdout.read()
    if process.returncode:
        raise SystemExit(f"{way} ended with {process.returncode}")
    shutil.rmtree(spill)
    found = json.loads(said.splitlines()[-1])
    return Turn(seconds, found.pop("rss_gb"), most / 1e9, found)


def environment(lake: Path, folder: Path) -> dict[str, str]:
    """Return the variables of an installation over the lake; nobody is asked, so its keys are none."""
    own = {"SKILLYARD_HOME": ROOT, "SKILLYARD_LAKE": lake, "SKILLYARD_STATE": f"sqlite:///{folder}/state.db", "SKILLYARD_PROFILE": PROFILE}
    return {name: str(value) for name, value in own.items()} | {"OPENAI_API_KEY": "none", "ANTHROPIC_API_KEY": "none"}


def attribute_alone() -> None:
    """Make and publish all tables, as the DAG does."""
    from skillyard.costs.attribution import attribute, check_reports
    from skillyard.settings import Settings

    check_reports(attribute(Settings.from_env(), FIRST, days()[-1]))
    print(json.dumps({"rss_gb": peak_rss_gb()}))


def by_hand_alone(lake: Path, spill: Path) -> None:
    """Make all tables in SQL and print what they sum up to."""
    totals = make_tables(lake, PriceBook.load(ROOT / "include"), spill)
    print(json.dumps({"rss_gb": peak_rss_gb()} | {name: str(value) for name, value in totals.items()}))


def check(path: Path, hand: list[Turn]) -> list[str]:
    """Return what does not agree: our tables with the ledger, with each other, and with what was made by hand."""
    lake = Lake(str(path))
    sums = {f"{table}.{column}": total(lake, table, column) for table, columns in MEASURED.items() for column in columns}
    ledger = sum((Decimal(pc.sum(batch.column(0)).as_py() or 0) for batch in scan(lake, "llm_calls", ["cost_usd"])), Decimal(0))
    saved = sum(total(lake, "savings_daily", f"{way}_saved_usd") for way in ("routing", "cache", "batch"))
    pairs = [
        ("ledger", "cost_daily.cost_usd", ledger, sums["cost_daily.cost_usd"]),
        ("ledger", "unit_costs.cost_usd", ledger, sums["unit_costs.cost_usd"]),
        ("ledger", "savings_daily.cost_usd", ledger, sums["savings_daily.cost_usd"]),
        ("ledger", "focus.BilledCost", ledger, sums["focus.BilledCost"]),
        ("shared", "allocated", total(lake, "cost_daily", "shared_usd"), total(lake, "cost_daily", "allocated_usd")),
        ("baseline less savings", "cost", total(lake, "savings_daily", "baseline_usd") - saved, ledger),
    ]
    pairs += [("by hand", name, Decimal(value), sums[name]) for one in hand for name, value in one.said.items()]
    return [f"{one} says {first}, {other} {second}" for one, other, first, second in pairs if first != second]


def total(lake: Lake, table: str, column: str) -> Decimal:
    """Return the sum of a column of a table."""
    return Decimal(pc.sum(read(lake, table, [column]).column(0)).as_py() or 0)


def size_of(folder: Path) -> int:
    """Return the bytes of the files under a folder, some of which may go away meanwhile."""
    size = 0
    for found in folder.rglob("*"):
        try:
            size += found.stat().st_size
        except FileNotFoundError:
            continue
    return size


def peak_rss_gb() -> float:
    """Return the most memory this process has held."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1e6


if __name__ == "__main__":
    if sys.argv[1:2] == ["--ours"]:
        attribute_alone()
        sys.exit()
    if sys.argv[1:2] == ["--by-hand"]:
        by_hand_alone(Path(sys.argv[2]), Path(sys.argv[3]))
        sys.exit()
    sys.exit(main())
