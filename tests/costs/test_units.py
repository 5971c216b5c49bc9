"""Unit costs: exact quotients, none where there is nothing to divide by, and one version of a skill beside the one before it."""

import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from typer.testing import CliRunner

from skillyard.cli import app
from skillyard.costs.units import change, divided, unit_costs
from skillyard.errors import ConfigError, UnknownName
from skillyard.lake.cost_tables import UNIT_COSTS
from skillyard.lake.lake import Lake
from skillyard.lake.publish import replace_partition
from skillyard.lake.results import to_results
from skillyard.settings import Settings
from skillyard.skills import Catalogue
from tests.costs.ledger import DAY

NEXT = DAY + timedelta(days=1)


def unit(direct: str, n_results: int = 10, **changes: Any) -> dict[str, Any]:
    """Return a row of unit_costs: 10 results of 5 documents with 20 pages, with a tenth each of waste and shared cost."""
    part = Decimal(direct) / 10
    row = {
        "usage_date": DAY,
        "team": "records",
        "skill": "tag-document",
        "fingerprint": "aa" * 32,
        "n_documents": 5,
        "n_pages": 20,
        "n_items": 12,
        "n_results": n_results,
        "n_rejects": 2,
        "n_calls": 15,
        "cost_usd": Decimal(direct) + 2 * part,
        "direct_usd": Decimal(direct),
        "waste_usd": part,
        "shared_usd": part,
        "allocated_usd": part,
    }
    return row | changes


def publish(settings: Settings, *rows: dict[str, Any]) -> None:
    for day in {row["usage_date"] for row in rows}:
        replace_partition(Lake(settings.lake), UNIT_COSTS, day, to_results(UNIT_COSTS, [row for row in rows if row["usage_date"] == day]))


def test_a_unit_costs_all_that_was_charged_for_it(settings: Settings) -> None:
    publish(settings, unit("3"), unit("2", usage_date=NEXT), unit("10", skill="extract-invoice", team="finance", n_pages=0))
    dearest, tagging = unit_costs(settings, DAY, NEXT, "skill")
    assert (dearest.names, dearest.charged_usd, dearest.usd_per_page) == ({"skill": "extract-invoice"}, 12, None)
    assert tagging.charged_usd == 6  # (3 + 2) and a fifth of it
    assert (tagging.usd_per_document, tagging.usd_per_page) == (Decimal("0.6"), Decimal("0.15"))
    assert (tagging.usd_per_1000_items, tagging.usd_per_result) == (250, Decimal("0.3"))
    assert [row.names["team"] for row in unit_costs(settings, DAY, NEXT, "team")] == ["finance", "records"]


def test_a_version_stands_beside_the_one_before_it(settings: Settings) -> None:
    current = Catalogue(settings.include).load("tag-document").fingerprint()
    newer = unit("1.5", usage_date=NEXT, fingerprint=current)
    publish(settings, unit("2"), unit("1", usage_date=NEXT), newer, unit("9", team="finance", fingerprint="bb" * 32))
    other, older, now = unit_costs(settings, DAY, NEXT, "version")
    assert (other.names["team"], other.change_percent, other.is_current) == ("finance", None, False)
    assert (older.first, older.last, older.is_current, older.change_percent) == (DAY, NEXT, False, None)
    assert (now.first, now.last, now.is_current) == (NEXT, NEXT, True)
    assert (older.usd_per_result, now.usd_per_result, now.change_percent) == (Decimal("0.18"), Decimal("0.18"), 0)
    publish(settings, unit("2"), newer)
    assert unit_costs(settings, DAY, NEXT, "version")[-1].change_percent == Decimal("-25.00")


def test_quotients_are_exact_to_the_last_place_and_none_where_nothing_divides() -> None:
    assert divided(Decimal(2), 3) == Decimal("0.666666666667")
    assert divided(Decimal("0.000000000001"), 2) == 0
    assert divided(Decimal("0.000000000003"), 2) == Decimal("0.000000000002")
    assert divided(Decimal(1), 0) is None
    assert change(Decimal(0), Decimal(1)) is change(None, Decimal(1)) is change(Decimal(1), None) is None
    assert change(Decimal(3), Decimal(4)) == Decimal("33.33")


def test_a_version_without_results_has_no_cost_of_one_and_no_change(settings: Settings) -> None:
    publish(settings, unit("2", n_results=0), unit("2", usage_date=NEXT, fingerprint="cc" * 32))
    before, after = unit_costs(settings, DAY, NEXT, "version")
    assert (before.usd_per_result, after.usd_per_result, after.change_percent) == (None, Decimal("0.24"), None)


def test_other_groupings_and_turned_ranges_are_refused(settings: Settings) -> None:
    with pytest.raises(UnknownName, match="Did you mean 'version'"):
        unit_costs(settings, DAY, DAY, "versions")
    with pytest.raises(ConfigError, match="end before they begin"):
        unit_costs(settings, NEXT, DAY, "skill")
    assert unit_costs(settings, DAY, NEXT, "skill") == []


def test_the_command_prints_money_to_the_last_place(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(settings, unit("0.000000000001", n_results=1))
    monkeypatch.setenv("SKILLYARD_HOME", str(settings.home))
    monkeypatch.setenv("SKILLYARD_LAKE", settings.lake)
    days = ["--from", str(DAY), "--to", str(DAY)]
    shown = CliRunner().invoke(app, ["cost", "units", "--by", "version", "--json", *days], catch_exceptions=False).stdout
    (row,) = json.loads(shown)
    assert (row["usd_per_result"], row["fingerprint"], row["first"]) == ("0.000000000001", "aa" * 32, str(DAY))
    shown = CliRunner().invoke(app, ["cost", "units", "--by", "version", *days], catch_exceptions=False).stdout
    assert "aaaaaaaaaaaa " in shown
