"""Memory that is free again goes back to the system: the C library keeps it otherwise, for a process that has grown once."""

from ctypes import CDLL


def trim_heap() -> None:
    """Return what the C library holds without using it, where it can: glibc."""
    if trim := getattr(CDLL(None), "malloc_trim", None):
        trim(0)
