"""The members of an archive one after the other, without a file: for whoever looks at each and keeps none."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from skillyard.documents.kinds import ReadOptions
from skillyard.documents.kinds.tar import read_tar
from skillyard.documents.kinds.zip import read_zip
from skillyard.documents.result import Member, Refused
from skillyard.documents.sniff import sniff
from skillyard.documents.spool import SpoolWriter

Visit = Callable[[str, bytes], None]
"""Is given a member's path, which is a label, and its bytes."""
NOT_TAKEN_OUT = "not_taken_out"
"""The reason of a member that the archive does not give away."""
T = TypeVar("T")


def read_members(data: bytes, name: str, read: Callable[[str, bytes], T | str]) -> tuple[list[T], list[dict[str, str]]]:
    """Return what ``read`` makes of a ZIP's or TAR's members, and path and reason of each of which it gives a reason instead."""
    found: list[T] = []
    skipped: list[dict[str, str]] = []

    def look(path: str, member: bytes) -> None:
        made = read(path, member)
        if isinstance(made, str):
            skipped.append({"path": path, "reason": made})
        else:
            found.append(made)

    refused = _visit_members(data, name, look)
    return found, skipped + [{"path": member.path, "reason": NOT_TAKEN_OUT} for member in refused]


def _visit_members(data: bytes, name: str, visit: Visit) -> list[Member]:
    """Give every member to ``visit`` and return those that cannot be taken out; ``Refused`` as in ingestion."""
    kind = sniff(data, name).kind
    if kind not in ("zip", "tar"):
        raise Refused("unsupported_type", f"the content is {kind}, no archive")
    visitor = _Visitor(visit)
    (read_zip if kind == "zip" else read_tar)(data, ReadOptions(spool=visitor))
    return [member for member in visitor.members if member.error_kind]


class _Visitor(SpoolWriter):
    """Counts as ingestion's spool does, within the same limits; a member is held while it is looked at."""

    def __init__(self, visit: Visit) -> None:
        super().__init__(Path())
        self._visit = visit

    def add(self, path: str, pieces: Iterable[bytes]) -> None:
        """Give a member to whoever looks at it."""
        held: list[bytes] = []
        super().add(path, _kept(pieces, held))
        member = self.members[-1]
        if member.error_kind is None:
            self._visit(member.path, b"".join(held))

    def _keep(self, piece: bytes) -> None:
        """Nothing is written."""


def _kept(pieces: Iterable[bytes], held: list[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        held.append(piece)
        yield piece
