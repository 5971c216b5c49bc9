"""An S3 bucket, or a prefix in it, as a store of objects. The only importer of boto3."""

import hashlib
import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import uuid4

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    PartialCredentialsError,
    ResponseStreamingError,
)
from botocore.session import get_session
from botocore.utils import parse_timestamp

from skillyard.errors import ConfigError, LakeNotWritable, ObjectMissing, StorageError, StorageRefused
from skillyard.storage.base import ObjectInfo, check_key

MISSING = ("NoSuchKey", "404", "NotFound")
NOT_ABSENT = ("PreconditionFailed", "412")
CONFLICT = ("ConditionalRequestConflict", "409", "OperationAborted")
REFUSED = (
    "AccessDenied",
    "403",
    "Forbidden",
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "ExpiredToken",
    "InvalidToken",
    "NoSuchBucket",
    "AllAccessDisabled",
    "QuotaExceeded",
    "XMinioStorageFull",
)
TRIES = 6
CONFLICT_TRIES = 8
CONNECT_TIMEOUT_S = 5
READ_TIMEOUT_S = 30
"""Without a byte from the store."""
READ_DEADLINE_S = 600
"""For one object, all tries together."""
SLICE_BYTES = 8 << 20
WRITER = "writer"
"""The metadata that tells whose write an object is."""
CREDENTIALS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE")


def s3_endpoint() -> str | None:
    """Return the endpoint of an S3-compatible store, None for AWS itself."""
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or None


def s3_region() -> str | None:
    """Return the configured region, if any."""
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or None


