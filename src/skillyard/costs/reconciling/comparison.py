"""A bill beside the ledger, line by line: what agrees, what the bill closes, what differs.

A line proves that its request was worked on, and at what price. The *absence* of a line proves something only where the bill is said to be
whole: on the days it covers, for the deployments it covers. Everywhere else an attempt without a line is left as it is.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from skillyard.costs.reconciling.bill import BillLine
from skillyard.errors import UnknownName

CLOSES = {"billed": "settled", "billed_failure": "settled", "not_billed": "failed"}
"""What an attempt of unknown outcome, or one that had failed, becomes by the bill."""
DIFFERENCES = {"other_amount": "price", "settled_not_billed": "missing_calls", "not_in_ledger": "missing_calls"}
"""What a bill does not close: a person has to look, and may have it posted, as corrections of this kind."""
NOTHING: Mapping[str, Decimal] = {}


@dataclass(frozen=True, slots=True)
class Call:
    """One attempt of the ledger."""

    call_id: str
    request_id: str | None
    deployment: str
    model: str
    status: str
    day: date
    reserved_usd: Decimal
    cost_usd: Decimal | None
    is_in_flight: bool
    """Sent, and its process may still wait for the answer."""
    lake: str
    """Root of the lake whose ledger table it belongs to; empty when it was not noted."""
    tier: str

    @property
    def is_open(self) -> bool:
        """Nobody knows how it ended."""
        return self.status in ("sent", "unknown")


@dataclass(frozen=True, slots=True)
class Coverage:
    """What the bill is said to be whole for."""

    first: date
    last: date
    deployments: frozenset[str] = frozenset()
    """Empty: those of which it has a line."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line, one attempt, or both, and what they say of each other.

    ``kind`` is agrees, one of CLOSES (the bill closes it), one of DIFFERENCES, open (unknown, and not covered by the bill) or in_flight.
    """

    kind: str
    line: BillLine | None
    call: Call | None
    corrected_usd: Decimal = Decimal(0)
    """What corrections of it were posted before."""

    @property
    def key(self) -> str:
        """What its corrections go by."""
        return self.call.call_id if self.call else self.line.key if self.line else ""

    @property
    def billed_usd(self) -> Decimal:
        """What the bill asks for it."""
        return self.line.amount_usd if self.line else Decimal(0)

    @property
    def difference_usd(self) -> Decimal:
        """Billed less what the ledger says, corrections included, where the bill does not close it."""
        if self.kind not in DIFFERENCES:
            return Decimal(0)
        return self.billed_usd - ((self.call.cost_usd if self.call else None) or Decimal(0)) - self.corrected_usd

    def as_dict(self) -> dict[str, Any]:
        """Return it as a flat row."""
        call, line = self.call, self.line
        return {
            "kind": self.kind,
            "call_id": call.call_id if call else line and line.call_id,
            "request_id": line.request_id if line else call and call.request_id,
            "model": call.model if call else line and line.model,
            "deployment": call and call.deployment,
            "day": call and call.day,
            "ledger_usd": call and call.cost_usd,
            "corrected_usd": self.corrected_usd,
            "reserved_usd": call and call.reserved_usd,
            "billed_usd": line and line.amount_usd,
            "line": line and line.where,
        }


def compare(
    lines: Sequence[BillLine], calls: Iterable[Call], covered: Coverage | None = None, corrected: Mapping[str, Decimal] = NOTHING
) -> list[Entry]:
    """Return an entry for every line, and one for every attempt without a line that the bill covers or that is open.

    ``calls`` are the attempts that may have a line or be covered, ``corrected`` by key what was posted of them. UnknownName for a covered
    deployment that none of them has.
    """
    by_id = {call.call_id: call for call in calls}
    by_request = {call.request_id: call for call in by_id.values() if call.request_id}
    entries = []
    for line in lines:
        found = by_id.get(line.call_id or "") or by_request.get(line.request_id or "")
        call = by_id.pop(found.call_id, None) if found else None
        posted = corrected.get(call.call_id if call else line.key, Decimal(0))
        entries.append(Entry(_with_line(line, call, posted), line, call, posted))
    asked = {entry.call.deployment for entry in entries if entry.call}
    known = asked | {call.deployment for call in by_id.values()}
    for name in covered.deployments if covered else ():
        if name not in known:
            raise UnknownName("deployment", name, known)
    whole = (covered.deployments or asked) if covered else frozenset()
    for call in by_id.values():
        is_covered = covered is not None and covered.first <= call.day <= covered.last and call.deployment in whole
        posted = corrected.get(call.call_id, Decimal(0))
        if kind := _without_line(call, is_covered, posted):
            entries.append(Entry(kind, None, call, posted))
    return entries


def _with_line(line: BillLine, call: Call | None, corrected: Decimal) -> str:
    if call is None:
        return "agrees" if corrected == line.amount_usd and corrected else "not_in_ledger"
    if call.is_in_flight:
        return "in_flight"
    if call.is_open:
        return "billed"
    if (call.cost_usd or Decimal(0)) + corrected == line.amount_usd:
        return "agrees"
    return "billed_failure" if call.status == "failed" else "other_amount"


def _without_line(call: Call, is_covered: bool, corrected: Decimal) -> str | None:
    if call.is_in_flight:
        return "in_flight"
    if call.is_open:
        return "not_billed" if is_covered else "open"
    return "settled_not_billed" if is_covered and (call.cost_usd or Decimal(0)) + corrected else None
