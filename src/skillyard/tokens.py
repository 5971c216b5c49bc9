"""How many tokens a text has, without a tokenizer."""


def estimate_tokens(text: str) -> int:
    """Return a careful estimate: 3.5 ASCII characters a token; of other scripts, two bytes a token."""
    n_ascii = len(text) if text.isascii() else len(text.encode("ascii", "ignore"))
    n_other_bytes = 0 if n_ascii == len(text) else len(text.encode()) - n_ascii
    return int(n_ascii / 3.5 + n_other_bytes / 2) + 1


def most_tokens(text: str) -> int:
    """Return an upper bound: no byte-level tokenizer makes more tokens than there are bytes."""
    return len(text.encode())
