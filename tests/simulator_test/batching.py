"""Batches at the simulator, as plain HTTP."""

import json
import time
import uuid
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from tests.simulator_test.asking import request

JSONL = "application/jsonl"


def row(n: int, **more: Any) -> dict[str, Any]:
    """Return the row that asks what ``request(n)`` asks."""
    return {"custom_id": f"row-{n}", "method": "POST", "url": "/v1/chat/completions", "body": request(n), **more}


def jsonl(rows: Iterable[Mapping[str, Any]]) -> bytes:
    """Return rows as a file's content."""
    return b"".join(json.dumps(r).encode() + b"\n" for r in rows)


def call(method: str, url: str, body: Any = None, content_type: str = "application/json") -> tuple[int, Any]:
    """Send a request and return the status and the answer, parsed when it is JSON."""
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    try:
        with urlopen(Request(url, data, {"content-type": content_type}, method=method), timeout=30) as got:
            status, kind, raw = got.status, got.headers.get_content_type(), got.read()
    except HTTPError as error:
        with error:
            status, kind, raw = error.code, error.headers.get_content_type(), error.read()
    return status, json.loads(raw) if kind == "application/json" else raw


def upload(url: str, content: bytes, purpose: str = "batch") -> tuple[int, Any]:
    """Upload a file."""
    mark = uuid.uuid4().hex.encode()
    fields = b'--%b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\n%b\r\n' % (mark, purpose.encode())
    file = b'--%b\r\nContent-Disposition: form-data; name="file"; filename="in.jsonl"\r\n\r\n%b\r\n--%b--\r\n' % (mark, content, mark)
    return call("POST", f"{url}/files", fields + file, f"multipart/form-data; boundary={mark.decode()}")


def create(url: str, rows: Iterable[Mapping[str, Any]], **more: Any) -> dict[str, Any]:
    """Upload the rows, create a batch over them and return it."""
    _, file = upload(url, jsonl(rows))
    asked = {"input_file_id": file["id"], "endpoint": "/v1/chat/completions", "completion_window": "24h"}
    status, batch = call("POST", f"{url}/batches", asked | more)
    assert status == 200, batch
    return batch  # type: ignore[no-any-return]


def wait(url: str, batch_id: str, *states: str, timeout_s: float = 20) -> dict[str, Any]:
    """Poll until the batch is in one of the states, or has ended when none is given."""
    ends = states or ("completed", "failed", "expired", "cancelled")
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        _, batch = call("GET", f"{url}/batches/{batch_id}")
        if batch["status"] in ends:
            return batch  # type: ignore[no-any-return]
        time.sleep(0.01)
    raise AssertionError(f"the batch is still {batch['status']}")


def results(url: str, batch: Mapping[str, Any], what: str = "output") -> dict[str, dict[str, Any]]:
    """Return the lines of a batch's output or error file by custom_id; none when it has no such file."""
    if batch[f"{what}_file_id"] is None:
        return {}
    _, raw = call("GET", f"{url}/files/{batch[f'{what}_file_id']}/content")
    lines = [json.loads(line) for line in raw.splitlines()]
    assert len({line["custom_id"] for line in lines}) == len(lines)
    return {line["custom_id"]: line for line in lines}
