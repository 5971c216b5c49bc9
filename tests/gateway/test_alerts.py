"""Alerts: told once, again after a week away or when they became worse, and taken note of by somebody."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine

from skillyard.errors import UnknownName
from skillyard.gateway.alerts import Alert, acknowledge, mark_sent, note, statuses
from skillyard.gateway.state import open_state
from skillyard.settings import Settings

NOW = datetime(2026, 11, 20, 2, 30, tzinfo=UTC)
DAY = timedelta(days=1)
SPEND = Alert("spend-1", "warn", "much", NOW)
OTHER = Alert("spend-2", "warn", "much more", NOW)


@pytest.fixture
def state(settings: Settings) -> Iterator[Engine]:
    engine = open_state(settings.state)
    yield engine
    engine.dispose()


def tell(state: Engine, *found: Alert, at: datetime = NOW) -> list[str]:
    """Note what holds now, and send, as a night does."""
    due = note(state, [replace(alert, seen_at=at) for alert in found])
    mark_sent(state, [alert.alert_id for alert in due], at)
    return [alert.alert_id for alert in due]


def test_what_is_new_is_told_and_the_next_night_only_what_is_newer(state: Engine) -> None:
    assert tell(state, SPEND) == ["spend-1"]
    assert tell(state, SPEND, OTHER, at=NOW + DAY) == ["spend-2"]
    assert tell(state, SPEND, OTHER, at=NOW + 2 * DAY) == []


def test_what_could_not_be_sent_is_still_to_be_sent(state: Engine) -> None:
    assert note(state, [SPEND]) == note(state, [SPEND]) == [SPEND]


def test_what_lasts_for_months_is_told_once_and_what_was_away_for_a_week_again(state: Engine) -> None:
    tell(state, SPEND)
    assert [tell(state, SPEND, at=NOW + n * DAY) for n in (3, 10, 17, 24)] == [[]] * 4
    assert tell(state, SPEND, at=NOW + 32 * DAY) == ["spend-1"]
    assert statuses(state, ["spend-1"])["spend-1"].first_seen_at == NOW + 32 * DAY


def test_what_became_worse_is_told_again_although_somebody_took_note_and_what_became_better_is_not(state: Engine) -> None:
    tell(state, SPEND)
    acknowledge(state, "spend-1", "team-lead", "a backfill", NOW)
    graver = Alert("spend-1", "alert", "far too much", NOW)
    assert tell(state, graver, at=NOW + DAY) == ["spend-1"]
    assert statuses(state, ["spend-1"])["spend-1"].acknowledged_at is None
    assert tell(state, SPEND, at=NOW + 2 * DAY) == []
    assert tell(state, graver, at=NOW + 3 * DAY) == [], "it goes up and down, and was told at its worst"


def test_who_took_note_when_and_why_is_kept(state: Engine) -> None:
    tell(state, SPEND)
    acknowledge(state, "spend-1", "team-lead", "a backfill", NOW + DAY)
    tell(state, SPEND, at=NOW + 2 * DAY)
    status = statuses(state, ["spend-1", "unheard"])["spend-1"]
    assert (status.acknowledged_by, status.note, status.acknowledged_at, status.sent_at) == ("team-lead", "a backfill", NOW + DAY, NOW)


def test_what_was_acknowledged_before_it_could_be_sent_is_not_sent(state: Engine) -> None:
    note(state, [SPEND])
    acknowledge(state, "spend-1", "team-lead", None, NOW)
    assert note(state, [SPEND]) == []


def test_an_unknown_alert_cannot_be_acknowledged_and_the_error_names_those_there_are(state: Engine) -> None:
    note(state, [SPEND])
    with pytest.raises(UnknownName, match="Did you mean 'spend-1'"):
        acknowledge(state, "spend-l", "team-lead", None, NOW)


def test_the_same_thing_found_on_two_days_is_sent_once(state: Engine) -> None:
    assert note(state, [SPEND, SPEND]) == [SPEND]


def test_something_of_a_day_long_past_that_is_found_every_night_is_told_once(state: Engine) -> None:
    assert [len(note(state, [SPEND]))] == [1]
    mark_sent(state, ["spend-1"], NOW + 20 * DAY)
    assert note(state, [SPEND]) == [] and statuses(state, ["spend-1"])["spend-1"].last_seen_at == NOW


def test_thousands_are_noted_at_once(state: Engine) -> None:
    many = [Alert(f"a-{n}", "warn", "m", NOW) for n in range(1200)]
    assert len(tell(state, *many)) == 1200 and tell(state, *many) == []
