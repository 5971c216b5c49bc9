"""A day's anomalies out of a lake: from the nightly tables, the ledger's findings, the price book and the red flags, the same each time."""

import re
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from skillyard.costs.anomalies import rules as anomaly_rules
from skillyard.costs.anomalies import units as anomaly_units
from skillyard.costs.anomalies.find import find_disagreements, find_ledger, keep_findings, publish_anomalies, read_anomalies
from skillyard.costs.budgets.rows import publish_budgets
from skillyard.costs.ledger import oddities
from skillyard.costs.ledger.oddities import Finding
from skillyard.costs.prices.check import Disagreement
from skillyard.errors import ConfigError
from skillyard.lake.cost_tables import ANOMALIES, COST_DAILY
from skillyard.lake.lake import Lake
from skillyard.lake.publish import replace_partition
from skillyard.lake.results import to_results
from skillyard.lake.tables import RED_FLAGS
from skillyard.settings import Settings
from tests.conftest import ROOT
from tests.costs.spent import cost_table, spent

DAY = date(2026, 11, 20)
LOST = Finding("lost_rows", "files of the ledger are gone", {"n_calls": 3, "call_ids": ("a", "b")})


@pytest.fixture
def spiked(settings: Settings) -> Settings:
    """Four weeks at a dollar a day, then one of 45 that goes over a budget, and a red flag of the night before."""
    lake = Lake(settings.lake)
    for n in range(30):
        row = spent(DAY - timedelta(days=n), "1" if n else "45")
        replace_partition(lake, COST_DAILY, row["usage_date"], cost_table([row]))
    flag = {
        "usage_date": DAY - timedelta(days=1),
        "flag": "latency",
        "skill": "tag-document",
        "message": "slow",
        "value": 2.0,
        "bound": 1.0,
    }
    replace_partition(lake, RED_FLAGS, flag["usage_date"], to_results(RED_FLAGS, [flag | {"numbers": '{"p50_s": 2}'}]))
    publish_budgets(settings, [DAY], DAY + timedelta(days=1))
    return settings


def test_a_day_gathers_what_every_source_says(spiked: Settings) -> None:
    keep_findings(spiked, DAY, [LOST])
    rows = publish_anomalies(spiked, DAY)
    found = {row["kind"]: row for row in rows}
    assert set(found) == {"spend", "budget_hard", "latency", "lost_rows"}
    assert {kind: row["source"] for kind, row in found.items()} == {
        "spend": "cost",
        "budget_hard": "cost",
        "latency": "router",
        "lost_rows": "ledger",
    }
    assert found["budget_hard"]["skill"] == "tag-document" and found["latency"]["numbers"] == {"p50_s": 2}
    assert found["lost_rows"]["numbers"] == {"n_calls": 3, "call_ids": ["a", "b"]}
    assert [row["severity"] for row in rows] == sorted(row["severity"] for row in rows), "the gravest first"
    assert read_anomalies(spiked, DAY, DAY) == rows


def test_a_day_found_again_is_the_same_and_keeps_what_only_attribution_can_say(spiked: Settings) -> None:
    keep_findings(spiked, DAY, [LOST])
    rows = publish_anomalies(spiked, DAY)
    stored = list(Lake(spiked.lake).storage.list(f"{ANOMALIES.name}/"))
    assert publish_anomalies(spiked, DAY) == rows
    assert list(Lake(spiked.lake).storage.list(f"{ANOMALIES.name}/")) == stored


def test_what_is_mended_is_gone_when_the_day_is_made_again(spiked: Settings) -> None:
    keep_findings(spiked, DAY, [LOST])
    publish_anomalies(spiked, DAY)
    replace_partition(Lake(spiked.lake), COST_DAILY, DAY, cost_table([spent(DAY, "1")]))
    publish_budgets(spiked, [DAY], DAY + timedelta(days=1))
    keep_findings(spiked, DAY, [])
    assert {row["kind"] for row in publish_anomalies(spiked, DAY)} == {"latency"}


def test_an_empty_lake_has_no_anomalies_and_no_partition(settings: Settings) -> None:
    assert publish_anomalies(settings, DAY) == [] == read_anomalies(settings, DAY, DAY)


def test_only_what_changes_no_amount_is_a_warning() -> None:
    found = find_ledger([Finding(kind, "m") for kind in ("clock", "duplicate_rows", "unpriced", "negative")], DAY)
    assert [a.severity for a in found] == ["warn", "warn", "alert", "alert"]


def disagreement(ours: str | None = "0.000001", theirs: str | None = "0.000002", meter: str = "input", model: str = "m") -> Disagreement:
    amounts = (None if usd is None else Decimal(usd) for usd in (ours, theirs))
    return Disagreement(model, meter, "standard", 0, *amounts, "litellm", "")


def test_prices_that_differ_are_one_anomaly_per_model_which_lasts_until_one_of_them_changes() -> None:
    found = [disagreement(), disagreement(meter="output"), disagreement(model="n"), disagreement(theirs=None, model="o")]
    first, second = find_disagreements(found, DAY)
    assert (first.model, second.model) == ("m", "n")
    assert "input 0.000001 here, 0.000002 in litellm; output" in first.message and "skillyard prices add" in first.message
    again, changed = find_disagreements(found[:2], DAY + timedelta(days=1)), find_disagreements([disagreement(theirs="0.000003")], DAY)
    assert again[0].anomaly_id == first.anomaly_id != changed[0].anomaly_id


def test_a_turned_range_is_refused(settings: Settings) -> None:
    with pytest.raises(ConfigError, match="end before they begin"):
        read_anomalies(settings, DAY, DAY - timedelta(days=1))


def test_the_operations_guide_has_a_row_for_every_word() -> None:
    sources = [Path(module.__file__ or "").read_text() for module in (anomaly_rules, anomaly_units, oddities)]
    words = {word for text in sources for word in re.findall(r"""(?:Anomaly|Finding)\(\s*"([a-z_]+)\"""", text)}
    rows = set(re.findall(r"^\| `([a-z_]+)` \|", (ROOT / "docs" / "operations.md").read_text(), re.MULTILINE))
    assert len(words) >= 12 and words | {"price_disagreement", "budget_soft", "budget_hard"} <= rows
