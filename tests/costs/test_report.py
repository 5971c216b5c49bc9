"""The cost report: every grouping adds up to the same total."""

from datetime import timedelta
from decimal import Decimal

import pytest

from skillyard.costs.attribution import attribute
from skillyard.costs.report import COLUMN_OF, cost_report
from skillyard.errors import ConfigError, UnknownName
from skillyard.lake.lake import Lake
from skillyard.lake.publish import append, replace_partition
from skillyard.lake.results import to_results
from skillyard.lake.tables import LLM_CALLS, QUALITY_DAILY
from skillyard.settings import Settings
from tests.costs.audited import quality
from tests.costs.ledger import DAY, call, ledger


@pytest.fixture
def billed(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """An installation with two days of calls, attributed."""
    monkeypatch.setenv("SIMULATOR_URL", "http://127.0.0.1:1/v1")
    rows = [call(tier="expert", skill="extract-invoice", team="finance"), call(), call(), call(status="cached")]
    rows += [call(status="unknown", day=DAY + timedelta(days=1)), call(tier="standard", dag_id="cli")]
    append(Lake(settings.lake), LLM_CALLS, ledger(rows), "a")
    attribute(settings, DAY, DAY + timedelta(days=1))
    return settings


@pytest.mark.parametrize("by", COLUMN_OF)
def test_every_grouping_adds_up_to_the_total(billed: Settings, by: str) -> None:
    report = cost_report(billed, DAY, DAY + timedelta(days=1), by)
    assert sum(row.cost_usd for row in report.rows) == report.total.cost_usd > 0
    assert sum(row.baseline_usd for row in report.rows) == report.total.baseline_usd > report.total.cost_usd
    assert (report.total.n_calls, report.total.n_settled, report.total.n_unknown, report.total.n_cached) == (5, 4, 1, 1)
    assert report.total.unknown_reserved_usd > 0 and report.total.saved_usd > 0


def test_the_dearest_group_comes_first_and_the_total_last(billed: Settings) -> None:
    rows = cost_report(billed, DAY, DAY, "skill").as_dicts()
    assert [row["skill"] for row in rows] == ["extract-invoice", "tag-document", "total"]
    assert rows[0]["cost_usd"] == rows[0]["baseline_usd"] and rows[0]["routing_saved_usd"] == 0
    assert rows[-1]["routing_saved_usd"] == rows[1]["routing_saved_usd"] > 0


def test_by_skill_a_row_says_what_is_kept_of_its_quality_and_what_is_wrong(billed: Settings) -> None:
    lake = Lake(billed.lake)
    replace_partition(
        lake,
        QUALITY_DAILY,
        DAY - timedelta(days=1),
        to_results(QUALITY_DAILY, [quality(0.5, 0.4, 0.6) | {"usage_date": DAY - timedelta(days=1)}]),
    )
    replace_partition(lake, QUALITY_DAILY, DAY, to_results(QUALITY_DAILY, [quality(0.8, 0.7, 0.9)]))
    report = cost_report(billed, DAY, DAY, "skill")
    invoice, tagging, total = report.as_dicts()
    assert (tagging["retained"], tagging["retained_lower"], tagging["n_audited"], tagging["target"]) == (0.8, 0.7, 100, 0.95)
    assert (tagging["red_flags"], total["red_flags"]) == (("retention",), ())
    assert (invoice["retained"], invoice["n_audited"], invoice["cost_usd"]) == (None, 0, report.rows[0].cost_usd)
    assert list(invoice) == list(tagging) == list(total)
    assert [row["skill"] for row in report.quality_rows()] == ["tag-document"]


def test_other_groupings_and_days_before_the_audits_say_nothing_of_quality(billed: Settings) -> None:
    replace_partition(Lake(billed.lake), QUALITY_DAILY, DAY, to_results(QUALITY_DAILY, [quality(0.8, 0.7, 0.9)]))
    assert "retained" not in cost_report(billed, DAY, DAY, "tier").as_dicts()[0]
    assert cost_report(billed, DAY - timedelta(days=2), DAY - timedelta(days=1), "skill").quality_rows() == []


def test_days_without_calls_have_no_rows_and_cost_nothing(billed: Settings) -> None:
    report = cost_report(billed, DAY - timedelta(days=9), DAY - timedelta(days=1), "tier")
    assert (report.as_dicts(), report.total.cost_usd, report.total.n_calls) == ([], Decimal(0), 0)


def test_another_grouping_and_a_turned_range_are_refused(billed: Settings) -> None:
    with pytest.raises(UnknownName, match=r"grouping 'teams'.*Did you mean 'team'"):
        cost_report(billed, DAY, DAY, "teams")
    with pytest.raises(ConfigError, match="end before they begin"):
        cost_report(billed, DAY, DAY - timedelta(days=1), "team")
