"""How far an ingestion is: a bar on a terminal, a line every few seconds anywhere else; both on standard error."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from skillyard.cli.output import say
from skillyard.running.parsing import ParseProgress


@contextmanager
def progress_of(n_items: int) -> Iterator[Callable[[int, ParseProgress], None]]:
    """Give what shows the progress of a run over so many objects: called with those of finished shards, and how far the current one is."""
    if not sys.stderr.isatty():
        yield lambda n_before, progress: say(f"{progress}" + (f" ({n_before + progress.n_done}/{n_items} of all)" if n_before else ""))
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("parse", total=n_items)

        def show(n_before: int, progress: ParseProgress) -> None:
            bar.update(task, completed=min(n_before + progress.n_done, n_items), description=_pace(progress))

        yield show


def _pace(progress: ParseProgress) -> str:
    per_s = 1 / max(progress.elapsed_s, 1e-6)
    return f"{progress.n_done * per_s:.1f} documents/s, {progress.n_pages * per_s:.0f} pages/s, {progress.n_rejected} rejects"
