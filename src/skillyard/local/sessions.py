"""Find and stop the processes of a session, whatever groups they have moved to (Linux: it reads ``/proc``).

Airflow moves its tasks and parsers into process groups of their own, but they stay in the session of the component that
started them. So whoever is left in it is found, and nobody else ever is.
"""

import os
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Leader:
    """A component's first process; the start time tells it from a later process with the same number."""

    pid: int
    started_ticks: int


@dataclass(frozen=True, slots=True)
class Status:
    """What ``/proc`` says of a process."""

    pid: int
    state: str
    session: int
    started_ticks: int


def status_of(pid: int) -> Status | None:
    """Return the state of a process, or None when there is none of this number."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()  # the command's name, in brackets, may hold spaces
    return Status(pid, fields[0], int(fields[3]), int(fields[19]))


def is_alive(leader: Leader) -> bool:
    """Say whether this very process still runs; one that has ended and was not collected does not."""
    status = status_of(leader.pid)
    return status is not None and status.state != "Z" and status.started_ticks == leader.started_ticks


def is_ours(leader: Leader) -> bool:
    """Say whether a session is still the leader's: it keeps its number while anyone is left in it, so only another start is a stranger."""
    status = status_of(leader.pid)
    return status is None or status.started_ticks == leader.started_ticks


def members(sessions: Iterable[Leader]) -> list[int]:
    """Return the processes that live in the sessions."""
    wanted = {leader.pid for leader in sessions}
    statuses = (status_of(int(entry)) for entry in os.listdir("/proc") if entry.isdigit())
    return [s.pid for s in statuses if s and s.session in wanted and s.state != "Z"]


def send(pids: Iterable[int], number: signal.Signals) -> None:
    """Send a signal to those that are still there."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def gone_within(sessions: Iterable[Leader], timeout_s: float) -> bool:
    """Wait until nobody is left in the sessions; False when somebody is at the end of the time."""
    deadline = time.monotonic() + timeout_s
    while members(sessions):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True
