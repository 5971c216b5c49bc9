"""The items of a run, cut into shards in the order of their keys, each of about the same weight."""

from collections.abc import Iterable, Iterator

import pyarrow as pa

from skillyard.lake.tables import TIMESTAMP
from skillyard.running.inbox_look import InboxItem
from skillyard.running.limits import MAX_SHARDS

MIN_SHARD_ITEMS = 32
MAX_SHARD_ITEMS = 5_000
MAX_SHARD_BYTES = 4 * 1024**3
ITEM_WEIGHT_BYTES = 20_000
"""What a document costs beside its bytes, in bytes."""

SHARD_SCHEMA = pa.schema(
    [
        ("key", pa.string()),
        ("size_bytes", pa.int64()),
        ("etag", pa.string()),
        ("modified_at", TIMESTAMP),
        ("known_doc_id", pa.string()),
        ("is_retry", pa.bool_()),
    ]
)


def cut(items: Iterable[InboxItem], n_items: int, size_bytes: int, n_shards: int) -> Iterator[list[InboxItem]]:
    """Yield the items in about ``n_shards`` shards: fewer for a few documents, more where one would get too large for a task.

    Only one shard is held. Never more than ``MAX_SHARDS``: half of them may be closed by weight, half by their number of items.
    """
    half = MAX_SHARDS // 2
    n = min(n_shards, -(-n_items // MIN_SHARD_ITEMS))
    n = max(1, min(half, max(n, -(-n_items // MAX_SHARD_ITEMS), -(-size_bytes // MAX_SHARD_BYTES))))
    most = max(MAX_SHARD_ITEMS, -(-n_items // half))
    total = size_bytes + n_items * ITEM_WEIGHT_BYTES
    held: list[InboxItem] = []
    weight = n_cut = 0
    for item in items:
        held.append(item)
        weight += item.size_bytes + ITEM_WEIGHT_BYTES
        if len(held) == most or weight * n >= total * (n_cut + 1):
            yield held
            held, n_cut = [], weight * n // total
    if held:
        yield held
