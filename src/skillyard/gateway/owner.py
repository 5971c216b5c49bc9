"""Who holds a lease or waits for an answer: host, process and its start time, since a pid alone is used again.

Containers may share a host's name, not its processes: the number of their process namespace belongs to the name.
"""

import os
import socket
from functools import cache
from pathlib import Path

import psutil


def own_name() -> str:
    """Return this process's name as an owner."""
    return _name_of(os.getpid())


def is_gone(owner: str) -> bool:
    """Say whether the owner is a process of this host that no longer runs. Of other hosts and containers nothing is known."""
    host, _, rest = owner.partition(":")
    pid, _, started = rest.partition(":")
    if host != _host() or not pid.isdigit():
        return False
    return _started(int(pid)) != started


@cache
def _name_of(pid: int) -> str:
    return f"{_host()}:{pid}:{_started(pid)}"


@cache
def _host() -> str:
    try:
        namespace = Path("/proc/self/ns/pid").readlink().name.strip("pid:[]")
    except OSError:
        namespace = ""
    return f"{socket.gethostname()}/{namespace}"


def _started(pid: int) -> str:
    """Return when a process began, as its system counts that; empty when it has ended, reaped by its parent or not."""
    try:
        # Not psutil's time of day: that moves when the clock is set.
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return "" if state == "Z" else fields[18]
    except (ProcessLookupError, FileNotFoundError):
        if Path("/proc/self").exists():
            return ""
    try:
        process = psutil.Process(pid)
        return "" if process.status() == psutil.STATUS_ZOMBIE else f"{process.create_time():.0f}"
    except psutil.Error:
        return ""
