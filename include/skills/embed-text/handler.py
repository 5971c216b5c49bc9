"""Take the mean of a text's token vectors, which lie in wordllama's wheel."""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import distribution
from typing import Any

from skillyard.skills import Source

PACKAGE = "wordllama"
NAME = "l2_supercat"
WEIGHTS = "wordllama/weights/l2_supercat_256.safetensors"
TOKENIZER = "wordllama/tokenizers/l2_supercat_tokenizer_config.json"
MOST_CHARS = 1_000_000
PIECE_CHARS = 20_000
DIGITS = 6
WORD = re.compile(r"[^\W_]")


def handle(source: Source, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the vector, how many numbers it has, whose it is and how many tokens it stands for."""
    dim = parameters["dim"]
    vector, n_tokens = _mean(source.text[:MOST_CHARS], dim) if WORD.search(source.text[:MOST_CHARS]) else (None, 0)
    return {"vector": vector, "dim": dim, "embedding_model": _model()[2], "n_tokens": n_tokens}


def _mean(text: str, dim: int) -> tuple[list[float], int]:
    """Return the mean of the vectors of all tokens, scaled to length 1, and their number."""
    import numpy as np

    vectors, tokenizer, _ = _model()
    total, n_tokens = np.zeros(dim), 0
    for piece in _pieces(text):
        ids = tokenizer.encode(piece, add_special_tokens=False).ids
        total += vectors[ids, :dim].sum(axis=0, dtype=np.float64)
        n_tokens += len(ids)
    return [round(float(number), DIGITS) for number in total / np.linalg.norm(total)], n_tokens


def _pieces(text: str) -> Iterator[str]:
    """Yield parts of the text that end before a space, if there is one near: a tokenizer's memory grows with what it reads at once."""
    start = 0
    while start < len(text):
        end = start + PIECE_CHARS
        space = text.rfind(" ", start + PIECE_CHARS // 2, end) if end < len(text) else -1
        end = space if space > 0 else end
        yield text[start:end].strip()
        start = end


@cache
def _model() -> tuple[Any, Any, str]:
    """Return token vectors, tokenizer and the model's name, read once per process.

    The files are read where the wheel put them: the package's own loader looks for the tokenizer elsewhere and would download it.
    """
    from safetensors import safe_open
    from tokenizers import Tokenizer

    wheel = distribution(PACKAGE)
    with safe_open(str(wheel.locate_file(WEIGHTS)), framework="np") as weights:
        vectors = weights.get_tensor("embedding.weight").astype("float32")
    tokenizer = Tokenizer.from_file(str(wheel.locate_file(TOKENIZER)))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return vectors, tokenizer, f"{PACKAGE} {wheel.version} {NAME}"
