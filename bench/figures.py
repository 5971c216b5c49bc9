"""What every bench prints: each figure beside its goal, the machine and the command, as a table and as JSON."""

import argparse
import json
import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value. ``is_met`` is None for a figure without a goal."""

    name: str
    value: float
    unit: str
    goal: str = ""
    is_met: bool | None = None


def parser(description: str) -> argparse.ArgumentParser:
    """Return the options every bench has."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument("--quick", action="store_true", help="a smaller workload, under a minute")
    made.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to this file")
    return made


def report(figures: Sequence[Figure], workload: str, json_file: Path | None) -> int:
    """Print the figures, write them where asked, and return 1 when one falls short of its goal."""
    machine = f"{len(os.sched_getaffinity(0))} cores, Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    print(f"\n{' '.join(['python', *sys.argv])}\n{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {machine}\n{workload}\n")
    wide = max(len(f.name) for f in figures)
    for f in figures:
        verdict = "" if f.is_met is None else "met" if f.is_met else "FALLS SHORT"
        print(f"{f.name:<{wide}}  {f.value:>10.3f} {f.unit:<12} {f.goal:<14} {verdict}".rstrip())
    if json_file:
        json_file.write_text(json.dumps({"machine": machine, "workload": workload, "figures": [asdict(f) for f in figures]}, indent=1))
    return int(any(f.is_met is False for f in figures))
