"""Days of a time zone: whole, gapless, 23 or 25 hours long where the clocks change."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillyard.costs.ledger.zones import days_between, interval_of, load_zone, start_of, utc_days
from skillyard.errors import ConfigError

HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Berlin", date(2026, 3, 29), 23),
        ("Europe/Berlin", date(2026, 10, 25), 25),
        ("Europe/Berlin", date(2026, 11, 20), 24),
        ("Australia/Lord_Howe", date(2026, 4, 5), 24.5),
        ("Africa/Cairo", date(2026, 4, 24), 23),  # the clocks jump at midnight: that day begins at one
        ("America/Havana", date(2026, 11, 1), 25),  # the clocks go back to midnight: it is midnight twice
        ("UTC", date(2026, 3, 29), 24),
    ],
)
def test_a_day_is_as_long_as_its_clock_says(zone: str, day: date, hours: float) -> None:
    start, end = interval_of(day, day, load_zone(zone))
    assert end - start == hours * HOUR
    assert start.tzinfo is UTC and end.tzinfo is UTC


@given(
    st.dates(date(2000, 1, 1), date(2035, 1, 1)), st.sampled_from(["Europe/Berlin", "America/Sao_Paulo", "Asia/Beirut", "Asia/Kathmandu"])
)
def test_days_follow_one_another_without_gap_or_overlap_and_hold_their_own_instants(day: date, name: str) -> None:
    zone = load_zone(name)
    start, end = interval_of(day, day, zone)
    assert end == start_of(day + timedelta(days=1), zone) > start
    for instant in (start, start + (end - start) / 2, end - timedelta(microseconds=1)):
        assert instant.astimezone(zone).date() == day


def test_the_utc_days_that_an_interval_touches() -> None:
    assert utc_days(*interval_of(date(2026, 10, 25), date(2026, 10, 25), load_zone("Europe/Berlin"))) == (
        date(2026, 10, 24),
        date(2026, 10, 25),
    )
    assert utc_days(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)) == (date(2026, 1, 1), date(2026, 1, 1))
    assert days_between(date(2026, 2, 27), date(2026, 3, 1)) == [date(2026, 2, 27), date(2026, 2, 28), date(2026, 3, 1)]


@pytest.mark.parametrize("name", ["Europe/Berlinn", "", "../etc/passwd", "/etc/passwd", "Europe"])
def test_what_is_no_time_zone_is_refused_with_an_example(name: str) -> None:
    with pytest.raises(ConfigError, match=r"is no time zone.*Europe/Berlin"):
        load_zone(name)
