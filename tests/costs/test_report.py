"""The cost report: every grouping adds up to the same total, in every time zone."""

import shutil
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from skillyard.costs.attribution import attribute
from skillyard.costs.ledger.zones import interval_of, load_zone
from skillyard.costs.report import COLUMN_OF, GROUPINGS, SAVED_BY, CostReport, cost_report
from skillyard.errors import ConfigError, DayRefused, UnknownName
from skillyard.lake.lake import Lake
from skillyard.lake.publish import append, replace_partition
from skillyard.lake.results import to_results
from skillyard.lake.tables import LLM_CALLS, QUALITY_DAILY
from skillyard.settings import Settings
from tests.conftest import settings_in
from tests.costs.audited import quality
from tests.costs.ledger import DAY, USAGE, call, ledger

BERLIN, LONDON, UTC_ZONE = load_zone("Europe/Berlin"), load_zone("Europe/London"), load_zone("UTC")
SUMS = ("n_calls", "n_settled", "n_served", "n_failed", "n_unknown", "n_cached")
MONEY = ("cost_usd", "direct_usd", "waste_usd", "shared_usd", "idle_usd", "unknown_reserved_usd", "saved_usd")


@pytest.fixture(autouse=True)
def _endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIMULATOR_URL", "http://127.0.0.1:1/v1")


