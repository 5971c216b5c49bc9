"""One worker process as the pool sees it: started, given a document, watched, ended."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Generic, TypeVar

import psutil

from skillyard.documents.result import Parsed, Rejected, Spool, reject
from skillyard.documents.spool import SpoolFile
from skillyard.documents.wire import READY, decode_fields, decode_result, encode_fields

MAX_RESULT_BYTES = 512 * 1024**2
PASSED_ON = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "TMPDIR", "HOME", "LANG", "LC_ALL")
"""All of the environment that a worker sees: it reads hostile bytes and has no use for anybody's keys."""
ONE_THREAD = {"OMP_NUM_THREADS": "1", "RAYON_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
START_S = 60.0
FULL_SHARE = 0.8
MAX_DEADLINE_S = 1_800.0
"""However many of its pages have to be read by OCR, each of which asks for time of its own; more than ``patience.MAX_S`` grants."""

Result = TypeVar("Result")
Done = TypeVar("Done")


@dataclass(frozen=True, slots=True)
class Work(Generic[Result]):
    """What a pool's workers do with a document."""

    module: str
    """Started as a program with the connection's descriptor and the memory in MiB."""
    decode: Callable[[bytes, Callable[[], Spool]], Result | Rejected]
    """Reads its answer, of which the first byte is no brace; ValueError, TypeError or KeyError when that makes no sense."""
    told: tuple[str, ...] = ()
    """What each worker is told once."""


def parsing(passwords: Sequence[str] = ()) -> Work[Parsed]:
    """Return the work of reading documents; the passwords are tried on encrypted ones."""
    return Work("skillyard.documents.worker", decode_result, tuple(passwords))


class WorkerFailed(RuntimeError):
    """A worker could not even start: the installation is at fault, not a document."""


@dataclass(slots=True)
class Job:
    """One document at a worker; ``kind`` and ``mime_type`` are known once the worker has looked at it."""

    key: str
    name: str
    doc_id: str
    started_at: float
    deadline_s: float
    spool: Path
    """Where the worker may put the bytes of what lies in an archive."""
    kind: str = "unknown"
    mime_type: str = "application/octet-stream"
    peak_mb: float = 0.0

    def extend(self, more_s: float) -> None:
        """Let it have so many seconds from now, within the most that any document may take."""
        wanted_s = time.monotonic() - self.started_at + more_s
        self.deadline_s = max(self.deadline_s, min(wanted_s, MAX_DEADLINE_S))

    def reject(self, error_kind: str, found: str) -> Rejected:
        """Return this document's reject."""
        return reject(self.doc_id, self.kind, self.mime_type, error_kind, found)


class WorkerProcess(Generic[Result]):
    """A fresh interpreter behind one connection, in a session of its own so that it dies with all it may have started."""

    def __init__(self, memory_mb: int, work: Work[Result]) -> None:
        ours, theirs = socket.socketpair()
        self._memory_mb, self._work = memory_mb, work
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        with theirs:
            # The kernel's limit lies above the watched one: being watched tells why, the kernel only ends what is too fast to see.
            command = [sys.executable, "-P", "-m", work.module, str(theirs.fileno()), str(memory_mb + memory_mb // 2)]
            self._process = subprocess.Popen(
                command,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._stderr,
                env={name: os.environ[name] for name in PASSED_ON if name in os.environ} | ONE_THREAD,
                start_new_session=True,
            )
        self.connection = Connection(ours.detach())
        self._memory = psutil.Process(self._process.pid)
        self.has_started = False
        self.job: Job | None = None
        self.n_done = 0
        self.is_spent = False
        """It has to be replaced."""

    def is_ready(self) -> bool:
        """Return whether it can take a document now."""
        if not self.has_started and self.connection.poll():
            self.wait_ready()
        return self.has_started

    def wait_ready(self) -> None:
        """Return once it has said that it is there; ``WorkerFailed`` when it dies first."""
        try:
            if not self.connection.poll(START_S) or self.connection.recv_bytes() != READY:
                raise WorkerFailed(f"a parser process did not start within {START_S:.0f} s.")
            self.connection.send_bytes(encode_fields({str(number): text for number, text in enumerate(self._work.told)}))
        except (EOFError, ConnectionError) as error:
            raise WorkerFailed(f"a parser process does not start: {self._last_words() or self._how_it_ended()}") from error
        self.has_started = True

    def take(self, job: Job, data: bytes) -> bool:
        """Give it a document; False when it is no longer there to take it."""
        self.job = job
        try:
            told = {"name": job.name, "doc_id": job.doc_id, "deadline_s": job.deadline_s, "spool": str(job.spool)}
            self.connection.send_bytes(encode_fields(told))
            self.connection.send_bytes(data)
        except OSError:
            return False
        return True

    def receive(self) -> Result | Rejected | None:
        """Return the result it has sent, or the reject that its death means; None when it says what the document is or needs more time."""
        job = self._current()
        try:
            message = self.connection.recv_bytes(MAX_RESULT_BYTES)
            if message.startswith(b"{"):
                fields = decode_fields(message)
                if "more_s" in fields:
                    job.extend(float(fields["more_s"]))
                    return None
                job.kind, job.mime_type = str(fields["kind"]), str(fields["mime_type"])
                return None
            result = self._work.decode(message, lambda: SpoolFile(job.spool))
        except (EOFError, ConnectionError):
            return self._done(self._reject_of_death(job), is_spent=True)
        except OSError:
            return self._done(job.reject("too_large", f"its text is larger than {MAX_RESULT_BYTES:,} bytes"), is_spent=True)
        except (ValueError, TypeError, KeyError) as error:
            return self._done(job.reject("crashed", f"the parser's answer makes no sense: {error}"), is_spent=True)
        return self._done(result, is_spent=isinstance(result, Rejected) and result.error_kind == "out_of_memory")

    def check_limits(self) -> Rejected | None:
        """Return the reject of a document that has had its time or its memory; the worker is then to be ended."""
        job = self._current()
        if time.monotonic() - job.started_at > job.deadline_s:
            return self._done(job.reject("timed_out", f"not finished after {job.deadline_s:g} s"), is_spent=True)
        try:
            job.peak_mb = max(job.peak_mb, self._memory.memory_info().rss / 1024**2)
        except psutil.Error:
            return None  # it is ending: the next look finds its last message or its death
        if job.peak_mb > self._memory_mb:
            return self._done(job.reject("out_of_memory", f"used {job.peak_mb:.0f} MiB, allowed are {self._memory_mb}"), is_spent=True)
        return None

    def end(self) -> None:
        """End it and whatever it started."""
        self.connection.close()
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._stderr.close()

    def _current(self) -> Job:
        assert self.job is not None
        return self.job

    def _done(self, result: Done, is_spent: bool) -> Done:
        self._current().spool.unlink(missing_ok=True)
        self.job, self.n_done, self.is_spent = None, self.n_done + 1, is_spent or self._is_nearly_full()
        return result

    def _is_nearly_full(self) -> bool:
        """Return whether so much memory was never given back that the next document could be blamed for it."""
        with suppress(psutil.Error):
            return bool(self._memory.memory_info().rss > self._memory_mb * FULL_SHARE * 1024**2)
        return True

    def _reject_of_death(self, job: Job) -> Rejected:
        """A parser that is refused memory by the kernel aborts: what it held before tells that from a crash."""
        ended = self._how_it_ended()
        if self._process.returncode == -signal.SIGALRM:
            return job.reject("timed_out", f"not finished long after {job.deadline_s:g} s")
        if self._process.returncode < 0 and job.peak_mb > self._memory_mb / 2:
            return job.reject("out_of_memory", f"{ended} at {job.peak_mb:.0f} MiB, allowed are {self._memory_mb}")
        return job.reject("crashed", f"{ended} {self._last_words()}")

    def _how_it_ended(self) -> str:
        code = self._process.wait()
        return f"ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"

    def _last_words(self) -> str:
        """Return the last line it wrote to its standard error."""
        self._stderr.seek(0, os.SEEK_END)
        self._stderr.seek(max(0, self._stderr.tell() - 2000))
        lines = self._stderr.read().decode("utf-8", "replace").strip().splitlines()
        return lines[-1][:200] if lines else ""
