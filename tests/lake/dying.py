"""Publishes that die: a process that forks a child per order and kills it (SIGKILL) before its n-th write to the store.

``python -m tests.lake.dying`` reads orders from standard input, a JSON line each, and answers each with a line: how many children were
killed. Its imports are done once. What a process that died after a write leaves is what one leaves that dies before the next: so the
states before every n, and the one after the last write, are all there are.
"""

import importlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.dataset
import pyarrow.fs

from skillyard.lake import lake as lake_module
from skillyard.lake.compact import compact
from skillyard.lake.correct import correct
from skillyard.lake.cost_tables import COST_DAILY
from skillyard.lake.lake import Lake
from skillyard.lake.publish import append, mark_stale, replace_partition, replace_rows
from skillyard.lake.results import to_results
from skillyard.lake.tables import LLM_CALLS, PAGES
from skillyard.storage import Storage
from tests.lake.rows import DAY, TAGS, call, cost, pages, results

NEXT = DAY + timedelta(days=1)
UNSEEN = ("_quality/", "quality_checks/", "_parts/quality_checks/")
"""Records of checks: they are tables of their own, dying between them is no state of the table that is published."""
READS = ("list", "folders", "head", "get", "uri", "root")
UNKNOWN = {"status": "unknown", "cost_usd": None, "error_kind": "timeout"}


def cost_rows(n_calls: int) -> pa.Table:
    """Return a day's bill of one skill."""
    return pa.Table.from_pylist([cost("tag-document", n_calls)], schema=COST_DAILY.schema)


def ledger_rows(first: int) -> pa.Table:
    """Return five attempts of unknown outcome."""
    return to_results(LLM_CALLS, [call(f"c-{i}", **UNKNOWN) for i in range(first, first + 5)])


def prepare(lake: Lake) -> None:
    """Write what stands in the tables before."""
    append(lake, PAGES, pages(2), "a")
    replace_partition(lake, COST_DAILY, DAY, cost_rows(1))
    append(lake, LLM_CALLS, ledger_rows(0), "a")
    append(lake, LLM_CALLS, ledger_rows(5), "b")
    replace_rows(lake, TAGS, results(range(6)), "a")
    append(lake, PAGES, pages(2, doc_id="7" * 64), "a2")
    replace_rows(lake, TAGS, results(range(20, 23)), "a2")


def _append(lake: Lake) -> None:
    rows = [pages(3, DAY, doc_id="1" * 64), pages(2, NEXT, doc_id="2" * 64)]
    append(lake, PAGES, pa.concat_tables(rows), "b")


def merge(lake: Lake, table: str) -> None:
    """Compact a table whose days are all over."""
    for _ in compact(lake, [table], NEXT + timedelta(days=1)):
        pass


def _correct(lake: Lake) -> None:
    settled = {"status": "settled", "cost_usd": Decimal("0.25"), "error_kind": None}
    correct(lake, LLM_CALLS, DAY, {"c-1": settled})


PUBLISHES: Mapping[str, tuple[str, Callable[[Lake], object]]] = {
    "append": (PAGES.name, _append),
    "recompute": (COST_DAILY.name, lambda lake: replace_partition(lake, COST_DAILY, DAY, cost_rows(2))),
    "recompute-to-nothing": (COST_DAILY.name, lambda lake: replace_partition(lake, COST_DAILY, DAY, cost_rows(1).slice(0, 0))),
    "correct": (LLM_CALLS.name, _correct),
    "add-results": (TAGS.name, lambda lake: replace_rows(lake, TAGS, results(range(6, 9), NEXT, model="new"), "b")),
    "replace-results": (TAGS.name, lambda lake: replace_rows(lake, TAGS, results(range(4, 8), NEXT, model="new"), "b")),
    "mark-stale": (TAGS.name, lambda lake: mark_stale(lake, TAGS, "cd" * 32)),
    "compact-appended": (PAGES.name, lambda lake: merge(lake, PAGES.name)),
    "compact-results": (TAGS.name, lambda lake: merge(lake, TAGS.name)),
}
"""By name: the table, and the publish into it."""


def race(lake: Lake, number: int) -> None:
    """Publish as one of several at the same time: some rows of one's own, some that the others write too; number 0 compacts beside."""
    if number == 0:
        for table in (PAGES.name, TAGS.name) * 4:
            merge(lake, table)
        return
    for part in "xyz":
        rows = results(range(number * 4, number * 4 + 8), model=f"m{number}")
        replace_rows(lake, TAGS, rows, f"race-{number}{part}")
        append(lake, PAGES, pages(2, DAY, doc_id=f"{number}{part}"), f"race-{number}{part}")
    append(lake, PAGES, pages(2, NEXT, doc_id="f" * 64), "same-of-all")
    replace_partition(lake, COST_DAILY, DAY, cost_rows(10 + number))


class Dying:
    """A store whose process is killed before its n-th write (from 0)."""

    def __init__(self, storage: Storage, n_writes: int) -> None:
        self._storage, self.root, self._n_left, self._lock = storage, storage.root, n_writes, threading.Lock()

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._storage, name)
        if name in READS:
            return method

        def write(*arguments: Any, **named: Any) -> Any:
            with self._lock:
                if arguments[0].startswith(UNSEEN):
                    return method(*arguments, **named)
                if self._n_left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                self._n_left -= 1
            return method(*arguments, **named)

        return write


class Mortal:
    """The process that forks those that die."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def order(self, **order: Any) -> int:
        """Have it done; return how many of its children were killed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(order), file=self._process.stdin, flush=True)
        answer = json.loads(self._process.stdout.readline() or '{"failed": "the process is gone"}')
        assert "failed" not in answer, answer["failed"]
        n_killed: int = answer["killed"]
        return n_killed


@contextmanager
def mortal(environment: Mapping[str, str]) -> Iterator[Mortal]:
    """Run such a process."""
    command = [sys.executable, "-m", "tests.lake.dying"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, **environment}) as process:
        yield Mortal(process)
        assert process.stdin is not None
        process.stdin.close()


def _work(order: dict[str, Any], start: int, number: int) -> None:
    os.read(start, 1)  # until all of them are there
    open_storage = lake_module.open_storage
    lake_module.open_storage = lambda url: Dying(open_storage(url), order.get("n_writes", -1))  # type: ignore[assignment, return-value]
    lake = Lake(order["lake"])
    if order["publish"] == "race":
        race(lake, number)
    else:
        PUBLISHES[order["publish"]][1](lake)


def _fork(order: dict[str, Any], start: int, number: int) -> int:
    child = os.fork()
    if child == 0:
        code = 1
        try:
            _work(order, start, number)
            code = 0
        except BaseException as error:
            print(f"{order}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
        os._exit(code)
    return child


def _serve() -> None:
    for line in sys.stdin:
        order = json.loads(line)
        if order["publish"] == "correct":
            importlib.import_module("great_expectations")  # seconds, once
        start, go = os.pipe()
        children = [_fork(order, start, number) for number in range(order.get("n_processes", 1))]
        os.write(go, b"." * len(children))
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        os.close(start)
        os.close(go)
        failed = [code for code in codes if code not in (0, -signal.SIGKILL)]
        answer = {"failed": f"exit codes {codes}, see standard error"} if failed else {"killed": codes.count(-signal.SIGKILL)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    _serve()
