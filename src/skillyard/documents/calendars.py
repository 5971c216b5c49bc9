"""iCalendar files as the library's components, and the times in them."""

import re
from datetime import date
from typing import Any

from skillyard.documents.decoding import decode
from skillyard.documents.result import Refused

MAX_BYTES = 20_000_000
BEGIN, EVENT_END, END = (re.compile(rf"^{line}[ \t\r]*$", re.I | re.M) for line in ("BEGIN:VCALENDAR", "END:VEVENT", "END:VCALENDAR"))


def read_calendars(data: bytes) -> tuple[list[Any], bool]:
    """Return the calendars in a file, and whether it is whole; ``Refused`` where there is none."""
    text, is_complete = _whole(data)
    return _read(text), is_complete


def time_of(value: Any) -> date | None:
    """Return a day or a time; None for what cannot be read."""
    found = part_of(value[0] if isinstance(value, list) and value else value, "dt")
    return found if isinstance(found, date) else None


def part_of(value: Any, name: str) -> Any:
    """Return what the library makes of a property; None where it has none, or cannot read it."""
    from icalendar.error import BrokenCalendarProperty

    try:
        return getattr(value, name, None)
    except BrokenCalendarProperty:
        return None


def _whole(data: bytes) -> tuple[str, bool]:
    """Return the text, with its end put to what breaks off after an event; and whether it was all there."""
    if not data.strip():
        raise Refused("empty", f"{len(data)} bytes")
    if len(data) > MAX_BYTES:
        raise Refused("too_large", f"{len(data):,} bytes, allowed are {MAX_BYTES:,}")
    text = (decode(data) or "").lstrip("\ufeff")
    begin = BEGIN.search(text)
    if begin is None:
        raise Refused("unsupported_type", "the content is no calendar")
    text = text[begin.start() :]
    if _last(END, text) > _last(BEGIN, text):
        return text, True
    end = _last(EVENT_END, text)
    if end < 0:
        raise Refused("corrupt", "the calendar breaks off before its first event ends")
    return f"{text[:end]}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n", False


def _last(line: re.Pattern[str], text: str) -> int:
    """Return where such a line stands for the last time, -1 where it never does."""
    return max((found.start() for found in line.finditer(text)), default=-1)


def _read(text: str) -> list[Any]:
    from icalendar import Calendar
    from icalendar.timezone import tzp

    tzp.use_zoneinfo()  # forgets the zones that other files have defined
    try:
        return [part for part in Calendar.from_ical(text, multiple=True) if getattr(part, "name", None) == "VCALENDAR"]
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError) as error:
        raise Refused("corrupt", f"no calendar that can be read: {error}") from error
