"""A model provider to test against: a real HTTP server with latency, faults, set answers and a bill of its own.

It imports nothing of Skillyard, so its bill is a second opinion on our ledger.
"""

from tests.simulator.process import Simulator

__all__ = ["Simulator"]
