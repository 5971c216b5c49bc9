"""How much of each model's live traffic is taken at once and a minute; what is above it gets 429 or waits."""

import asyncio
import math
import time
from collections import defaultdict, deque
from dataclasses import dataclass, field
from typing import Any

from tests.simulator.config import Behaviour


@dataclass(slots=True)
class Gate:
    """One model's traffic."""

    n_open: int = 0
    """Requests taken and not yet answered: those worked on and those that wait."""
    n_open_peak: int = 0
    n_refused: int = 0
    n_working: int = 0
    waiting: deque[asyncio.Future[None]] = field(default_factory=deque)
    taken: deque[tuple[float, int]] = field(default_factory=deque)
    """Time and tokens of what was taken within the window."""
    n_tokens: int = 0
    """The sum of these tokens."""

    def refusal_s(self, limits: Behaviour, tokens: int, retry_after_s: float) -> float | None:
        """Return after how many seconds a request may come again, or none when it is taken."""
        wait_s = self._wait_s(limits, tokens)
        is_full = limits.max_in_flight is not None and self.n_working >= limits.max_in_flight
        if is_full and limits.overflow == "reject":
            wait_s = max(wait_s, retry_after_s)
        if wait_s <= 0:
            return None
        self.n_refused += 1
        return math.ceil(wait_s * 1000) / 1000

    def _wait_s(self, limits: Behaviour, tokens: int) -> float:
        """Return the time until enough of the window has passed for one more request of that many tokens."""
        if limits.rpm is None and limits.tpm is None:
            return 0.0
        now = time.monotonic()
        while self.taken and self.taken[0][0] <= now - limits.window_s:
            self.n_tokens -= self.taken.popleft()[1]
        most = math.inf if limits.rpm is None else max(limits.rpm * limits.window_s / 60, 1)
        most_tokens = math.inf if limits.tpm is None else limits.tpm * limits.window_s / 60
        n, used, free_at = len(self.taken) + 1, self.n_tokens + tokens, now
        for at, of_this in self.taken:
            if n <= most and used <= most_tokens:
                break
            n, used, free_at = n - 1, used - of_this, at + limits.window_s
        return free_at - now if used <= most_tokens else limits.window_s

    def count(self, limits: Behaviour, tokens: int) -> None:
        """Enter a taken request, with all of its tokens, into the window."""
        if limits.rpm is not None or limits.tpm is not None:
            self.taken.append((time.monotonic(), tokens))
            self.n_tokens += tokens

    async def begin(self, limits: Behaviour) -> None:
        """Take a slot, waiting for one when all are taken."""
        self.n_open += 1
        self.n_open_peak = max(self.n_open_peak, self.n_open)
        if limits.max_in_flight is None or self.n_working < limits.max_in_flight:
            self.n_working += 1
            return
        slot = asyncio.get_running_loop().create_future()
        self.waiting.append(slot)
        await slot

    def end(self) -> None:
        """Give the slot to the longest waiting, or back."""
        self.n_open -= 1
        if self.waiting:
            self.waiting.popleft().set_result(None)
        else:
            self.n_working -= 1


class Limits:
    """The gates of all models."""

    def __init__(self) -> None:
        self.gates: defaultdict[str, Gate] = defaultdict(Gate)

    def forget(self) -> None:
        """Start counting anew."""
        self.gates = defaultdict(Gate, {model: gate for model, gate in self.gates.items() if gate.n_open})
        for gate in self.gates.values():
            gate.n_open_peak, gate.n_refused, gate.n_tokens = gate.n_open, 0, 0
            gate.taken.clear()

    def stats(self) -> dict[str, Any]:
        """Return, per model, the most requests open at the same time, and how many were refused with 429 for a limit."""
        return {
            "in_flight_peak_by_model": {model: gate.n_open_peak for model, gate in self.gates.items()},
            "over_limit_by_model": {model: gate.n_refused for model, gate in self.gates.items()},
        }
