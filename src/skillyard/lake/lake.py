"""One lake: the root URL of all output tables, and the working files of runs beside them."""

import json
from functools import cached_property
from typing import Any
from uuid import uuid4

import pyarrow as pa

from skillyard.errors import LakeNotWritable
from skillyard.lake.parquet import decode, encode
from skillyard.settings import as_url
from skillyard.storage import Storage, open_storage


class Lake:
    """Cheap to build: nothing is opened before the first read or write."""

    def __init__(self, url: str) -> None:
        self.url = as_url(url)
        self.storage: Storage = open_storage(self.url)

    def check_writable(self) -> None:
        """Write and remove a probe; ``LakeNotWritable`` when that fails or the store ignores conditions on writes."""
        key = f"_probe/{uuid4().hex}"
        self.storage.put_if_absent(key, b"probe")
        try:
            if self.storage.put_if_absent(key, b"second") is not None:
                raise LakeNotWritable(
                    f"{self.storage.uri(key)} was overwritten although it existed: this store ignores If-None-Match, so a publish "
                    "could be lost. Use a store with conditional writes (AWS S3, or a MinIO of 2024 or later)."
                )
        finally:
            self.storage.delete(key)

    def write_frame(self, key: str, rows: pa.Table) -> str:
        """Write a working table of a run (``_runs/…``), over what was there; return its key."""
        self.storage.put(key, encode(rows))
        return key

    def write_frame_once(self, key: str, rows: pa.Table) -> str:
        """Write a working table unless it is there: of several writers the first has its way; return its key."""
        self.storage.put_if_absent(key, encode(rows))
        return key

    def read_frame(self, key: str) -> pa.Table:
        """Return a working table, or raise ``ObjectMissing``."""
        return decode(self.storage.get(key))

    def write_json(self, key: str, value: object) -> str:
        """Write a JSON value, over what was there; return its key."""
        self.storage.put(key, json.dumps(value, ensure_ascii=False, sort_keys=True, indent=1).encode())
        return key

    def read_json(self, key: str) -> Any:
        """Return a JSON value, or raise ``ObjectMissing``."""
        return json.loads(self.storage.get(key))

    def has(self, key: str) -> bool:
        """Return whether an object is there."""
        return self.storage.head(key) is not None

    @cached_property
    def filesystem(self) -> Any:
        """The same root for Arrow's readers, which fetch single columns of a large object."""
        from pyarrow import fs

        if not self.url.startswith("s3://"):
            from skillyard.storage.local import LocalStorage

            return fs.SubTreeFileSystem(str(LocalStorage(self.url).folder), fs.LocalFileSystem())
        from skillyard.storage.s3 import CONNECT_TIMEOUT_S, TRIES, s3_endpoint, s3_region

        patience = {"connect_timeout": CONNECT_TIMEOUT_S, "retry_strategy": fs.AwsStandardS3RetryStrategy(max_attempts=TRIES)}
        root, endpoint = self.url.removeprefix("s3://"), s3_endpoint()
        region = s3_region() or ("us-east-1" if endpoint else fs.resolve_s3_region(root.partition("/")[0]))
        if endpoint is None:
            return fs.SubTreeFileSystem(root, fs.S3FileSystem(region=region, **patience))
        scheme, _, host = endpoint.rstrip("/").rpartition("://")
        return fs.SubTreeFileSystem(root, fs.S3FileSystem(region=region, scheme=scheme or "https", endpoint_override=host, **patience))
