"""Something that is wrong with a day's money: what was found, how far off it is, and under which name it is told once."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from hashlib import sha256
from typing import Any, Literal

Severity = Literal["warn", "alert"]
Source = Literal["cost", "router", "prices", "ledger"]
ALL = "*"


@dataclass(frozen=True, slots=True)
class Anomaly:
    """One row of ``anomalies``."""

    kind: str
    usage_date: date
    severity: Severity
    message: str
    """What was found, with its numbers, and what to do."""
    source: Source = "cost"
    team: str = ALL
    skill: str = ALL
    model: str = ALL
    value: float | None = None
    expected: float | None = None
    score: float | None = None
    numbers: Mapping[str, Any] = field(default_factory=dict)
    lasting: str = ""
    """What tells this one from another of its kind and scope: a month or a state where it lasts; empty: its day."""

    @property
    def anomaly_id(self) -> str:
        """Return the same for the same thing found again: tonight for a day that was computed anew, or for as long as it lasts."""
        text = "\n".join((self.kind, self.team, self.skill, self.model, self.lasting or f"{self.usage_date}"))
        return f"{self.kind}-{sha256(text.encode()).hexdigest()[:10]}"

    def as_row(self) -> dict[str, Any]:
        """Return the row."""
        names = ("usage_date", "kind", "source", "team", "skill", "model", "severity", "message", "value", "expected", "score")
        row = {name: getattr(self, name) for name in names}
        return row | {"anomaly_id": self.anomaly_id, "numbers": json.dumps(self.numbers, default=_plain, sort_keys=True)}


def _plain(value: object) -> str:
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no JSON form")
