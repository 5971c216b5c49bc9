"""What is wrong with a lake: rows of a few kinds, some of each with their keys, the rest as a number."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

SHOWN = 20
"""Problems of one kind in one table that are named."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong."""

    table: str
    kind: str
    """A fixed word, see docs/operations.md."""
    key: str
    """The object, or the row."""
    message: str
    """What was found and what to do."""


class Findings:
    """Problems as they are found."""

    def __init__(self) -> None:
        self._shown: defaultdict[tuple[str, str], list[Problem]] = defaultdict(list)
        self._n: Counter[tuple[str, str]] = Counter()

    def add(self, table: str, kind: str, key: str, message: str) -> None:
        """Note one."""
        self.add_many(table, kind, [key], 1, message)

    def add_many(self, table: str, kind: str, keys: Iterable[str], n: int, message: str) -> None:
        """Note ``n`` of them, of which ``keys`` names some."""
        shown = self._shown[table, kind]
        self._n[table, kind] += n
        shown.extend(Problem(table, kind, key, message) for key, _ in zip(keys, range(SHOWN - len(shown)), strict=False))

    def rows(self) -> tuple[Problem, ...]:
        """Return all of them, those that are not named as one row with their number."""
        found = []
        for (table, kind), shown in sorted(self._shown.items()):
            found += shown
            if n_more := self._n[table, kind] - len(shown):
                found.append(Problem(table, kind, f"… {n_more} more", f"{self._n[table, kind]} of this kind in all, as above."))
        return tuple(found)
