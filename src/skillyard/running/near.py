"""Near duplicates: a document whose text is nearly that of an earlier one is marked with the earlier one's id.

The MinHash of every document lies in ``_near/<part>.parquet`` on the lake. Two documents are compared when one of 16 bands of their
hashes is equal, and are near duplicates from an estimated resemblance of ``NEAR`` on.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from skillyard.documents.minhash import N_HASHES
from skillyard.lake.lake import Lake

NEAR = 0.8
"""The share of phrases that two texts have in common, of all that are in one or the other."""
N_BANDS = 16
"""Of 8 hashes each: a pair that resembles by 0.8 shares a band with a chance of 95 %, by 0.9 of 99.99 %, by 0.5 of 6 %."""
FOLDER = "_near/"
MINHASH_SCHEMA = pa.schema([pa.field("doc_id", pa.string(), nullable=False), pa.field("minhash", pa.binary(), nullable=False)])
INDEX_SCHEMA = MINHASH_SCHEMA.append(pa.field("duplicate_of", pa.string()))

Hashes = npt.NDArray[np.uint32]
Keys = npt.NDArray[np.uint64]


def find_duplicates(lake: Lake, part: str, new: pa.Table) -> dict[str, str]:
    """Return, by doc_id, the earlier document that each of the new ones (``MINHASH_SCHEMA``) nearly equals; keep them for later calls.

    Earlier: on the lake by any other part, or before it in ``new``. A document is never a duplicate of one that is marked itself. The
    caller keeps the answer: asked again when more was added, it may be another.
    """
    if new.num_rows == 0:
        return {}
    doc_ids, hashes = new["doc_id"].to_pylist(), _hashes(new)
    keys = _band_keys(hashes)
    found = _among_earlier(lake, part, doc_ids, hashes, keys) if keys.size else {}
    _among_themselves(doc_ids, hashes, keys, found)
    originals = pa.array([found.get(doc_id) for doc_id in doc_ids], pa.string())
    lake.write_frame(
        f"{FOLDER}{part}.parquet", new.select(MINHASH_SCHEMA.names).append_column(INDEX_SCHEMA.field("duplicate_of"), originals)
    )
    return found


def _among_earlier(lake: Lake, part: str, doc_ids: list[str], hashes: Hashes, keys: Keys) -> dict[str, str]:
    """Return the new documents that nearly equal one that another part has added."""
    order = np.argsort(keys, axis=None)
    sorted_keys, rows = keys.ravel()[order], order // N_BANDS
    found: dict[str, str] = {}
    for earlier_ids, earlier in _index(lake, part):
        earlier_keys = _band_keys(earlier).ravel()
        at = np.searchsorted(sorted_keys, earlier_keys)
        hits = np.flatnonzero(sorted_keys[np.minimum(at, len(sorted_keys) - 1)] == earlier_keys)
        for hit in hits:
            other = int(hit) // N_BANDS
            for near in range(int(at[hit]), len(sorted_keys)):
                if sorted_keys[near] != earlier_keys[hit]:
                    break
                row = int(rows[near])
                is_new = doc_ids[row] not in found and doc_ids[row] != earlier_ids[other]
                if is_new and _resemblance(hashes[row], earlier[other]) >= NEAR:
                    found[doc_ids[row]] = earlier_ids[other]
    return found


def _among_themselves(doc_ids: list[str], hashes: Hashes, keys: Keys, found: dict[str, str]) -> None:
    """Add the new documents that nearly equal one before them. Of a band's equals only the first is kept: time stays linear."""
    first: dict[tuple[int, int], int] = {}
    for row, doc_id in enumerate(doc_ids):
        if doc_id in found:
            continue
        bands = list(enumerate(keys[row].tolist()))
        rivals = {first[band] for band in bands if band in first}
        original = next((other for other in sorted(rivals) if _resemblance(hashes[row], hashes[other]) >= NEAR), None)
        if original is not None:
            if doc_ids[original] != doc_id:
                found[doc_id] = doc_ids[original]
            continue
        for band in bands:
            first.setdefault(band, row)


def _index(lake: Lake, part: str) -> Iterator[tuple[list[str], Hashes]]:
    """Yield the documents of every other part that are no duplicates themselves, a part at a time."""
    for info in lake.storage.list(FOLDER):
        if info.key != f"{FOLDER}{part}.parquet":
            rows = lake.read_frame(info.key)
            rows = rows.filter(rows["duplicate_of"].is_null())
            if rows.num_rows:
                yield rows["doc_id"].to_pylist(), _hashes(rows)


def _hashes(rows: pa.Table) -> Hashes:
    """Return documents × hashes."""
    return np.frombuffer(b"".join(rows["minhash"].to_pylist()), "<u4").reshape(-1, N_HASHES)


def _band_keys(hashes: Hashes) -> Keys:
    """Return documents × bands: a number that two documents share when their hashes of the band are equal."""
    mixed = np.random.default_rng(1).integers(1, 2**63, N_HASHES, dtype=np.uint64) | np.uint64(1)
    products = (hashes.astype(np.uint64) + np.uint64(1)) * mixed
    keys: Keys = np.bitwise_xor.reduce(products.reshape(len(hashes), N_BANDS, -1), axis=2)
    return keys


def _resemblance(one: Hashes, other: Hashes) -> float:
    return float(np.mean(one == other))
