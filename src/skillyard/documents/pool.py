"""Documents worked on in processes of their own: one that hangs, grows or dies takes nothing with it but itself.

Workers are started as fresh interpreters, not by ``multiprocessing``: a forked one would inherit the threads and locks of an Airflow
task, a spawned one would import the caller's ``__main__``, and both are forbidden in a daemonic process such as a Celery worker's.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count
from multiprocessing.connection import wait
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Generic, Self

from skillyard.documents.process import Job, Result, Work, WorkerProcess, parsing
from skillyard.documents.result import Parsed, Rejected, doc_id_of

POLL_S = 0.02
"""How often memory and deadlines are looked at; a parser fills about 10 MB meanwhile."""

MEMORY_MB = 640
"""Resident memory of one worker: what it may use before it is stopped, with room below 700 for what it grows by unseen."""

Item = tuple[str, str, bytes | Callable[[], bytes]]
"""A key of the caller's, the document's name, and its bytes or how to load them."""


class WorkerPool(Generic[Result]):
    """``n_workers`` processes that do one kind of work; each document has ``deadline_s`` seconds and ``memory_mb`` MiB of resident memory.

    A context manager. ``work_on`` holds one document per worker in memory, whatever the number of items.
    """

    def __init__(
        self, work: Work[Result], n_workers: int = 2, deadline_s: float = 60.0, memory_mb: int = MEMORY_MB, recycle_after: int = 2_000
    ) -> None:
        if n_workers < 1 or deadline_s <= 0 or memory_mb < 128:
            raise ValueError(
                f"a pool of {n_workers} workers, {deadline_s} s and {memory_mb} MiB: at least 1, more than 0 and 128 are needed."
            )
        self._n_workers, self._deadline_s, self._memory_mb, self._recycle_after = n_workers, deadline_s, memory_mb, recycle_after
        self._work = work
        self._workers: list[WorkerProcess[Result]] = []
        self._added: deque[Item] = deque()
        self._folder = TemporaryDirectory(prefix="skillyard-members-")
        self._job_numbers = count()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End every worker."""
        for worker in self._workers:
            worker.end()
        self._workers.clear()
        self._folder.cleanup()

    def add(self, key: str, name: str, data: bytes | Callable[[], bytes]) -> None:
        """Work on this too, before whatever is left of the items that the running ``work_on`` was given."""
        self._added.append((key, name, data))

    def work_on(self, items: Iterable[Item]) -> Iterator[tuple[str, Result | Rejected]]:
        """Yield each item's key once with its result, in the order in which they finish.

        Items are taken, and their bytes loaded, only when a worker is free. An error raised by loading ends it.
        """
        source = iter(items)
        is_over = False
        try:
            while True:
                while (self._added or not is_over) and (worker := self._free_worker()):
                    try:
                        key, name, data = self._added.popleft() if self._added else next(source)
                    except StopIteration:
                        is_over = True
                        break
                    self._hand_over(worker, key, name, data() if callable(data) else data)
                if is_over and not self._added and not self._busy():
                    return
                yield from self._collect()
        finally:
            self._added.clear()
            for worker in self._busy():
                self._remove(worker)

    def _busy(self) -> list[WorkerProcess[Result]]:
        return [worker for worker in self._workers if worker.job is not None]

    def _free_worker(self) -> WorkerProcess[Result] | None:
        """Return an idle worker that is ready; see to it that there are as many workers as there may be."""
        while len(self._workers) < self._n_workers:
            self._workers.append(WorkerProcess(self._memory_mb, self._work))
        if not any(worker.has_started for worker in self._workers):
            self._workers[0].wait_ready()
        for worker in self._workers:
            if worker.job is None and worker.is_ready():
                return worker
        return None

    def _hand_over(self, worker: WorkerProcess[Result], key: str, name: str, data: bytes) -> None:
        """Give a document to a worker; to a fresh one when that died idle, which is not the document's fault."""
        spool = Path(self._folder.name) / str(next(self._job_numbers))
        job = Job(key, name, doc_id_of(data), time.monotonic(), self._deadline_s, spool)
        if not worker.take(job, data):
            self._remove(worker)
            self._workers.append(worker := WorkerProcess(self._memory_mb, self._work))
            worker.wait_ready()
            job.started_at = time.monotonic()
            worker.take(job, data)

    def _collect(self) -> Iterator[tuple[str, Result | Rejected]]:
        """Yield what is there after at most a moment; look after the workers that are still at it."""
        wait([worker.connection for worker in self._workers if worker.job or not worker.has_started], POLL_S)
        for worker in self._busy():
            job = worker.job
            assert job is not None
            # Asked now, not before an earlier yield: the caller may have taken longer with that than the deadline.
            result = worker.receive() if worker.connection.poll() else worker.check_limits()
            if result is None:
                continue
            if worker.is_spent or worker.n_done >= self._recycle_after:
                self._remove(worker)
            yield job.key, result

    def _remove(self, worker: WorkerProcess[Result]) -> None:
        worker.end()
        self._workers.remove(worker)


class ParsePool(WorkerPool[Parsed]):
    """The processes that parse documents; ``passwords`` are tried on encrypted ones."""

    def __init__(
        self,
        n_workers: int = 2,
        deadline_s: float = 60.0,
        memory_mb: int = MEMORY_MB,
        recycle_after: int = 2_000,
        passwords: Sequence[str] = (),
    ) -> None:
        super().__init__(parsing(passwords), n_workers, deadline_s, memory_mb, recycle_after)

    def parse(self, items: Iterable[Item]) -> Iterator[tuple[str, Parsed | Rejected]]:
        """Yield each document's key once with its pages or its reject; see ``work_on``."""
        return self.work_on(items)
