"""What a PDF says of itself."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone

FIELDS = {"Author": "author", "Subject": "subject", "Keywords": "keywords", "Creator": "creator", "Producer": "producer"}
DATES = {"CreationDate": "created", "ModDate": "modified"}
PDF_DATE = re.compile(r"(?:D:)?(\d{4})(\d\d)?(\d\d)?(\d\d)?(\d\d)?(\d\d)?(?:([+-])(\d\d)'?(\d\d)?|Z)?")


def stated_metadata(info: Mapping[str, str]) -> dict[str, str]:
    """Return author, subject, keywords, creator, producer and the dates (ISO 8601) of a document information dictionary."""
    found = {name: info[key].strip() for key, name in FIELDS.items() if info.get(key, "").strip()}
    dates = {name: date for key, name in DATES.items() if (date := iso_date(info.get(key, "")))}
    return found | dates


def iso_date(stated: str) -> str | None:
    """Return a PDF date in ISO 8601, or None when it is none. Source: ISO 32000-1, 7.9.4."""
    found = PDF_DATE.match(stated.strip())
    if not found:
        return None
    year, month, day, hour, minute, second = (int(part) if part else None for part in found.groups()[:6])
    sign, hours, minutes = found.group(7, 8, 9)
    try:
        zone = timezone((1 if sign == "+" else -1) * timedelta(hours=int(hours), minutes=int(minutes or 0))) if sign else UTC
        return datetime(year or 0, month or 1, day or 1, hour or 0, minute or 0, second or 0, tzinfo=zone).isoformat()
    except ValueError:
        return None
