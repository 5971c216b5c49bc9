"""A reader that is about to do something slow, such as reading a picture, asks for the time that this may take.

The pool's worker passes the request on, and the document's deadline moves. A document that has been at it for ``MAX_S`` is given no more:
its reader leaves out what is slow and returns what it has. Where no worker listens, there is no deadline either.
"""

import time
from collections.abc import Callable

MAX_S = 1_500.0

_listeners: list[Callable[[float], None]] = []
_began_at: list[float] = []


def listen(give_s: Callable[[float], None]) -> None:
    """Call this with the seconds of every request from now on."""
    _listeners.append(give_s)


def begin() -> None:
    """Another document begins now."""
    _began_at[:] = [time.monotonic()]


def ask_for(seconds: float) -> bool:
    """Ask that the document be given so many seconds from now, if it has less; return whether there is time."""
    if _began_at and time.monotonic() - _began_at[0] > MAX_S:
        return False
    for give_s in _listeners:
        give_s(seconds)
    return True
