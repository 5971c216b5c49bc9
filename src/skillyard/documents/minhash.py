"""What near duplicates are found by: the MinHash of a document's text, which estimates how many of their phrases two texts share.

Source: A. Broder, On the resemblance and containment of documents, 1997, https://doi.org/10.1109/SEQUEN.1997.666900
"""

import re
import struct
from itertools import accumulate

N_HASHES = 128
"""The estimate of a resemblance of 0.8 has a standard deviation of 0.035 then."""
PHRASE_WORDS = 5
MIN_WORDS = 20
"""Of less text, only equal bytes are a duplicate."""
MOST_CHARS = 500_000
SEED = 1
WORD = re.compile(r"[^\W\d_]+|\d+")
UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
"""Scripts written without spaces: each of their characters counts as a word."""


def minhash_of(text: str) -> str | None:
    """Return ``N_HASHES`` 32-bit hashes over the text's phrases of five words, as hex; None for too little text.

    Case, punctuation and white space do not count.
    """
    from rensa import RMinHash

    text = text[:MOST_CHARS].casefold()
    words = WORD.findall(text if text.isascii() else UNSPACED.sub(r" \g<0> ", text))
    if len(words) < MIN_WORDS:
        return None
    # Slices of one text: joining each phrase anew takes twice as long.
    joined, ends = " ".join(words), list(accumulate(len(word) + 1 for word in words))
    phrases = [joined[start : end - 1] for start, end in zip([0, *ends], ends[PHRASE_WORDS - 1 :], strict=False)]
    made = RMinHash(num_perm=N_HASHES, seed=SEED)
    made.update(phrases)
    return struct.pack(f"<{N_HASHES}I", *made.digest()).hex()
