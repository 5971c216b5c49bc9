"""One process of the pool: reads documents from its connection and answers with their pages, until the connection ends.

Started by ``pool.py`` as ``python -P -m skillyard.documents.worker``; its own imports are light, a reader's come with the first document
of its kind.
"""

import math
import resource
import signal
import sys
from multiprocessing.connection import Connection
from pathlib import Path

from skillyard.documents import patience
from skillyard.documents.kinds.content import ReadOptions
from skillyard.documents.parse import identify, read_as
from skillyard.documents.result import Rejected
from skillyard.documents.spool import MAX_EXPANDED_BYTES, SpoolWriter
from skillyard.documents.wire import READY, decode_fields, encode_fields, encode_result

MAX_FILE_BYTES = MAX_EXPANDED_BYTES + 64 * 1024**2
GRACE_S = 10.0
"""Beyond its deadline a parse that nobody watches any more (the pool's process is gone) ends by the kernel's alarm."""


def main() -> None:
    """Serve the connection whose descriptor is the first argument, within the memory (MiB) of the second."""
    connection, memory_mb = Connection(int(sys.argv[1])), int(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Counts what is written to, as resident memory does; RLIMIT_AS counts address space, of which an idle thread reserves 64 MB.
    resource.setrlimit(resource.RLIMIT_DATA, (memory_mb * 1024**2, memory_mb * 1024**2))
    # Whoever unpacks without end does not fill the disk.
    resource.setrlimit(resource.RLIMIT_FSIZE, (MAX_FILE_BYTES, MAX_FILE_BYTES))
    connection.send_bytes(READY)
    passwords = tuple(decode_fields(connection.recv_bytes()).values())
    patience.listen(lambda more_s: _ask_for_time(connection, more_s))
    while True:
        try:
            job = decode_fields(connection.recv_bytes())
            data = connection.recv_bytes()
        except (EOFError, ConnectionError):
            return
        signal.alarm(math.ceil(job["deadline_s"] + GRACE_S))
        patience.begin()
        spool = Path(job["spool"])
        try:
            _answer(connection, data, job["name"], job["doc_id"], ReadOptions(passwords, SpoolWriter(spool)))
        except ConnectionError:  # nobody waits for it any more
            spool.unlink(missing_ok=True)
            return
        signal.alarm(0)
        del data


def _ask_for_time(connection: Connection, more_s: float) -> None:
    """Tell the pool that the document needs so many seconds from now, and put the alarm off accordingly."""
    left_s = signal.alarm(0)
    signal.alarm(max(left_s, math.ceil(more_s + GRACE_S)))
    connection.send_bytes(encode_fields({"more_s": more_s}))


def _answer(connection: Connection, data: bytes, name: str, doc_id: str, options: ReadOptions) -> None:
    """Send what the document is, so that the pool knows it if this process dies, then the result."""
    found = identify(data, name, doc_id, options)
    looked = found if isinstance(found, Rejected) else found[0]
    connection.send_bytes(encode_fields({"kind": looked.kind, "mime_type": looked.mime_type}))
    result = found if isinstance(found, Rejected) else read_as(*found, doc_id, options)
    if options.spool:
        options.spool.close()
    connection.send_bytes(encode_result(result))


if __name__ == "__main__":
    main()
