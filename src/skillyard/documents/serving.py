"""The loop of a worker process: takes documents from its connection and has them answered, until the connection ends.

Each worker of ``pool.py`` is started as ``python -P -m <module>`` whose ``main`` calls ``serve``; its own imports are light, what a
document needs comes with the first of its kind.
"""

import math
import resource
import signal
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from skillyard.documents.spool import MAX_EXPANDED_BYTES
from skillyard.documents.wire import READY, decode_fields

MAX_FILE_BYTES = MAX_EXPANDED_BYTES + 64 * 1024**2
GRACE_S = 10.0
"""Beyond its deadline a document that nobody watches any more (the pool's process is gone) ends by the kernel's alarm."""

Answer = Callable[[dict[str, Any], bytes], None]
"""Sends the answer to a document, given its job's fields and its bytes."""


def serve(begin: Callable[[Connection, tuple[str, ...]], Answer]) -> None:
    """Serve the connection whose descriptor is the first argument, within the memory (MiB) of the second.

    ``begin`` is given the connection and what the worker is told once.
    """
    connection, memory_mb = Connection(int(sys.argv[1])), int(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Counts what is written to, as resident memory does; RLIMIT_AS counts address space, of which an idle thread reserves 64 MB.
    resource.setrlimit(resource.RLIMIT_DATA, (memory_mb * 1024**2, memory_mb * 1024**2))
    # Whoever unpacks without end does not fill the disk.
    resource.setrlimit(resource.RLIMIT_FSIZE, (MAX_FILE_BYTES, MAX_FILE_BYTES))
    connection.send_bytes(READY)
    answer = begin(connection, tuple(decode_fields(connection.recv_bytes()).values()))
    while True:
        try:
            job = decode_fields(connection.recv_bytes())
            data = connection.recv_bytes()
        except (EOFError, ConnectionError):
            return
        signal.alarm(math.ceil(job["deadline_s"] + GRACE_S))
        try:
            answer(job, data)
        except ConnectionError:  # nobody waits for it any more
            Path(job["spool"]).unlink(missing_ok=True)
            return
        signal.alarm(0)
        del data
