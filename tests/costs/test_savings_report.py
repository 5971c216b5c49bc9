"""Savings on the screen: groups and the total keep the identity, and each step says whether it is measured."""

import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from typer.testing import CliRunner

from skillyard.cli import app
from skillyard.costs.savings_report import savings_report, waterfall
from skillyard.errors import UnknownName
from skillyard.lake.cost_tables import SAVINGS_DAILY
from skillyard.lake.lake import Lake
from skillyard.lake.publish import replace_partition
from skillyard.lake.results import to_results
from skillyard.settings import Settings
from tests.costs.ledger import DAY

NEXT = DAY + timedelta(days=1)


def saved(baseline: str | None, cost: str, cache: str = "0", batch: str = "0", **changes: Any) -> dict[str, Any]:
    """Return a row of savings_daily."""
    routing = None if baseline is None else Decimal(baseline) - Decimal(cost) - Decimal(cache) - Decimal(batch)
    row = {
        "usage_date": DAY,
        "team": "records",
        "skill": "tag-document",
        "tier": "fast",
        "n_served": 10,
        "n_cached": 1,
        "cost_usd": Decimal(cost),
        "baseline_usd": None if baseline is None else Decimal(baseline),
        "routing_saved_usd": routing,
        "cache_saved_usd": Decimal(cache),
        "batch_saved_usd": Decimal(batch),
        "routing_basis": "modelled",
        "cache_basis": "measured",
        "batch_basis": "measured",
        "n_audited": 0,
        "method": "m/1",
    }
    return row | changes


def publish(settings: Settings, *rows: dict[str, Any]) -> None:
    for day in {row["usage_date"] for row in rows}:
        of_day = [row for row in rows if row["usage_date"] == day]
        replace_partition(Lake(settings.lake), SAVINGS_DAILY, day, to_results(SAVINGS_DAILY, of_day))


@pytest.mark.parametrize("by", ["skill", "team", "tier", "day"])
def test_every_grouping_adds_up_to_the_total_and_to_what_was_paid(settings: Settings, by: str) -> None:
    publish(settings, saved("10", "1", "2", "0.5"), saved("3", "4", tier="expert"), saved("7", "0.3", usage_date=NEXT, team="a", skill="b"))
    *groups, total = savings_report(settings, DAY, NEXT, by)
    for name in ("cost_usd", "baseline_usd", "routing_saved_usd", "cache_saved_usd", "batch_saved_usd"):
        assert sum(getattr(group, name) for group in groups) == getattr(total, name)
    assert total.baseline_usd is not None and total.routing_saved_usd is not None
    assert total.cost_usd == total.baseline_usd - total.routing_saved_usd - total.cache_saved_usd - total.batch_saved_usd == Decimal("5.3")
    assert len(groups) == 2 and total.saved_share == Decimal("0.7350")


def test_a_group_is_measured_as_far_as_its_baseline_is(settings: Settings) -> None:
    measured = {"routing_basis": "measured", "n_audited": 40}
    publish(settings, saved("6", "1", **measured), saved("2", "1", tier="standard"), saved("1", "1", skill="b", **measured))
    tagging, other, total = savings_report(settings, DAY, DAY, "skill")
    assert (tagging.routing_basis, tagging.measured_usd, tagging.n_audited) == ("mixed", 6, 40)
    assert (other.routing_basis, total.routing_basis, total.n_audited) == ("measured", "mixed", 80)
    assert "~ mixed (78 % of the baseline measured)" in next(waterfall(total))


def test_the_waterfall_goes_from_the_expert_down_to_what_was_paid(settings: Settings) -> None:
    publish(settings, saved("10", "2.5", "2", "0.5"))
    total = savings_report(settings, DAY, DAY, "day")[-1]
    top, routing, cache, batch, paid = waterfall(total)
    assert top.count("█") == 40 and "10.000000000000 USD" in top and top.endswith("~ modelled")
    assert routing.count("█") == 20 and routing.rstrip().endswith("~ modelled")
    assert (cache.count("█"), batch.count("█"), paid.count("█")) == (8, 2, 10)
    assert cache.endswith("= measured") and "2.500000000000 USD" in paid


def test_a_loss_is_dotted_and_a_day_without_a_baseline_says_so(settings: Settings) -> None:
    publish(settings, saved("4", "8"))
    assert "·" * 20 in list(waterfall(savings_report(settings, DAY, DAY, "day")[-1]))[1]
    publish(settings, saved("4", "8"), saved(None, "1", tier="standard"))
    total = savings_report(settings, DAY, DAY, "tier")[-1]
    assert (total.baseline_usd, total.routing_saved_usd, total.saved_share, total.routing_basis) == (None, None, None, "unknown")
    (line,) = waterfall(total)
    assert "paid 9.000000000000 USD" in line and "no baseline" in line


def test_days_without_rows_and_other_groupings(settings: Settings) -> None:
    assert savings_report(settings, DAY, DAY, "skill") == []
    with pytest.raises(UnknownName, match="Did you mean 'skill'"):
        savings_report(settings, DAY, DAY, "skil")


def test_the_command_prints_the_waterfall_and_json(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(settings, saved("10", "2.5", "2", "0.5"))
    monkeypatch.setenv("SKILLYARD_HOME", str(settings.home))
    monkeypatch.setenv("SKILLYARD_LAKE", settings.lake)
    days = ["--from", str(DAY), "--to", str(DAY)]
    shown = CliRunner().invoke(app, ["cost", "savings", *days], catch_exceptions=False).stdout
    assert "all sent to the expert tier" in shown and "tag-document" in shown
    shown = CliRunner().invoke(app, ["cost", "savings", "--by", "day", "--json", *days], catch_exceptions=False).stdout
    day, total = json.loads(shown)
    assert (day["day"], day["routing_saved_usd"], total["cost_usd"]) == (str(DAY), "5.000000000000", "2.500000000000")
