"""A night's money, step by step: the tables, what is wrong with them, whom it concerns, and the page."""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from skillyard.costs.anomalies.alert_text import Message, write_message
from skillyard.costs.anomalies.find import keep_findings, publish_anomalies, read_anomalies
from skillyard.costs.attribution import DayReport, attribute, attribute_changed
from skillyard.costs.budgets.rows import publish_budgets
from skillyard.costs.ledger.zones import load_zone
from skillyard.errors import ConfigError
from skillyard.gateway import alerts
from skillyard.gateway.state import open_state
from skillyard.lake.lake import Lake
from skillyard.running.ledger import drain_idle
from skillyard.settings import Settings

WATCHED_DAYS, MOST_WATCHED = 8, 31
"""Days up to today whose budgets and anomalies every night makes, and at most, when an older day changed."""
TOLD_DAYS = 100
"""Days back whose anomalies are told: late findings too."""
Say = Callable[[str], None]


def asked_days(first: str | None, last: str | None, accept_loss: bool) -> tuple[date, date] | None:
    """Return the days that a form asks for, None for those that changed."""
    if first is None:
        if last is not None or accept_loss:
            raise ConfigError("the last day and the accepted loss need a first day: they are about days that you name.")
        return None
    return date.fromisoformat(first), date.fromisoformat(last or first)


def attribute_night(settings: Settings, days: tuple[date, date] | None, say: Say, *, accept_loss: bool = False) -> list[DayReport]:
    """Take what dead runs left to the ledger, make the tables of the days, or of every day that changed, and keep what was found.

    The reports tell what was refused: give them to ``costs.attribution.check_reports`` when all else is done.
    """
    for skill, n_rows in drain_idle(settings).items():
        say(f"{skill}: {n_rows} calls of runs that never published")
    reports = attribute(settings, *days, accept_loss=accept_loss) if days else attribute_changed(settings)
    for report in reports:
        say(f"{report.day}: {report.n_calls} calls, {report.cost_usd:f} USD{', changed' if report.is_changed else ''}")
        for finding in report.findings:
            say(f"{report.day} {finding.kind}: {finding.message}")
        keep_findings(settings, report.day, report.findings)
    return reports


def watch(settings: Settings, since: date | None, today: date, say: Say) -> int:
    """Make budgets and anomalies of the last days up to today, and return how many anomalies there are.

    ``since``: the first day that changed. Later days are made with it: they count the month to date, and are compared with earlier days.
    """
    usual, oldest = (today - timedelta(days=n - 1) for n in (WATCHED_DAYS, MOST_WATCHED))
    first = max(min(since or usual, usual), oldest)
    days = [first + timedelta(days=n) for n in range((today - first).days + 1)]
    publish_budgets(settings, days, today)
    rows = publish_anomalies(settings, *days)
    for row in rows:
        say(f"{row['usage_date']} {row['severity']} {row['anomaly_id']}: {row['message']}")
    return len(rows)


def due_message(settings: Settings, today: date) -> Message | None:
    """Return the message about what is to be told now, None when there is nothing."""
    rows = _newest(settings, today)
    state = open_state(settings.state)
    try:
        due = {alert.alert_id for alert in alerts.note(state, map(_alert, rows))}
    finally:
        state.dispose()
    return write_message([row for row in rows if row["anomaly_id"] in due], today) if due else None


def mark_told(settings: Settings, message: Message, at: datetime) -> None:
    """Remember that a message reached somebody."""
    state = open_state(settings.state)
    try:
        alerts.mark_sent(state, message.alert_ids, at)
    finally:
        state.dispose()


def statuses(settings: Settings, anomaly_ids: Iterable[str]) -> dict[str, alerts.Status]:
    """Return what is known of anomalies: when they were told, and who has taken note."""
    state = open_state(settings.state)
    try:
        return alerts.statuses(state, anomaly_ids)
    finally:
        state.dispose()


def acknowledge(settings: Settings, anomaly_id: str, who: str, note: str | None, at: datetime) -> alerts.Status:
    """Take note of an anomaly: it is not told any more, unless it gets worse or comes back after a week."""
    state = open_state(settings.state)
    try:
        alerts.note(state, map(_alert, _newest(settings, at.date())))
        return alerts.acknowledge(state, anomaly_id, who, note, at)
    finally:
        state.dispose()


def write_month(settings: Settings, today: date) -> str:
    """Write the page of the month up to yesterday, or of its first day, and return where it is."""
    first = (today - timedelta(days=1)).replace(day=1)
    lake, key = Lake(settings.lake), f"_reports/cost-{first:%Y-%m}.html"
    lake.storage.put(key, render_days(settings, first, today, load_zone(settings.timezone)).encode())
    return lake.storage.uri(key)


def render_days(settings: Settings, first: date, last: date, zone: ZoneInfo) -> str:
    """Return the report page of a zone's days, without the anomalies that somebody has acknowledged."""
    from skillyard.costs.page.page import render_page
    from skillyard.costs.page.reading import read_page

    known = statuses(settings, {row["anomaly_id"] for row in read_anomalies(settings, first, last)})
    done = frozenset(anomaly_id for anomaly_id, status in known.items() if status.acknowledged_at)
    return render_page(read_page(settings, first, last, zone, datetime.now(UTC), done))


def _newest(settings: Settings, today: date) -> list[dict[str, Any]]:
    """Return the anomalies of the last days, each once: as it was found last."""
    rows = read_anomalies(settings, today - timedelta(days=TOLD_DAYS - 1), today)
    newest = {row["anomaly_id"]: row for row in reversed(rows)}
    return [row for row in rows if row is newest[row["anomaly_id"]]]


def _alert(row: Mapping[str, Any]) -> alerts.Alert:
    day_after = datetime.combine(row["usage_date"] + timedelta(days=1), time(), UTC)
    return alerts.Alert(row["anomaly_id"], row["severity"], row["message"], day_after)
