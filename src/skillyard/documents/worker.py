"""One process of the pool: reads documents from its connection and answers with their pages, until the connection ends.

Started by ``pool.py`` as ``python -P -m skillyard.documents.worker``; its own imports are light, a reader's come with the first document
of its kind.
"""

import math
import resource
import signal
import sys
from multiprocessing.connection import Connection

from skillyard.documents.parse import NO_OPTIONS, identify, read_as
from skillyard.documents.result import Rejected
from skillyard.documents.wire import READY, decode_fields, encode_fields, encode_result

GRACE_S = 10.0
"""Beyond its deadline a parse that nobody watches any more (the pool's process is gone) ends by the kernel's alarm."""


def main() -> None:
    """Serve the connection whose descriptor is the first argument, within the memory (MiB) of the second."""
    connection, memory_mb = Connection(int(sys.argv[1])), int(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Counts what is written to, as resident memory does; RLIMIT_AS counts address space, of which an idle thread reserves 64 MB.
    resource.setrlimit(resource.RLIMIT_DATA, (memory_mb * 1024**2, memory_mb * 1024**2))
    connection.send_bytes(READY)
    while True:
        try:
            job = decode_fields(connection.recv_bytes())
            data = connection.recv_bytes()
        except (EOFError, ConnectionError):
            return
        signal.alarm(math.ceil(job["deadline_s"] + GRACE_S))
        _answer(connection, data, job["name"], job["doc_id"])
        signal.alarm(0)
        del data


def _answer(connection: Connection, data: bytes, name: str, doc_id: str) -> None:
    """Send what the document is, so that the pool knows it if this process dies, then the result."""
    found = identify(data, name, doc_id)
    connection.send_bytes(encode_fields({"kind": found.kind, "mime_type": found.mime_type}))
    connection.send_bytes(encode_result(found if isinstance(found, Rejected) else read_as(found, data, doc_id, NO_OPTIONS)))


if __name__ == "__main__":
    main()
