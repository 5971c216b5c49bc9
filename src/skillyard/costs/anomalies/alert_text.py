"""What people are told of anomalies: one message a night, with what each is, what to do, and how to say that it is known."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

MOST_NAMED = 20
"""Anomalies that a message spells out."""
_FIELDS = ("anomaly_id", "usage_date", "kind", "source", "team", "skill", "model", "severity", "message", "value", "expected", "score")


@dataclass(frozen=True, slots=True)
class Message:
    """One message about some anomalies."""

    subject: str
    text: str
    anomalies: tuple[Mapping[str, Any], ...]
    """Their fields as plain values, for a program to read."""

    @property
    def alert_ids(self) -> list[str]:
        """Return what it tells of."""
        return [str(anomaly["anomaly_id"]) for anomaly in self.anomalies]


def write_message(rows: Sequence[Mapping[str, Any]], day: date) -> Message:
    """Return the message about rows of ``anomalies``, the gravest first."""
    ordered = sorted(rows, key=lambda row: row["severity"])  # alert before warn, else as they came
    n_grave = sum(row["severity"] == "alert" for row in ordered)
    grave = f", {n_grave} grave" if n_grave else ""
    subject = f"Skillyard: {len(ordered)} new {'anomaly' if len(ordered) == 1 else 'anomalies'}{grave}, {day}"
    parts = [f"{row['severity'].upper()} {row['kind']} on {row['usage_date']} [{row['anomaly_id']}]\n{row['message']}" for row in ordered]
    if len(parts) > MOST_NAMED:
        parts[MOST_NAMED:] = [f"… and {len(parts) - MOST_NAMED} more: skillyard cost anomalies --open"]
    parts.append("What is known is not told again: skillyard cost acknowledge ID --note WHY")
    plain = tuple({name: _plain(row[name]) for name in _FIELDS} for row in ordered)
    return Message(subject, "\n\n".join(parts), plain)


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value
