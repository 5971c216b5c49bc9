"""Real servers for alerts: one that takes mail by SMTP, one that takes webhooks by HTTP, each on a free port of this machine."""

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(slots=True)
class MailServer:
    """What came in, and whether it is refused."""

    port: int = 0
    mails: list[tuple[list[str], str]] = field(default_factory=list)
    """Recipients and content."""
    logins: list[str] = field(default_factory=list)
    is_refusing: bool = False


@dataclass(slots=True)
class Hook:
    """What was posted, and the status that is answered."""

    port: int = 0
    posts: list[tuple[str, dict[str, str], dict[str, Any]]] = field(default_factory=list)
    """Path, headers and body."""
    status: int = 200


@contextmanager
def mail_server() -> Iterator[MailServer]:
    """Lend a server that speaks as much SMTP as smtplib asks of it."""
    state = MailServer()

    class Handler(socketserver.StreamRequestHandler):
        def say(self, line: str) -> None:
            self.wfile.write(f"{line}\r\n".encode())

        def handle(self) -> None:
            recipients: list[str] = []
            self.say("220 mail")
            while line := self.rfile.readline().decode().strip():
                verb = line.split(" ")[0].upper()
                if verb == "EHLO":
                    self.say("250-mail\r\n250 AUTH PLAIN")
                elif verb == "AUTH":
                    state.logins.append(line)
                    self.say("235 ok")
                elif verb == "RCPT" and not state.is_refusing:
                    recipients.append(line.split("<")[1].rstrip(">"))
                    self.say("250 ok")
                elif verb == "RCPT":
                    self.say("550 no such mailbox")
                elif verb == "DATA":
                    self.say("354 go on")
                    content = b"".join(iter(self.rfile.readline, b".\r\n"))
                    state.mails.append((recipients, content.decode()))
                    self.say("250 ok")
                else:
                    self.say("221 bye" if verb == "QUIT" else "250 ok")
                    if verb == "QUIT":
                        return

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        state.port = server.server_address[1]
        with _running(server):
            yield state


@contextmanager
def hook_server() -> Iterator[Hook]:
    """Lend a server that takes what is posted, as Slack's and other incoming webhooks do."""
    state = Hook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            state.posts.append((self.path, dict(self.headers), body))
            self.send_response(state.status)
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        state.port = server.server_address[1]
        with _running(server):
            yield state


@contextmanager
def _running(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
