"""Whom a vote lets pass."""

import pytest

from skillyard.routing.votes import is_accepted


@pytest.mark.parametrize(
    ("agreements", "accepted"),
    [
        ([], True),
        ([1.0], True),
        ([0.0], False),  # one word against another
        ([1.0, 0.0], True),
        ([0.0, 0.0], False),
        ([1.0, 0.0, 0.0], False),
        ([1.0, 1.0, 0.0, 0.0], True),
        ([0.79], False),
        ([0.8], True),
    ],
)
def test_a_majority_of_all_who_were_asked_has_to_give_the_answer(agreements: list[float], accepted: bool) -> None:
    assert is_accepted(agreements) is accepted
