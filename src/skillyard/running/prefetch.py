"""Objects of the inbox loaded a little ahead of the parsers, in their order, within bounds of number and size."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

from skillyard.running.inbox import InboxItem

T = TypeVar("T")

N_THREADS = 8
MAX_AHEAD = 64
MAX_AHEAD_BYTES = 64 * 1024**2


def prefetch(items: Iterable[InboxItem], load: Callable[[InboxItem], T]) -> Iterator[tuple[InboxItem, Future[T]]]:
    """Yield each item with what was loaded as a finished future, whose ``result`` raises what loading raised."""
    ahead: deque[tuple[InboxItem, Future[T]]] = deque()
    held_bytes = 0
    source = iter(items)
    following = next(source, None)
    with ThreadPoolExecutor(N_THREADS, "prefetch") as pool:
        try:
            while following is not None or ahead:
                while following is not None and (
                    not ahead or (len(ahead) < MAX_AHEAD and held_bytes + following.size_bytes <= MAX_AHEAD_BYTES)
                ):
                    ahead.append((following, pool.submit(load, following)))
                    held_bytes += following.size_bytes
                    following = next(source, None)
                item, future = ahead.popleft()
                held_bytes -= item.size_bytes
                with suppress(Exception):
                    future.result()
                yield item, future
        finally:
            for _, future in ahead:
                future.cancel()
