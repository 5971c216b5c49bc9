"""One process of the pool that parses: reads documents and answers with their pages."""

import math
import signal
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from skillyard.documents import patience
from skillyard.documents.kinds.content import ReadOptions
from skillyard.documents.parse import identify, read_as
from skillyard.documents.result import Rejected
from skillyard.documents.serving import GRACE_S, Answer, serve
from skillyard.documents.spool import SpoolWriter
from skillyard.documents.wire import encode_fields, encode_result


def begin(connection: Connection, passwords: tuple[str, ...]) -> Answer:
    """Return what answers a document; the passwords are tried on encrypted ones."""
    patience.listen(lambda more_s: _ask_for_time(connection, more_s))

    def answer(job: dict[str, Any], data: bytes) -> None:
        patience.begin()
        _answer(connection, data, job["name"], job["doc_id"], ReadOptions(passwords, SpoolWriter(Path(job["spool"]))))

    return answer


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
    serve(begin)
