"""From a day to its calls, and from a call to the prices it was charged: what an analyst computes by hand is what the ledger has."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given

from skillyard.costs.ledger.drill import explain, find_calls
from skillyard.costs.ledger.zones import load_zone
from skillyard.lake.lake import Lake
from skillyard.lake.publish import append
from skillyard.lake.results import to_results
from skillyard.lake.tables import LLM_CALLS, REJECTS
from skillyard.settings import Settings
from tests.costs.ledger import BOOK, DAY, USAGE, call, ledger, usages
from tests.lake.rows import example

UTC_ZONE = load_zone("UTC")


@pytest.fixture
def drilled(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A ledger with a call for each use."""
    monkeypatch.setenv("SIMULATOR_URL", "http://127.0.0.1:1/v1")
    rows = [
        call(call_id="first", operation_id="operation", item_id="item", doc_id="document"),
        call(call_id="second", operation_id="operation", item_id="item", doc_id="document", attempt_no=2, tier="expert"),
        call(call_id="audit", purpose="audit", tier="standard", run_id="run-2", doc_id="document"),
        call(call_id="refused", item_id="rejected"),
        call(call_id="lost", status="unknown", skill="extract-invoice"),
        call(call_id="kept", status="cached"),
        call(call_id="earlier", day=DAY - timedelta(days=1)),
    ]
    append(Lake(settings.lake), LLM_CALLS, ledger(rows), "a")
    reject = example(REJECTS.name)[1] | {"run_id": "run-1", "item_id": "rejected", "doc_id": "rejected", "rejected_on": DAY}
    append(Lake(settings.lake), REJECTS, to_results(REJECTS, [reject]), "a")
    return settings


def _ids(settings: Settings, first: date = DAY, top: int = 99, **wanted: str) -> list[str]:
    return [row["call_id"] for row in find_calls(settings, first, DAY, UTC_ZONE, wanted, top)]


def test_calls_are_found_by_run_document_item_skill_and_day_the_dearest_first(drilled: Settings) -> None:
    assert _ids(drilled)[:2] == ["second", "audit"] and len(_ids(drilled)) == 6
    assert set(_ids(drilled, DAY - timedelta(days=1), run_id="run-1")) == {"first", "second", "refused", "lost", "kept", "earlier"}
    assert _ids(drilled, doc_id="document") == ["second", "audit", "first"]
    assert _ids(drilled, item_id="item") == ["second", "first"]
    assert (_ids(drilled, run_id="run-2"), _ids(drilled, skill="extract-invoice"), _ids(drilled, call_id="kept")) == (
        ["audit"],
        ["lost"],
        ["kept"],
    )
    assert _ids(drilled, top=1) == ["second"] and _ids(drilled, skill="x' OR true --") == []


def test_each_call_says_what_it_was_used_for(drilled: Settings) -> None:
    uses = {row["call_id"]: row["use"] for row in find_calls(drilled, DAY, DAY, UTC_ZONE, {}, 99)}
    assert uses == {"first": "repeated", "second": "served", "audit": "shared", "refused": "rejected", "lost": "none", "kept": "none"}


def test_a_zones_day_has_the_calls_of_its_own_hours(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIMULATOR_URL", "http://127.0.0.1:1/v1")
    late = datetime(2026, 11, 19, 23, 30, tzinfo=UTC)
    append(Lake(settings.lake), LLM_CALLS, ledger([call(day=late.date(), sent_at=late, settled_at=late)]), "a")
    for zone, n in (("Europe/Berlin", 1), ("UTC", 0), ("America/New_York", 0)):
        assert len(find_calls(settings, DAY, DAY, load_zone(zone), {}, 9)) == n


@given(usages)
def test_meters_times_prices_are_the_cost_to_the_last_decimal(usage: object) -> None:
    row = call(usage)  # type: ignore[arg-type]
    found = explain(row, BOOK)
    assert (found.computed_usd or Decimal(0)) == row["cost_usd"] and found.remark == ""
    assert sum((charge.cost_usd for charge in found.charges), Decimal(0)).quantize(Decimal("1e-12")) == row["cost_usd"]


def test_a_meter_without_its_own_price_names_the_one_it_was_charged(drilled: Settings) -> None:
    charges = {charge.part: charge for charge in explain(call(USAGE), BOOK).charges}
    assert charges["cache_write"].price_id == charges["input"].price_id
    assert charges["input"].shown.startswith("100 tokens input x $")


def test_what_cannot_be_recomputed_says_why() -> None:
    priced = call(USAGE)
    for changes, said in (
        ({"status": "unknown", "cost_usd": None}, "at most $"),
        ({"status": "cached"}, "response store"),
        ({"price_ids": "bill"}, "provider's bill"),
        ({"price_ids": "gone.2020"}, "gone.2020 stand on the row and not in the price book"),
        ({"cost_usd": Decimal("0.5")}, "the ledger has $0.5"),
    ):
        assert said in explain(priced | changes, BOOK).remark
    assert explain(priced | {"price_ids": "gone.2020"}, BOOK).computed_usd is None
