"""A server that answers every request with one recorded response, byte for byte as its provider would."""

import json
import struct
import zlib
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Replay(ThreadingHTTPServer):
    """A provider with one answer."""

    body = b""
    headers: Mapping[str, str] = {}
    is_cut = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def play(self, recorded: Mapping[str, Any]) -> None:
        """Take a recorded response: a JSON body, the lines of an event stream, or the events of AWS's own."""
        if "events" in recorded:
            kind, self.body = "application/vnd.amazon.eventstream", b"".join(map(_aws_event, recorded["events"]))
        elif "stream" in recorded:
            kind, self.body = "text/event-stream", "\n".join(recorded["stream"]).encode()
        else:
            kind, self.body = "application/json", json.dumps(recorded["body"]).encode()
        self.headers, self.is_cut = {"content-type": kind, **recorded.get("headers", {})}, recorded.get("is_cut", False)


class Handler(BaseHTTPRequestHandler):
    """Sends it, or a part of it."""

    protocol_version = "HTTP/1.1"
    server: Replay

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.do_GET()

    def do_GET(self) -> None:
        self.send_response(200)
        body, is_cut = self.server.body, self.server.is_cut
        for name, value in {**self.server.headers, "content-length": str(len(body) + is_cut)}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = is_cut

    def log_message(self, format: str, *args: Any) -> None:
        pass


def _aws_event(event: Mapping[str, Any]) -> bytes:
    """Frame one event as application/vnd.amazon.eventstream: lengths, their checksum, headers, payload, the checksum of it all."""
    said = {":event-type": event["type"], ":content-type": "application/json", ":message-type": "event"}
    headers = b"".join(struct.pack("!B", len(n)) + n.encode() + struct.pack("!BH", 7, len(v)) + v.encode() for n, v in said.items())
    payload = json.dumps(event["payload"]).encode()
    prelude = struct.pack("!II", 16 + len(headers) + len(payload), len(headers))
    framed = prelude + struct.pack("!I", zlib.crc32(prelude)) + headers + payload
    return framed + struct.pack("!I", zlib.crc32(framed))
