"""Near duplicates: documents whose text is nearly that of an earlier one."""

import pyarrow as pa

from skillyard.lake.lake import Lake

MINHASH_SCHEMA = pa.schema([pa.field("doc_id", pa.string(), nullable=False), pa.field("minhash", pa.binary(), nullable=False)])


def find_duplicates(lake: Lake, part: str, new: pa.Table) -> dict[str, str]:
    """Return, by doc_id, the earlier document that each of the new ones (``MINHASH_SCHEMA``) nearly equals; keep them for later calls.

    Idempotent: the same part with the same rows gives the same answer, whatever was added in the meantime.
    """
    return {}