class S3Storage:
    """Objects below ``s3://bucket/prefix``. Lost and throttled requests are tried again, then a ``StorageError``.

    A write on a condition whose answer is lost meets its own object when it is tried again: each carries an id of its own in the
    object's metadata, by which it is known. Equal bytes of another writer are another writer's.
    """

    def __init__(self, root: str) -> None:
        self.root = root.rstrip("/")
        self.bucket, _, prefix = self.root.removeprefix("s3://").partition("/")
        if not self.bucket:
            raise ConfigError(f"{root!r} names no bucket: write s3://bucket/prefix.")
        self._base = f"{prefix}/" if prefix else ""

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Yield the objects whose key begins with ``prefix``, sorted by key, a thousand a request."""
        with self._asking(prefix):
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=self._base + prefix)
            for page in pages:
                for found in page.get("Contents", ()):
                    if not found["Key"].endswith("/"):  # what consoles make to show an empty folder
                        key = found["Key"].removeprefix(self._base)
                        yield ObjectInfo(key, found["Size"], found["ETag"].strip('"'), found["LastModified"])

    def folders(self, prefix: str = "") -> Iterator[str]:
        """Yield the names between ``prefix`` and a further slash."""
        start = self._base + prefix
        with self._asking(prefix):
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=start, Delimiter="/")
            for page in pages:
                yield from (found["Prefix"].removeprefix(start).rstrip("/") for found in page.get("CommonPrefixes", ()))

    def head(self, key: str) -> ObjectInfo | None:
        """Return what is known of one object, None when it is not there."""
        try:
            with self._asking(key):
                found = self._client.head_object(Bucket=self.bucket, Key=self._name(key))
        except ObjectMissing:
            return None
        return ObjectInfo(key, found["ContentLength"], found["ETag"].strip('"'), found["LastModified"])

    def get(self, key: str) -> bytes:
        """Return its bytes, or raise ``ObjectMissing``; an answer that breaks off is asked for again."""
        deadline = time.monotonic() + READ_DEADLINE_S
        with self._asking(key):
            for wait_s in _waits(TRIES):
                body = self._client.get_object(Bucket=self.bucket, Key=self._name(key))["Body"]
                try:
                    return self._read(key, body, deadline)
                except (HTTPClientError, IncompleteReadError, ResponseStreamingError):
                    if wait_s is None or time.monotonic() + wait_s > deadline:
                        raise
                time.sleep(wait_s)
        raise AssertionError("unreachable")

    def put(self, key: str, data: bytes) -> str:
        """Write it, over whatever is there; return the new etag."""
        with self._asking(key, writes=True):
            return self._put(key, data)

    def put_if_absent(self, key: str, data: bytes) -> str | None:
        """Write it unless it exists: ``If-None-Match: *``."""
        return self._put_on_condition(key, data, IfNoneMatch="*")

    def copy_if_absent(self, source: str, key: str, data: bytes | None = None) -> str | None:
        """Write what ``source`` holds unless the key exists. By way of here: not every store copies on a condition."""
        return self.put_if_absent(key, self.get(source) if data is None else data)

    def replace_if_match(self, key: str, data: bytes, etag: str | None) -> str | None:
        """Write it if its etag is still ``etag``: ``If-Match``."""
        if etag is None:
            return self.put_if_absent(key, data)
        try:
            return self._put_on_condition(key, data, IfMatch=f'"{etag}"')
        except ObjectMissing:
            return None

    def delete(self, key: str) -> None:
        """Remove it; nothing happens when it is not there."""
        with self._asking(key, writes=True):
            self._client.delete_object(Bucket=self.bucket, Key=self._name(key))

    def uri(self, key: str) -> str:
        """Return the full URL of a key."""
        return f"{self.root}/{key}"

    def key(self, uri: str) -> str:
        """Return the key of a full URL."""
        return uri.removeprefix(f"{self.root}/")

    @property
    def _client(self) -> Any:
        return _client(os.getpid(), s3_endpoint(), s3_region(), *(os.environ.get(name) for name in CREDENTIALS))

    def _name(self, key: str) -> str:
        return self._base + check_key(key)

    def _read(self, key: str, body: Any, deadline: float) -> bytes:
        data = bytearray()
        for piece in body.iter_chunks(SLICE_BYTES):
            data += piece
            if time.monotonic() > deadline:
                raise StorageError(f"{self.uri(key)}: {len(data)} bytes came in {READ_DEADLINE_S} s. Try again when the network is faster.")
        return bytes(data)

    def _put_on_condition(self, key: str, data: bytes, **condition: str) -> str | None:
        """Return the new etag, or None when the condition does not hold."""
        writer = uuid4().hex
        with self._asking(key, writes=True):
            try:
                return self._put(key, data, Metadata={WRITER: writer}, **condition)
            except ClientError as error:
                if error.response["Error"]["Code"] not in NOT_ABSENT:
                    raise
                return self._etag_if_by(key, writer)

    def _etag_if_by(self, key: str, writer: str) -> str | None:
        """Return the etag of an object if this writer wrote it: a try before the one that was refused, whose answer was lost."""
        try:
            found = self._client.head_object(Bucket=self.bucket, Key=self._name(key))
        except ClientError as error:
            if error.response["Error"]["Code"] in MISSING:
                return None
            raise
        etag: str = found["ETag"].strip('"')
        return etag if found["Metadata"].get(WRITER) == writer else None

    def _put(self, key: str, data: bytes, **how: Any) -> str:
        """Write and compare the store's MD5 with ours: not every S3-compatible store checks what arrived."""
        answer = self._put_object(key, data, how)
        etag: str = answer["ETag"].strip('"')
        is_md5 = len(etag) == 32 and answer.get("ServerSideEncryption", "AES256") == "AES256"
        if is_md5 and etag != hashlib.md5(data, usedforsecurity=False).hexdigest():
            self._client.delete_object(Bucket=self.bucket, Key=self._name(key))
            raise StorageError(f"{self.uri(key)} arrived with other bytes than were sent and was removed: try again.")
        return etag

    def _put_object(self, key: str, data: bytes, how: dict[str, Any]) -> Any:
        """Write; a clash with a request under way is tried again, by the same writer."""
        for wait_s in _waits(CONFLICT_TRIES):
            try:
                return self._client.put_object(Bucket=self.bucket, Key=self._name(key), Body=data, **how)
            except ClientError as error:
                if error.response["Error"]["Code"] not in CONFLICT or wait_s is None:
                    raise
            time.sleep(wait_s)
        raise AssertionError("unreachable")

    @contextmanager
    def _asking(self, key: str, writes: bool = False) -> Iterator[None]:
        """Turn botocore's errors into ours, with the object, the store's own word and what to do."""
        refused: Callable[[str], Exception] = LakeNotWritable if writes else StorageRefused
        where = f"{self.uri(key)} (endpoint {s3_endpoint() or 'AWS'})"
        try:
            yield
        except (NoCredentialsError, PartialCredentialsError) as error:
            raise refused(f"{where}: no S3 credentials. Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or use a role.") from error
        except ClientError as error:
            found = error.response["Error"]
            code, said = found.get("Code", "?"), found.get("Message", "")
            if code in MISSING:
                raise ObjectMissing(f"{where} does not exist.") from error
            if code in REFUSED:
                advice = "Check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, the bucket's name and its policy."
                raise refused(f"{where} is refused: {code} {said}. {advice}") from error
            raise StorageError(f"{where}: {code} {said}.") from error
        except BotoCoreError as error:
            raise StorageError(f"{where}: {error}.") from error


def _waits(n_tries: int) -> Iterator[float | None]:
    """Yield how long to wait after each try, about twice as long each time; None after the last."""
    yield from (0.05 * 2**n * random.uniform(0.5, 1.5) for n in range(n_tries - 1))
    yield None


@lru_cache(maxsize=8)
def _client(process_id: int, endpoint: str | None, region: str | None, *credentials: str | None) -> Any:
    """Return the process's client: a client does not survive a fork, and tests change the environment."""
    config = Config(
        connect_timeout=CONNECT_TIMEOUT_S,
        read_timeout=READ_TIMEOUT_S,
        retries={"mode": "standard", "total_max_attempts": TRIES},
        max_pool_connections=32,
        s3={"addressing_style": "path" if endpoint else "auto"},
    )
    session = get_session()
    session.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=_parse_time)
    own = boto3.session.Session(botocore_session=session)
    return own.client("s3", endpoint_url=endpoint, region_name=region or "us-east-1", config=config)


def _parse_time(text: Any) -> datetime:
    """Return a time that a store wrote; botocore's own parser, which knows more forms, takes half of the time that a listing takes."""
    if isinstance(text, str) and text.endswith("Z"):
        with suppress(ValueError):
            return datetime.fromisoformat(text)
    found: datetime = parse_timestamp(text)
    return found
