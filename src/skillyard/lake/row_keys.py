"""Keys of rows as numbers: eight bytes a row, so that millions of them are compared in little memory."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Hashes = npt.NDArray[np.int64]
NONE = np.empty(0, np.int64)


def key_texts(batch: pa.RecordBatch | pa.Table, names: Sequence[str]) -> list[str]:
    """Return each row's key as text, its columns joined by a space."""
    columns = [batch.column(name).cast(pa.string()) for name in names]
    joined = pc.binary_join_element_wise(*columns, " ", null_handling="replace", null_replacement="null")
    texts: list[str] = joined.to_pylist()
    return texts


def key_hashes(texts: Iterable[Any]) -> Hashes:
    """Return a number for each; that two of a billion texts have the same one by chance is unlikely, and looked at where it counts."""
    return np.fromiter(map(hash, texts), np.int64)


def doubled(hashes: Hashes) -> Hashes:
    """Return the numbers that occur more than once."""
    ordered = np.sort(hashes)
    return np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
