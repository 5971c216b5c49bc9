"""Hashed n-grams of a text: words, pairs of words, and four characters. The same text gives the same buckets everywhere.

The hash of a span is a polynomial in its characters modulo 2^64 (Karp and Rabin, 1987), so one running sum gives that of every span at
once; its highest bits after a multiplication are the bucket (Dietzfelbinger et al., 1997).
"""

import re

import numpy as np
from numpy.typing import NDArray

from skillyard.routing.features import TEXT_CAP

N_BITS = 18
N_BUCKETS = 1 << N_BITS
REPEATED = 0
"""The bucket of a span that the text had before: it counts for nothing, so each span counts once."""
N_CHARACTERS = 4
_SIGN = re.compile(r"([^\w\s])")
_FIRST, _LAST = " \x02 ", " \x03 "
"""Begin and end of a text: words of their own, so that the first and the last word of a text are pairs as well."""
_BASE = 0x9E3779B97F4A7C15
_MULTIPLIER = 0xBF58476D1CE4E5B9
_MODULUS = 1 << 64
_SHIFT = np.uint64(64 - N_BITS)


def _powers(base: int, first: int, n: int) -> NDArray[np.uint64]:
    made = [first]
    while len(made) < n:
        made.append(made[-1] * base % _MODULUS)
    return np.array(made, np.uint64)


_LONGEST = 2 * TEXT_CAP + len(_FIRST + _LAST) + 1  # a space after every character, at the worst
_POWERS = _powers(_BASE, 1, _LONGEST)
_INVERSES = _powers(pow(_BASE, -1, _MODULUS), _MULTIPLIER, _LONGEST)


def hash_spans(text: str) -> NDArray[np.int64]:
    """Return the buckets of a text's words, pairs and characters, sorted; at least one, and REPEATED for each that came before."""
    signs_apart = " ".join(_SIGN.split(text[:TEXT_CAP].lower()[:TEXT_CAP]))
    joined = _FIRST + " ".join(signs_apart.split()) + _LAST
    codes = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), np.uint32)
    n = len(codes)
    sums = np.zeros(n + 1, np.uint64)
    np.add.accumulate(codes * _POWERS[:n], out=sums[1:])
    spaces = (codes == 32).nonzero()[0]
    starts, inverses = sums.take(spaces), _INVERSES.take(spaces)
    words = (starts[1:] - starts[:-1]) * inverses[:-1]
    pairs = (starts[2:] - starts[:-2]) * inverses[:-2]
    characters = (sums[N_CHARACTERS:] - sums[:-N_CHARACTERS]) * _INVERSES[: n + 1 - N_CHARACTERS]
    buckets = (np.concatenate([words, pairs, characters]) >> _SHIFT).view(np.int64)
    buckets.sort()
    buckets[1:] *= buckets[1:] != buckets[:-1]
    return buckets
