"""Votes: other models are asked what a tier is asked, and their answers say whether its answer is to be trusted. They are never served."""

from collections.abc import Sequence

AGREES = 0.8
"""A voter agrees whose answer agrees as much as this, field by field (skills.agreement)."""


def is_accepted(agreements: Sequence[float]) -> bool:
    """Say whether a majority of all who were asked gave the answer, the tier itself included. One whom nobody voted on is accepted."""
    return count_against(agreements) * 2 < len(agreements) + 1


def count_against(agreements: Sequence[float]) -> int:
    """Return how many votes are for another answer."""
    return sum(agreement < AGREES for agreement in agreements)
