"""What only S3 can do wrong: refusals, clashes, bytes that change on the way."""

import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from skillyard.errors import ConfigError, LakeNotWritable, StorageError, StorageRefused, Transient
from skillyard.storage import open_storage
from tests.s3_server import S3Server

CLASH = b"<Error><Code>ConditionalRequestConflict</Code><Message>a request is under way</Message></Error>"


def test_a_wrong_secret_is_refused_and_not_repeated(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong-secret")
    storage = open_storage(f"s3://{s3.bucket}/x")
    with pytest.raises(StorageRefused, match="SignatureDoesNotMatch") as reading:
        storage.get("a")
    with pytest.raises(LakeNotWritable, match="AWS_SECRET_ACCESS_KEY") as writing:
        storage.put("a", b"x")
    assert "wrong-secret" not in f"{reading.value} {writing.value}"


def test_missing_credentials_are_named(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    with pytest.raises(LakeNotWritable, match="Set AWS_ACCESS_KEY_ID"):
        open_storage(f"s3://{s3.bucket}/x").put("a", b"x")


def test_a_bucket_that_does_not_exist_is_told(s3: S3Server) -> None:
    storage = open_storage("s3://no-such-bucket/x")
    with pytest.raises(LakeNotWritable, match="NoSuchBucket"):
        storage.put("a", b"x")
    with pytest.raises(StorageRefused, match="NoSuchBucket"):
        list(storage.list())


def test_a_listing_goes_on_after_a_thousand_keys(s3: S3Server) -> None:
    storage = open_storage(f"s3://{s3.bucket}/many")
    for n in range(1005):
        storage.put(f"{n:04d}", b"x")
    assert [found.key for found in storage.list()] == [f"{n:04d}" for n in range(1005)]


def test_a_url_without_a_bucket_is_refused() -> None:
    with pytest.raises(ConfigError, match="names no bucket"):
        open_storage("s3:///x")


def test_a_clash_with_a_request_under_way_is_tried_again(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    clashes = iter([CLASH, CLASH])

    def answer(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        _answer(handler, 409, clash) if (clash := next(clashes, b"")) else _answer(handler, 200, etag=hashlib.md5(body).hexdigest())

    with _s3_that(answer) as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        assert open_storage("s3://bucket").put_if_absent("a", b"x") == hashlib.md5(b"x").hexdigest()


def test_bytes_that_changed_on_the_way_are_removed_and_told(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def answer(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        seen.append(handler.command)
        _answer(handler, 200, etag="0" * 32)

    with _s3_that(answer) as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        with pytest.raises(StorageError, match="other bytes than were sent") as raised:
            open_storage("s3://bucket").put("a", b"x")
    assert isinstance(raised.value, Transient)
    assert seen == ["PUT", "DELETE"]


def _answer(handler: BaseHTTPRequestHandler, status: int, body: bytes = b"", etag: str = "") -> None:
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(body)))
    if etag:
        handler.send_header("ETag", f'"{etag}"')
    handler.end_headers()
    handler.wfile.write(body)


@contextmanager
def _s3_that(answer: Callable[[BaseHTTPRequestHandler, bytes], None]) -> Iterator[str]:
    """Run an HTTP server that misbehaves as no honest S3 can be made to."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_PUT(self) -> None:
            answer(self, self.rfile.read(int(self.headers["Content-Length"])))

        def do_DELETE(self) -> None:
            answer(self, b"")

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
