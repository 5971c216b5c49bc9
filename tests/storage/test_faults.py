"""S3 that fails: what the store promises holds through lost answers, cuts, throttling and silence."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest

from skillyard.errors import LakeNotWritable, StorageError
from skillyard.storage import Storage, open_storage
from skillyard.storage import s3 as store_on_s3
from tests.fault_proxy import KINDS, Fault, FaultProxy, fault_proxy, without_faults
from tests.s3_server import S3Server

LOST = ("error_after", "cut_after", "stall_after")
"""The request was applied, and the client does not learn it."""


@pytest.fixture(scope="module")
def running_proxy(s3_server: S3Server) -> Iterator[FaultProxy]:
    """One proxy for the tests of this file."""
    with fault_proxy(s3_server.endpoint) as proxy:
        yield proxy


@pytest.fixture
def proxy(running_proxy: FaultProxy, s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> FaultProxy:
    """A proxy without faults, which this test's clients go through; they lose patience after half a second."""
    return without_faults(running_proxy, monkeypatch, seed=1)


@pytest.fixture
def store(proxy: FaultProxy, s3: S3Server) -> Storage:
    """An empty store behind the proxy."""
    return open_storage(f"s3://{s3.bucket}/{uuid4().hex}")


def test_a_wrong_secret_is_refused_through_the_proxy_too(store: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    store.put("a", b"x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong-secret")
    with pytest.raises(LakeNotWritable, match="SignatureDoesNotMatch"):
        store.put("a", b"y")


@pytest.mark.parametrize("kind", KINDS)
def test_every_request_survives_one_fault_of_every_kind(store: Storage, proxy: FaultProxy, kind: str) -> None:
    proxy.faults = [Fault(kind, method) for method in ("PUT", "GET", "HEAD", "DELETE")]
    data = bytes(range(256)) * 400
    etag = store.put_if_absent("a", data)
    assert store.get("a") == data
    head = store.head("a")
    assert head is not None
    assert (head.etag, head.size_bytes) == (etag, len(data))
    store.delete("a")
    proxy.faults = [Fault(kind, "GET", "list-type")]
    store.put("b", b"x")
    assert [found.key for found in store.list()] == ["b"]
    assert any(fault for _, _, fault in proxy.seen)


@pytest.mark.parametrize("kind", LOST)
def test_a_write_whose_answer_was_lost_is_known_as_our_own(store: Storage, proxy: FaultProxy, kind: str) -> None:
    proxy.faults = [Fault(kind, "PUT")]
    first = store.put_if_absent("a", b"one")
    assert first is not None
    proxy.faults = [Fault(kind, "PUT")]
    second = store.replace_if_match("a", b"two", first)
    assert second is not None
    assert store.get("a") == b"two"
    assert store.replace_if_match("a", b"three", second) is not None
    assert [fault for method, _, fault in proxy.seen if method == "PUT"] == [kind, "", kind, "", ""]


def test_equal_bytes_of_another_writer_are_not_taken_for_our_own(store: Storage, proxy: FaultProxy) -> None:
    assert store.put_if_absent("a", b"same") is not None
    assert store.put_if_absent("a", b"same") is None
    etag = store.put("b", b"old")
    assert store.replace_if_match("b", b"same", etag) is not None
    assert store.replace_if_match("b", b"same", etag) is None


@pytest.mark.parametrize("kind", ["error_after", "cut_after", "conflict", "slow_down"])
def test_of_many_that_write_at_once_one_wins_however_answers_are_lost(store: Storage, proxy: FaultProxy, kind: str) -> None:
    for number in range(3):
        proxy.chaos, proxy.chaos_kinds = 0.4, [kind]
        start = threading.Barrier(6)

        def write(_: int, key: str = f"race/{number}", start: threading.Barrier = start) -> str | None:
            start.wait()
            return store.put_if_absent(key, b"equal bytes")

        with ThreadPoolExecutor(6) as pool:
            assert sum(etag is not None for etag in pool.map(write, range(6))) == 1


def test_a_store_that_stays_away_is_a_storage_error_within_its_deadline(store: Storage, proxy: FaultProxy) -> None:
    proxy.chaos, proxy.chaos_kinds = 1.0, ["cut_before"]
    for ask in (lambda: store.get("a"), lambda: store.put("a", b"x"), lambda: store.put_if_absent("a", b"x"), lambda: list(store.list())):
        with pytest.raises(StorageError, match="endpoint"):
            ask()
    assert len(proxy.seen) <= 4 * store_on_s3.TRIES


def test_a_body_that_never_ends_is_given_up(store: Storage, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    store.put("a", bytes(100_000))
    monkeypatch.setattr(store_on_s3, "READ_DEADLINE_S", 0.2)
    proxy.chaos, proxy.chaos_kinds = 1.0, ["trickle"]
    with pytest.raises(StorageError, match="Try again"):
        store.get("a")
