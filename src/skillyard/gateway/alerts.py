"""What is told to people: each thing once, again after it was away or became worse, and who has taken note of it.

Whoever sends asks ``note`` what is to be sent, sends it, and says so with ``mark_sent``. A process that dies between the two sends it again
the next time: told twice is better than never.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, select, update

from skillyard.errors import UnknownName
from skillyard.gateway.dialect import upsert
from skillyard.gateway.state import ALERTS, reading

SEVERITIES = ("warn", "alert")
"""From harmless to grave."""
AWAY = timedelta(days=7)
"""What was not found for so long is news when it is found again."""


@dataclass(frozen=True, slots=True)
class Alert:
    """Something that people should know."""

    alert_id: str
    severity: str
    message: str
    seen_at: datetime
    """When it held: for something about a day long past, the end of that day."""


@dataclass(frozen=True, slots=True)
class Status:
    """What is known of an alert."""

    first_seen_at: datetime
    last_seen_at: datetime
    sent_at: datetime | None
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    note: str | None


def note(engine: Engine, found: Iterable[Alert]) -> list[Alert]:
    """Remember what was found and return what is to be sent: new, back after a week, graver than before, or not sent yet.

    What was acknowledged before it could be sent is not sent any more.
    """
    alerts = {alert.alert_id: alert for alert in found}
    with engine.begin() as connection:
        known = _rows(connection, alerts)
        rows = [_noted(alert, known.get(alert.alert_id)) for alert in alerts.values()]
        upsert(connection, ALERTS, rows)
    due = {row["alert_id"] for row in rows if row["sent_at"] is None and row["acknowledged_at"] is None}
    return [alert for alert in alerts.values() if alert.alert_id in due]


def mark_sent(engine: Engine, alert_ids: Iterable[str], at: datetime) -> None:
    """Remember that these were told."""
    with engine.begin() as connection:
        connection.execute(update(ALERTS).where(ALERTS.c.alert_id.in_(list(alert_ids))).values(sent_at=at))


def acknowledge(engine: Engine, alert_id: str, who: str, text: str | None, at: datetime) -> Status:
    """Remember that a person has taken note; UnknownName for an alert that was never noted."""
    values = {"acknowledged_at": at, "acknowledged_by": who, "note": text}
    with engine.begin() as connection:
        if not connection.execute(update(ALERTS).where(ALERTS.c.alert_id == alert_id).values(**values)).rowcount:
            raise UnknownName(
                "alert", alert_id, connection.scalars(select(ALERTS.c.alert_id).order_by(ALERTS.c.last_seen_at.desc()).limit(10))
            )
    return statuses(engine, [alert_id])[alert_id]


def statuses(engine: Engine, alert_ids: Iterable[str]) -> dict[str, Status]:
    """Return what is known of these alerts; one that was never noted is not among them."""
    with reading(engine) as connection:
        rows = _rows(connection, alert_ids)
    names = Status.__dataclass_fields__
    return {alert_id: Status(**{name: row[name] for name in names}) for alert_id, row in rows.items()}


def _noted(alert: Alert, known: dict[str, Any] | None) -> dict[str, Any]:
    """Return an alert's row after it was found."""
    is_news = known is None or alert.seen_at - known["last_seen_at"] > AWAY or _rank(alert.severity) > _rank(known["severity"])
    before = dict.fromkeys(("sent_at", "acknowledged_at", "acknowledged_by", "note")) | {"first_seen_at": alert.seen_at}
    kept = before if is_news or known is None else {name: known[name] for name in before}
    gravest = alert.severity if is_news or known is None else known["severity"]
    last = alert.seen_at if known is None else max(alert.seen_at, known["last_seen_at"])
    return kept | {"alert_id": alert.alert_id, "severity": gravest, "message": alert.message, "last_seen_at": last}


def _rank(severity: str) -> int:
    return SEVERITIES.index(severity)


def _rows(connection: Connection, alert_ids: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return rows by id, asked for a few hundred at a time: databases bound how many values a statement has."""
    names, found = list(alert_ids), {}
    for start in range(0, len(names), 500):
        chosen: Sequence[str] = names[start : start + 500]
        for row in connection.execute(select(ALERTS).where(ALERTS.c.alert_id.in_(chosen))).mappings():
            found[row["alert_id"]] = dict(row)
    return found
