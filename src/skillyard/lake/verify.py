"""Is the lake what it should be? Every table against itself, the tables against each other, the runs against the tables."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from skillyard.lake.contents import find_contents
from skillyard.lake.lake import Lake
from skillyard.lake.problems import Findings, Problem
from skillyard.lake.read import table_names
from skillyard.lake.verify_across import verify_across
from skillyard.lake.verify_table import TableCheck

__all__ = ["Problem", "Verification", "verify"]


@dataclass(frozen=True, slots=True)
class Verification:
    """What was looked at, and what is wrong with it."""

    n_tables: int
    n_files: int
    n_rows: int
    problems: tuple[Problem, ...]


def verify(
    lake: Lake, tables: Sequence[str] | None = None, is_deep: bool = False, say: Callable[[str], None] | None = None
) -> Verification:
    """Check these tables, or all of them and what they say of each other; ``is_deep`` reads every value. Memory: 8 bytes a row.

    It may run beside publishes: what they leave for a moment is no problem. ``UnknownName`` for a table that is not there.
    """
    say = say or (lambda _: None)
    findings, checks = Findings(), []
    names = table_names(lake) if tables is None else [find_contents(lake, name).table.name for name in tables]
    for name in names:
        check = TableCheck(lake, name, findings, is_deep, say).run()
        checks.append(check)
        if check.n_files:
            say(f"{name}: {check.n_files} files, {check.n_rows} rows")
    if tables is None:
        verify_across(lake, findings, say)
    return Verification(len(names), sum(check.n_files for check in checks), sum(check.n_rows for check in checks), findings.rows())
