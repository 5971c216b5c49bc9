"""Objects are loaded ahead, in order and within bounds."""

import threading
import time
from concurrent.futures import Future
from datetime import UTC, datetime

import pytest

from skillyard.running import prefetch as module
from skillyard.running.inbox import InboxItem
from skillyard.running.prefetch import prefetch


def items(n: int, size_bytes: int = 10) -> list[InboxItem]:
    return [InboxItem(f"{number}.txt", size_bytes, "etag", datetime(2026, 11, 21, tzinfo=UTC)) for number in range(n)]


def test_items_come_in_their_order_with_what_was_loaded():
    def load(item: InboxItem) -> str:
        time.sleep(0.01 if item.key == "0.txt" else 0)
        return item.key

    assert [(item.key, future.result()) for item, future in prefetch(items(200), load)] == [(f"{n}.txt", f"{n}.txt") for n in range(200)]


def test_what_loading_raises_waits_for_whoever_asks_for_the_result():
    def load(item: InboxItem) -> str:
        if item.key == "1.txt":
            raise OSError("the disk is gone")
        return item.key

    futures: list[Future[str]] = [future for _, future in prefetch(items(3), load)]
    assert [future.exception() is None for future in futures] == [True, False, True]
    with pytest.raises(OSError, match="the disk is gone"):
        futures[1].result()


@pytest.mark.parametrize(("size_bytes", "most"), [(1, module.MAX_AHEAD), (module.MAX_AHEAD_BYTES // 4, 4), (module.MAX_AHEAD_BYTES * 2, 1)])
def test_no_more_is_loaded_than_is_allowed_ahead(size_bytes: int, most: int):
    n_loaded = 0
    lock = threading.Lock()

    def load(item: InboxItem) -> None:
        nonlocal n_loaded
        with lock:
            n_loaded += 1

    for n_taken, _ in enumerate(prefetch(items(150, size_bytes), load)):
        time.sleep(0.001)
        assert n_loaded <= n_taken + 1 + most
    assert n_loaded == 150


def test_loads_overlap():
    started = time.monotonic()
    assert len(list(prefetch(items(40), lambda _: time.sleep(0.05)))) == 40
    assert time.monotonic() - started < 40 * 0.05 / 2


def test_who_stops_early_waits_for_no_more_than_what_is_being_loaded():
    stream = prefetch(items(1000), lambda _: time.sleep(0.02))
    next(stream)
    started = time.monotonic()
    stream.close()
    assert time.monotonic() - started < 2
