"""How many tokens a text has, without a tokenizer."""


def estimate_tokens(text: str) -> int:
    """Return a careful estimate: 3.5 ASCII characters a token; of other scripts, two bytes a token."""
    n_bytes = len(text.encode())
    n_other_bytes = n_bytes - len(text.encode("ascii", "ignore"))
    return int((n_bytes - n_other_bytes) / 3.5 + n_other_bytes / 2) + 1


def most_tokens(text: str) -> int:
    """Return an upper bound: no byte-level tokenizer makes more tokens than there are bytes."""
    return len(text.encode())
