"""The events of an iCalendar file, their times resolved."""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from skillyard.documents.calendars import part_of, read_calendars, time_of
from skillyard.documents.decoding import clean
from skillyard.skills import Source

MAX_EVENTS, MAX_ATTENDEES, MAX_CHARS, MAX_EXCLUDED = 2_000, 20_000, 20_000, 1_000


def handle(source: Source, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return events and attendees."""
    calendars, is_complete = read_calendars(source.data)
    found = [event for calendar in calendars for event in calendar.walk("VEVENT")]
    events = [_event(event) for event in found[:MAX_EVENTS]]
    attendees = [{"event_no": n, **who} for n, event in enumerate(found[:MAX_EVENTS]) for who in _attendees(event)]
    is_long = any(len(event["description"] or "") > MAX_CHARS for event in events)
    return {
        "method": next((method.upper() for calendar in calendars if (method := _text(calendar, "METHOD"))), None),
        "events": [{**event, "description": (event["description"] or "")[:MAX_CHARS] or None} for event in events],
        "attendees": attendees[:MAX_ATTENDEES],
        "n_events": len(found),
        "is_complete": is_complete,
        "is_cut": len(found) > MAX_EVENTS or len(attendees) > MAX_ATTENDEES or is_long,
    }


def _event(event: Any) -> dict[str, Any]:
    start, end = time_of(event.get("DTSTART")), _end(event)
    organizer = event.get("ORGANIZER")
    organizer = organizer[0] if isinstance(organizer, list) else organizer
    sequence = _text(event, "SEQUENCE") or ""
    return {
        "uid": _text(event, "UID"),
        "title": _text(event, "SUMMARY"),
        "start": start.isoformat() if start else None,
        "end": end.isoformat() if end else None,
        "time_zone": _zone(event.get("DTSTART"), start),
        "is_all_day": start is not None and not isinstance(start, datetime),
        "location": _text(event, "LOCATION"),
        "description": _text(event, "DESCRIPTION"),
        "organizer": _address(organizer) if organizer is not None else None,
        "organizer_name": _parameter(organizer, "CN"),
        "attendees": [who["address"] for who in _attendees(event)],
        "status": (_text(event, "STATUS") or "").upper() or None,
        "sequence": int(sequence) if re.fullmatch(r"[0-9]{1,9}", sequence) else None,
        "recurrence": _rule(event.get("RRULE")),
        "excluded": _excluded(event.get("EXDATE")),
        "recurrence_id": moment.isoformat() if (moment := time_of(event.get("RECURRENCE-ID"))) else None,
    }


def _end(event: Any) -> date | None:
    """Return the end as stated or computed; of what lasts all day the last day itself, where iCalendar means the day after."""
    start, end = time_of(event.get("DTSTART")), time_of(event.get("DTEND"))
    duration = event.get("DURATION")
    if end is None and start is not None and isinstance(length := part_of(duration, "td"), timedelta):
        try:
            end = start + length if not isinstance(start, datetime) or start.tzinfo is None else _later(start, length)
        except OverflowError:
            return None
    if end is None or isinstance(end, datetime):
        return end
    return max(end - timedelta(days=1), start) if start is not None and not isinstance(start, datetime) and end > date.min else end


def _later(start: datetime, length: timedelta) -> datetime:
    """Return the time so much later on the clock that everybody shares, summer time or not."""
    return (start.astimezone(UTC) + length).astimezone(start.tzinfo)


def _zone(value: Any, start: date | None) -> str | None:
    stated = _parameter(value, "TZID")
    return stated or ("UTC" if isinstance(start, datetime) and start.tzinfo is not None else None)


def _attendees(event: Any) -> list[dict[str, Any]]:
    found = event.get("ATTENDEE")
    people = found if isinstance(found, list) else [] if found is None else [found]
    names = {"name": "CN", "role": "ROLE", "state": "PARTSTAT"}
    return [{"address": _address(who), **{name: _parameter(who, key) for name, key in names.items()}} for who in people]


def _address(value: Any) -> str:
    return re.sub(r"^mailto:", "", clean(str(value)), flags=re.I)


def _parameter(value: Any, name: str) -> str | None:
    found = (part_of(value, "params") or {}).get(name)
    return clean(str(found)) or None if found is not None else None


def _rule(value: Any) -> str | None:
    rules = value if isinstance(value, list) else [] if value is None else [value]
    return "\n".join(rule.to_ical().decode() for rule in rules if part_of(rule, "to_ical")) or None


def _excluded(value: Any) -> list[str]:
    lists = value if isinstance(value, list) else [] if value is None else [value]
    times = [time_of(each) for part in lists for each in part_of(part, "dts") or ()]
    return [moment.isoformat() for moment in times[:MAX_EXCLUDED] if moment is not None]


def _text(part: Any, name: str) -> str | None:
    value = part.get(name)
    value = value[0] if isinstance(value, list) and value else value
    return clean(str(value)) or None if value is not None else None