@pytest.fixture(scope="module")
def attributed(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """An installation with two days of calls, attributed; it is only read."""
    settings = settings_in(tmp_path_factory.mktemp("attributed"))
    rows = [call(tier="expert", skill="extract-invoice", team="finance", run_id="run-2"), call(), call(), call(status="cached")]
    rows += [call(status="unknown", day=DAY + timedelta(days=1)), call(tier="standard", dag_id="cli", run_id="run-3")]
    first = call(operation_id="operation")
    rows += [first, call(operation_id="operation", attempt_no=2, tier="expert", item_id=first["item_id"], doc_id=first["doc_id"])]
    rows += [call(purpose="routing", tier="standard")]
    append(Lake(settings.lake), LLM_CALLS, ledger(rows), "a")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("SIMULATOR_URL", "http://127.0.0.1:1/v1")
        attribute(settings, DAY, DAY + timedelta(days=1))
    return settings


@pytest.fixture
def audited(attributed: Settings, tmp_path: Path) -> Settings:
    """A copy of it that was audited."""
    shutil.copytree(attributed.lake.removeprefix("file://"), tmp_path / "lake")
    settings = settings_in(tmp_path)
    earlier = DAY - timedelta(days=1)
    rows = {earlier: quality(0.5, 0.4, 0.6, usage_date=earlier), DAY: quality(0.8, 0.7, 0.9)}
    for day, row in rows.items():
        replace_partition(Lake(settings.lake), QUALITY_DAILY, day, to_results(QUALITY_DAILY, [row]))
    return settings


@pytest.mark.parametrize("by", GROUPINGS)
def test_every_grouping_adds_up_to_the_total(attributed: Settings, by: str) -> None:
    report = cost_report(attributed, DAY, DAY + timedelta(days=1), by)
    total = report.total
    for name in (*SUMS, *MONEY):
        assert sum(getattr(row, name) for row in report.rows) == getattr(total, name), name
    assert total.cost_usd == total.direct_usd + total.waste_usd + total.shared_usd > 0
    assert (total.n_calls, total.n_settled, total.n_unknown, total.n_cached, total.n_served) == (8, 7, 1, 1, 5)
    assert min(total.waste_usd, total.shared_usd, total.unknown_reserved_usd, total.saved_usd) > 0
    if by in COLUMN_OF:
        assert sum(row.charged_usd or 0 for row in report.rows) == total.charged_usd == total.cost_usd


@pytest.mark.parametrize("by", SAVED_BY)
def test_what_was_saved_is_the_way_from_the_baseline_to_the_cost(attributed: Settings, by: str) -> None:
    report = cost_report(attributed, DAY, DAY + timedelta(days=1), by)
    assert {row.name for row in report.rows} | {"total"} == report.savings.keys()
    for row in report.savings_rows():
        assert row["baseline_usd"] - row["routing_saved_usd"] - row["cache_saved_usd"] - row["batch_saved_usd"] == row["cost_usd"]
    assert report.savings["total"].baseline_usd > report.total.cost_usd  # type: ignore[operator]


def test_the_dearest_group_comes_first_and_the_total_last(attributed: Settings) -> None:
    rows = cost_report(attributed, DAY, DAY, "skill").as_dicts()
    assert [row["skill"] for row in rows] == ["tag-document", "extract-invoice", "total"]
    assert rows[1]["routing_saved_usd"] == 0 < rows[-1]["routing_saved_usd"] == rows[0]["routing_saved_usd"]
    assert rows[0]["charged_usd"] == rows[0]["direct_usd"] + rows[0]["waste_usd"] + rows[0]["allocated_usd"]


def test_beyond_the_dearest_runs_and_documents_the_others_are_one_row(attributed: Settings) -> None:
    whole = cost_report(attributed, DAY, DAY, "document")
    short = cost_report(attributed, DAY, DAY, "document", top=2)
    assert [row.name for row in short.rows] == [*(row.name for row in whole.rows[:2]), f"{len(whole.rows) - 2} others"]
    assert short.total == whole.total and short.rows[:2] == whole.rows[:2]
    assert "charged_usd" not in short.bill_rows()[0] and short.as_dicts()[0]["charged_usd"] is None
    assert [row.name for row in cost_report(attributed, DAY, DAY, "run").rows] == ["run-1", "run-2", "run-3"]


def test_by_skill_a_row_says_what_is_kept_of_its_quality_and_what_is_wrong(audited: Settings) -> None:
    report = cost_report(audited, DAY, DAY, "skill")
    tagging, invoice, total = report.as_dicts()
    assert (tagging["retained"], tagging["retained_lower"], tagging["n_audited"], tagging["target"]) == (0.8, 0.7, 100, 0.95)
    assert (tagging["red_flags"], total["red_flags"]) == (("retention",), ())
    assert (invoice["retained"], invoice["n_audited"], invoice["cost_usd"]) == (None, 0, report.rows[1].cost_usd)
    assert list(invoice) == list(tagging) == list(total)
    assert [row["skill"] for row in report.quality_rows()] == ["tag-document"]


def test_other_groupings_and_days_before_the_audits_say_nothing_of_quality(audited: Settings) -> None:
    assert "retained" not in cost_report(audited, DAY, DAY, "tier").as_dicts()[0]
    assert cost_report(audited, DAY - timedelta(days=3), DAY - timedelta(days=2), "skill").quality_rows() == []


@pytest.mark.parametrize("by", ["tier", "run"])
@pytest.mark.parametrize("zone", [UTC_ZONE, BERLIN])
def test_days_without_calls_have_no_rows_and_cost_nothing(attributed: Settings, by: str, zone: object) -> None:
    report = cost_report(attributed, DAY - timedelta(days=9), DAY - timedelta(days=1), by, zone)  # type: ignore[arg-type]
    assert (report.as_dicts(), report.bill_rows(), report.savings_rows()) == ([], [], [])
    assert (report.total.cost_usd, report.total.n_calls) == (Decimal(0), 0)


def test_another_grouping_and_a_turned_range_are_refused(attributed: Settings) -> None:
    with pytest.raises(UnknownName, match=r"grouping 'teams'.*Did you mean 'team'"):
        cost_report(attributed, DAY, DAY, "teams")
    with pytest.raises(ConfigError, match="end before they begin"):
        cost_report(attributed, DAY, DAY - timedelta(days=1), "team")


def _sent(*instants: datetime) -> list[dict[str, object]]:
    return [call(day=at.date(), sent_at=at, settled_at=at) for at in instants]


@pytest.mark.parametrize(
    ("day", "hours"), [(date(2026, 10, 25), 25), (date(2026, 3, 29), 23), (date(2026, 7, 1), 24)], ids=["back", "forth", "summer"]
)
def test_a_day_of_a_time_zone_has_its_own_hours_where_the_clocks_change_too(settings: Settings, day: date, hours: int) -> None:
    start, end = interval_of(day, day, BERLIN)
    instants = [start + timedelta(minutes=30 + 60 * n) for n in range(-2, hours + 2)]
    edges = [start - timedelta(microseconds=1), start, end - timedelta(microseconds=1), end]
    append(Lake(settings.lake), LLM_CALLS, ledger(_sent(*instants, *edges)), "a")
    for by in ("tier", "run"):
        report = cost_report(settings, day, day, by, BERLIN)
        assert report.total.n_calls == hours + 2, "one an hour, and two of the four at the edges"
        assert report.total.cost_usd == report.rows[0].cost_usd == call(USAGE, day=day)["cost_usd"] * (hours + 2)


def test_a_range_that_begins_and_ends_with_utcs_has_the_same_sums_however_its_days_are_cut(settings: Settings) -> None:
    # London has UTC's midnights until the 29th of March; from then on its days begin an hour earlier, in which nothing is sent at the end.
    first, last = date(2026, 3, 28), date(2026, 3, 31)
    rows = _sent(*(datetime(2026, 3, 28, 1, 30, tzinfo=UTC) + timedelta(hours=3) * n for n in range(31)))
    rows += [row | {"call_id": f"{row['call_id']}-x", "purpose": "audit"} for row in rows[::3]]
    assert max(row["sent_at"] for row in rows) < interval_of(last, last, LONDON)[1]  # type: ignore[type-var]
    append(Lake(settings.lake), LLM_CALLS, ledger(rows), "a")
    attribute(settings, first, last)
    mine, theirs = (cost_report(settings, first, last, "tier", zone) for zone in (LONDON, UTC_ZONE))
    assert mine.total == theirs.total and mine.total.n_calls == len(rows)
    assert _bill_of(mine, "cost_usd") == _bill_of(theirs, "cost_usd") and mine.savings == theirs.savings


def _bill_of(report: CostReport, name: str) -> dict[str, Decimal]:
    return {row.name: getattr(row, name) for row in report.rows}


@hypothesis_settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(0, 48 * 60 - 1), min_size=1, max_size=30), st.sampled_from(["Asia/Kathmandu", "America/New_York"]))
def test_the_days_of_a_zone_add_up_to_their_range(tmp_path_factory: pytest.TempPathFactory, minutes: list[int], name: str) -> None:
    settings, zone = settings_in(tmp_path_factory.mktemp("zone")), load_zone(name)
    append(Lake(settings.lake), LLM_CALLS, ledger(_sent(*(datetime(2026, 11, 1, tzinfo=UTC) + timedelta(minutes=n) for n in minutes))), "a")
    days = [date(2026, 10, 31) + timedelta(days=n) for n in range(4)]
    each = [cost_report(settings, day, day, "model", zone).total for day in days]
    whole = cost_report(settings, days[0], days[-1], "model", zone).total
    assert sum(one.cost_usd for one in each) == whole.cost_usd and sum(one.n_calls for one in each) == whole.n_calls == len(minutes)


def test_the_settings_zone_is_the_default(settings: Settings, tmp_path: Path) -> None:
    late = datetime(2026, 11, 19, 23, 30, tzinfo=UTC)
    append(Lake(settings.lake), LLM_CALLS, ledger(_sent(late)), "a")
    attribute(settings, late.date(), late.date())
    berlin = settings_in(tmp_path, SKILLYARD_TIMEZONE="Europe/Berlin")
    assert cost_report(berlin, DAY, DAY, "tier").total.n_calls == 1
    assert cost_report(settings, DAY, DAY, "tier").total.n_calls == 0


def test_a_zones_day_that_cannot_be_summed_up_is_refused(settings: Settings) -> None:
    append(Lake(settings.lake), LLM_CALLS, ledger([call(input_tokens=-1, call_id="odd")]), "a")
    with pytest.raises(DayRefused, match="odd"):
        cost_report(settings, DAY, DAY, "tier", BERLIN)
