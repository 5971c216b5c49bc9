"""A night's money: what changed is made, what is odd is kept and told once, the page is written, and old days are seen too."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from skillyard.costs.anomalies.find import read_anomalies
from skillyard.costs.attribution import check_reports
from skillyard.errors import ConfigError, DayRefused
from skillyard.lake.cost_tables import BUDGET_DAILY, COST_DAILY
from skillyard.lake.lake import Lake
from skillyard.lake.publish import append
from skillyard.lake.read import read
from skillyard.lake.tables import LLM_CALLS
from skillyard.running.nightly import acknowledge, asked_days, attribute_night, due_message, mark_told, watch, write_month
from skillyard.settings import Settings
from tests.costs.ledger import DAY, call, ledger
from tests.simulator import Simulator

pytestmark = pytest.mark.timeout(300)
TODAY = DAY + timedelta(days=1)
NOW = datetime(2026, 11, 21, 2, 30, tzinfo=UTC)


@pytest.fixture
def ledgered(settings: Settings, simulator: Simulator) -> Settings:
    """Three calls of yesterday, of which one stands in two files and one says it was settled before it was sent."""
    lake = Lake(settings.lake)
    rows = [call(), call(tier="expert"), call()]
    rows[2]["settled_at"] = rows[2]["sent_at"] - timedelta(seconds=9)
    append(lake, LLM_CALLS, ledger(rows), "a")
    append(lake, LLM_CALLS, ledger(rows[:1]), "b")
    return settings


def night(settings: Settings) -> list[str]:
    """Do what the DAG does, and return the ids that are told."""
    said: list[str] = []
    reports = attribute_night(settings, None, said.append)
    watch(settings, min((report.day for report in reports), default=None), TODAY, said.append)
    message = due_message(settings, TODAY)
    if message is not None:
        mark_told(settings, message, NOW)
    return message.alert_ids if message else []


def test_a_night_makes_the_tables_keeps_what_is_odd_and_tells_it_once(ledgered: Settings) -> None:
    told = night(ledgered)
    assert [name.rsplit("-", 1)[0] for name in told] == ["clock", "duplicate_rows"]
    lake = Lake(ledgered.lake)
    total = sum(row["cost_usd"] for row in read(lake, COST_DAILY).to_pylist())
    budgets = {(r["usage_date"], r["team"], r["skill"]): r["month_to_date_usd"] for r in read(lake, BUDGET_DAILY).to_pylist()}
    assert budgets[DAY, "*", "*"] == budgets[TODAY, "*", "*"] == budgets[DAY, "records", "tag-document"] == total > Decimal(0)
    assert night(ledgered) == []


def test_what_is_found_again_after_a_late_row_is_not_told_again_and_what_is_new_is(ledgered: Settings) -> None:
    night(ledgered)
    append(
        Lake(ledgered.lake),
        LLM_CALLS,
        ledger([call(day=DAY - timedelta(days=40), settled_at=None), call(status="unknown", reserved_usd=Decimal(9))]),
        "c",
    )
    assert [name.rsplit("-", 1)[0] for name in night(ledgered)] == ["unknown_share"]
    assert {row["kind"] for row in read_anomalies(ledgered, DAY, DAY)} == {"clock", "duplicate_rows", "unknown_share"}


def test_a_day_that_is_refused_is_told_and_the_others_are_made(ledgered: Settings) -> None:
    night(ledgered)
    lake = Lake(ledgered.lake)
    (lost,) = [found for found in lake.storage.list("llm_calls/") if found.key.endswith("part-a.parquet")]
    lake.storage.delete(lost.key)
    append(lake, LLM_CALLS, ledger([call(day=TODAY)]), "d")
    reports = attribute_night(ledgered, None, print)
    with pytest.raises(DayRefused, match="--accept-loss"):
        check_reports(reports)
    watch(ledgered, DAY, TODAY, print)
    message = due_message(ledgered, TODAY)
    assert message is not None and "1 new anomaly, 1 grave" in message.subject and "ALERT lost_rows on 2026-11-20" in message.text
    assert {row["usage_date"] for row in read(lake, COST_DAILY).to_pylist()} == {DAY, TODAY}
    check_reports(attribute_night(ledgered, asked_days(str(DAY), None, True), print, accept_loss=True))


def test_the_page_of_the_month_leaves_out_what_is_acknowledged(ledgered: Settings) -> None:
    clock = night(ledgered)[0]
    acknowledge(ledgered, clock, "team-lead", "the old machine", NOW)
    uri = write_month(ledgered, TODAY)
    assert uri.endswith("/_reports/cost-2026-11.html")
    page = Lake(ledgered.lake).storage.get("_reports/cost-2026-11.html").decode()
    assert "duplicate_rows" in page and "were settled before they were sent" not in page
    assert write_month(ledgered, date(2026, 12, 1)).endswith("cost-2026-11.html"), "the night of the first closes the month before"


@pytest.mark.parametrize(("first", "last", "is_lost"), [(None, "2026-11-20", False), (None, None, True)])
def test_a_form_without_a_first_day_asks_for_nothing_else(first: str | None, last: str | None, is_lost: bool) -> None:
    assert asked_days(None, None, False) is None and asked_days("2026-11-20", None, False) == (DAY, DAY)
    with pytest.raises(ConfigError, match="need a first day"):
        asked_days(first, last, is_lost)
