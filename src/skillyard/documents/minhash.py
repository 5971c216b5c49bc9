"""What near duplicates are found by: the MinHash of a document's text, which estimates how many of their phrases two texts share.

Source: A. Broder, On the resemblance and containment of documents, 1997, https://doi.org/10.1109/SEQUEN.1997.666900
"""

import re
import struct

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

    words = WORD.findall(UNSPACED.sub(r" \g<0> ", text[:MOST_CHARS].casefold()))
    if len(words) < MIN_WORDS:
        return None
    phrases = [" ".join(words[at : at + PHRASE_WORDS]) for at in range(len(words) - PHRASE_WORDS + 1)]
    made = RMinHash(num_perm=N_HASHES, seed=SEED)
    made.update(phrases)
    return struct.pack(f"<{N_HASHES}I", *made.digest()).hex()
