"""A real HTTP proxy in front of the S3 server, which fails as networks and S3 do, on the requests it is told to.

Requests go on as they came, the signed Host header with them: the server behind checks the client's signature as ever. A client is
pointed at ``endpoint``. Give it ``Fault`` rows, or ``chaos``: any fault, at a seeded rate, on every request.
"""

import http.client
import random
import re
import socket
import struct
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

import pytest

from skillyard.storage import s3 as store_on_s3

BEFORE = ("slow_down", "conflict", "cut_before", "stall")
AFTER = ("error_after", "cut_after", "stall_after", "cut_body", "trickle")
KINDS = (*BEFORE, *AFTER)
"""Before the request arrives: refused with 503, (a PUT) with 409, the connection cut, no answer. Once it was applied: 500, the connection
cut, no answer, half an answer, an answer a little at a time."""
STALL_S = 2.0
SLICES, PAUSE_S = 10, 0.05
ANSWERS = {"slow_down": (503, "SlowDown"), "conflict": (409, "ConditionalRequestConflict"), "error_after": (500, "InternalError")}


@dataclass(slots=True)
class Fault:
    """The ``first``-th to ``first + times - 1``-th request that matches fails so."""

    kind: str
    method: str = ""
    path: str = ""
    """A regular expression that the decoded path has to contain."""
    first: int = 1
    times: int = 1
    n_seen: int = 0

    def hits(self, method: str, path: str) -> bool:
        """Return whether this request is one of those, and count it."""
        if (self.method and self.method != method) or not re.search(self.path, path):
            return False
        self.n_seen += 1
        return self.first <= self.n_seen < self.first + self.times


@dataclass(slots=True)
class FaultProxy:
    """What it is to do wrong, and what it has seen."""

    target: str
    endpoint: str = ""
    faults: Sequence[Fault] = ()
    chaos: float = 0.0
    """The share of requests that fail, each in one of ``chaos_kinds``."""
    chaos_kinds: Sequence[str] = KINDS
    dice: random.Random = field(default_factory=lambda: random.Random(1))
    seen: list[tuple[str, str, str]] = field(default_factory=list)
    """Method, path and the fault ("" for none) of every request."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def decide(self, method: str, path: str) -> str:
        """Return the kind of fault of a request, "" for none."""
        with self._lock:
            hit = [fault.kind for fault in self.faults if fault.hits(method, path)]
            kind = hit[0] if hit else ""
            if not kind and self.chaos and self.dice.random() < self.chaos:
                kind = self.dice.choice(list(self.chaos_kinds))
            if kind == "conflict" and method != "PUT":
                kind = ""
            self.seen.append((method, path, kind))
        return kind

    def environment(self, of_server: Mapping[str, str]) -> dict[str, str]:
        """Return the variables of the server behind, with this address in the place of its own."""
        return {**of_server, "AWS_ENDPOINT_URL": self.endpoint}


def without_faults(proxy: "FaultProxy", monkeypatch: pytest.MonkeyPatch, seed: int) -> "FaultProxy":
    """Return the proxy as if new, this test's clients going through it; they lose patience after half a second."""
    proxy.faults, proxy.chaos, proxy.seen = (), 0.0, []
    proxy.dice.seed(seed)
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
    monkeypatch.setattr(store_on_s3, "READ_TIMEOUT_S", 0.5)
    store_on_s3._client.cache_clear()
    return proxy


@contextmanager
def fault_proxy(target: str) -> Iterator[FaultProxy]:
    """Run a proxy in front of ``target`` (http://host:port)."""
    proxy = FaultProxy(target)
    server = _Server(("127.0.0.1", 0), _handler(proxy))
    proxy.endpoint = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is no news here."""


def _handler(proxy: FaultProxy) -> type[BaseHTTPRequestHandler]:
    target = urlsplit(proxy.target)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            kind = proxy.decide(self.command, unquote(self.path))
            if kind in BEFORE:
                self.fail(kind)
                return
            status, headers, answer = self.forward(body)
            if kind in ("error_after", "cut_after", "stall_after"):
                self.fail(kind)
                return
            self.send_response_only(status)
            for name, value in headers:
                self.send_header(name, value)
            self.end_headers()
            self.send_body(kind, answer)

        def send_body(self, kind: str, answer: bytes) -> None:
            if kind == "cut_body":
                self.wfile.write(answer[: len(answer) // 2])
                self.cut()
            elif kind == "trickle":
                step = len(answer) // SLICES + 1
                for start in range(0, len(answer), step):
                    time.sleep(PAUSE_S)
                    self.wfile.write(answer[start : start + step])
            else:
                self.wfile.write(answer)

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = handle_any

        def forward(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
            connection = http.client.HTTPConnection(str(target.hostname), target.port, timeout=60)
            try:
                connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
                for name, value in self.headers.items():
                    if name.lower() not in ("connection", "expect"):
                        connection.putheader(name, value)
                connection.endheaders(body)
                found = connection.getresponse()
                answer = found.read()
                headers = [(n, v) for n, v in found.getheaders() if n.lower() not in ("connection", "transfer-encoding")]
                if not found.getheader("Content-Length"):
                    headers.append(("Content-Length", str(len(answer))))
                return found.status, headers, answer
            finally:
                connection.close()

        def fail(self, kind: str) -> None:
            if kind in ANSWERS:
                status, code = ANSWERS[kind]
                text = b"" if self.command == "HEAD" else f"<Error><Code>{code}</Code><Message>on purpose</Message></Error>".encode()
                self.send_response_only(status)
                self.send_header("Content-Type", "application/xml")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)
                return
            if kind.startswith("stall"):
                time.sleep(STALL_S)
            self.cut()

        def cut(self) -> None:
            """Reset the connection: the client sees no orderly end."""
            self.close_connection = True
            self.wfile.flush()
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.shutdown(socket.SHUT_RDWR)

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler
