"""One process of a pool that runs a library skill over files: their bytes are hostile, so it has a deadline, little memory and no keys."""

import json
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from skillyard.documents.process import Work
from skillyard.documents.result import Refused, Rejected, Spool, reject
from skillyard.documents.serving import Answer, serve
from skillyard.skills.handler import load_handler
from skillyard.skills.source import Source

Value = dict[str, Any]


def handling(folder: Path, parameters: Mapping[str, Any]) -> Work[Value]:
    """Return the work of a skill's handler; ``parameters`` are all it has. An empty value: a mixed skill's handler is not sure."""
    return Work("skillyard.skills.worker", _decode, (str(folder), json.dumps(parameters)))


def begin(connection: Connection, told: tuple[str, ...]) -> Answer:
    """Return what answers a file with the handler's value, or with why there is none."""
    handle, parameters = load_handler(Path(told[0])), json.loads(told[1])

    def answer(job: dict[str, Any], data: bytes) -> None:
        try:
            said: list[Any] = ["value", handle(Source(data=data, name=job["name"]), parameters) or {}]
        except Refused as error:
            said = ["refused", job["doc_id"], error.error_kind, error.found]
        except MemoryError:
            said = ["refused", job["doc_id"], "out_of_memory", "an allocation failed"]
        except Exception as error:
            said = ["failed", job["doc_id"], "library_error", f"{type(error).__name__}: {error}"[:500]]
        connection.send_bytes(json.dumps(said, ensure_ascii=False).encode("utf-8", "surrogatepass"))

    return answer


def _decode(message: bytes, _: Callable[[], Spool]) -> Value | Rejected:
    what, *rest = json.loads(message)
    if what == "value":
        (value,) = rest
        if not isinstance(value, dict):
            raise ValueError("not an object")
        return value
    doc_id, error_kind, found = map(str, rest)
    if what == "refused":
        return reject(doc_id, "file", "application/octet-stream", error_kind, found)
    return Rejected(doc_id, "file", "application/octet-stream", error_kind, found)


if __name__ == "__main__":
    serve(begin)
