"""A reader that is about to do something slow, such as reading a picture, asks for the time that this may take.

The pool's worker passes the request on, and the document's deadline moves; where nobody listens, there is no deadline either.
"""

from collections.abc import Callable

_listeners: list[Callable[[float], None]] = []


def listen(give_s: Callable[[float], None]) -> None:
    """Call this with the seconds of every request from now on."""
    _listeners.append(give_s)


def ask_for(seconds: float) -> None:
    """Ask that the document be given so many seconds from now, if it has less."""
    for give_s in _listeners:
        give_s(seconds)
