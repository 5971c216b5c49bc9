"""Memory that is free again goes back to the system: allocators keep it, and what one batch of rows took would add to the next one's."""

import gc

import pyarrow as pa

from skillyard.memory import trim_heap


def give_back_memory() -> None:
    """Return what Arrow and the C library hold without using it; worth some milliseconds, after a large batch."""
    gc.collect()
    pa.default_memory_pool().release_unused()
    trim_heap()
