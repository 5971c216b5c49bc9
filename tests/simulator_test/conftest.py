"""The simulator's own tests leave no limits, lengths or batch behaviour to other tests."""

from collections.abc import Iterator

import pytest

from tests.simulator import Simulator

_NEVER_SET = {
    "batch": {},
    "output_tokens": None,
    "max_in_flight": None,
    "overflow": "queue",
    "rpm": None,
    "tpm": None,
    "window_s": 60.0,
}


@pytest.fixture(autouse=True)
def limitless(running_simulator: Simulator) -> Iterator[None]:
    """Take back what a test configured beyond the common keys."""
    yield
    running_simulator.configure(**_NEVER_SET)
