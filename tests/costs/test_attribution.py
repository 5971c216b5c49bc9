"""The daily bill: its sums are the ledger's to the last decimal, however the ledger is cut, however often it is made."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st

from skillyard.costs.attribution import attribute, bill_days
from skillyard.costs.baseline import cost_at
from skillyard.costs.prices import Usage
from skillyard.errors import ConfigError, Unpriced
from skillyard.lake.lake import Lake
from skillyard.lake.publish import append
from skillyard.lake.read import read
from skillyard.lake.tables import LLM_CALLS
from skillyard.settings import Settings
from tests.costs.ledger import BOOK, DAY, EXPERT, MODELS, call, calls, ledger, usages

NEXT = DAY + timedelta(days=1)


@pytest.fixture
def lake(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Lake:
    """An empty lake; the profile's endpoint is named, and nobody is asked."""
    monkeypatch.setenv("SIMULATOR_URL", "http://127.0.0.1:1/v1")
    return Lake(settings.lake)


def publish(lake: Lake, part: str, *rows: dict[str, Any]) -> None:
    append(lake, LLM_CALLS, ledger(rows), part)


def total(rows: list[dict[str, Any]], column: str) -> Decimal:
    return sum((Decimal(row[column]) for row in rows), Decimal(0))


@limits(deadline=None, max_examples=60)
@given(st.lists(calls, min_size=1, max_size=30))
def test_the_sums_are_those_of_the_ledger(rows: list[dict[str, Any]]) -> None:
    bill = [row for day in bill_days(ledger(rows).to_batches(), BOOK, EXPERT).values() for row in day.to_pylist()]
    settled = [row for row in rows if row["status"] == "settled"]
    assert total(bill, "cost_usd") == total(settled, "cost_usd")
    assert total(bill, "unknown_reserved_usd") == total([r for r in rows if r["status"] == "unknown"], "reserved_usd")
    assert total(bill, "saved_usd") == total(rows, "saved_usd")
    for column in ("input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens", "compute_s"):
        assert total(bill, column) == total(settled, column)
    for status in ("settled", "failed", "unknown", "cached"):
        assert total(bill, f"n_{status}") == sum(row["status"] == status for row in rows)
    assert all(row["n_calls"] == row["n_settled"] + row["n_failed"] + row["n_unknown"] for row in bill)
    keys = {(r["usage_date"], r["team"], r["skill"], r["tier"], r["model"], r["dag_id"], r["purpose"]) for r in rows}
    assert len(bill) == len(keys)
    pairs = {(r["usage_date"], r["team"], r["skill"], r["tier"], r["model"], r["dag_id"], r["purpose"], r["item_id"]) for r in rows}
    assert total(bill, "n_items") == len(pairs)


@limits(deadline=None, max_examples=40)
@given(st.lists(calls, min_size=1, max_size=20), st.randoms(use_true_random=False), st.integers(1, 7))
def test_order_and_cuts_of_the_ledger_change_nothing(rows: list[dict[str, Any]], random: Any, size: int) -> None:
    whole = bill_days(ledger(rows).to_batches(), BOOK, EXPERT)
    shuffled = random.sample(rows, len(rows))

    def cut() -> Iterator[pa.RecordBatch]:
        for start in range(0, len(shuffled), size):
            yield from ledger(shuffled[start : start + size]).to_batches()

    pieces = bill_days(cut(), BOOK, EXPERT)
    assert pieces.keys() == whole.keys()
    assert all(pieces[day].equals(whole[day]) for day in whole)


@limits(deadline=None)
@given(st.lists(usages, min_size=1, max_size=10), st.sampled_from([*MODELS.values(), "anthropic/claude-opus-5", "embedded/smollm2-135m"]))
def test_whole_columns_are_priced_as_single_calls_are(used: list[Usage], model: str) -> None:
    at = datetime.combine(DAY, time(), UTC)
    priced = cost_at(ledger(call(usage) for usage in used), BOOK.rates(model, at)).to_pylist()
    assert priced == [BOOK.cost(model, usage, at).usd for usage in used]


def test_the_baseline_of_a_call_on_the_expert_is_its_cost_and_of_a_cheaper_one_more() -> None:
    usage = Usage(1013, 77, 5, 131)
    bill = bill_days(ledger([call(usage), call(usage, tier="expert")]).to_batches(), BOOK, EXPERT)[DAY].to_pylist()
    cost = {row["tier"]: (row["cost_usd"], row["baseline_usd"]) for row in bill}
    assert cost["expert"][0] == cost["expert"][1] == cost["fast"][1] > cost["fast"][0]


def test_a_batch_call_is_billed_as_it_cost_beside_the_live_price_of_the_expert() -> None:
    usage = Usage(1000, 0, 0, 100)
    half = BOOK.cost(EXPERT, usage, datetime.combine(DAY, time(), UTC), "batch").usd
    rows = [call(usage, tier="expert", lane="batch", cost_usd=half), call(usage, tier="expert")]
    (row,) = bill_days(ledger(rows).to_batches(), BOOK, EXPERT)[DAY].to_pylist()
    assert 0 < half < rows[1]["cost_usd"]
    assert (row["n_settled"], row["cost_usd"], row["baseline_usd"]) == (2, half + rows[1]["cost_usd"], 2 * rows[1]["cost_usd"])


def test_what_is_not_an_answer_has_a_cost_and_no_baseline() -> None:
    rows = [call(purpose=purpose) for purpose in ("answer", "routing", "vote", "audit")]
    bill = bill_days(ledger(rows).to_batches(), BOOK, EXPERT)[DAY].to_pylist()
    assert all(row["cost_usd"] > 0 for row in bill)
    assert {row["purpose"] for row in bill if row["baseline_usd"]} == {"answer"}


def test_the_table_is_written_once_and_never_again_for_the_same_ledger(settings: Settings, lake: Lake) -> None:
    publish(lake, "a", *[call(item_id=f"i{n}") for n in range(5)], call(day=NEXT, tier="expert"))
    publish(lake, "b", call(status="unknown", error_kind="timed_out"), call(status="cached"), call(status="failed", error_kind="http_500"))
    first = attribute(settings, DAY, NEXT)
    assert [(r.day, r.n_calls, r.is_changed) for r in first] == [(DAY, 7, True), (NEXT, 1, True)]
    before = {info.key: (info.etag, info.modified_at) for info in lake.storage.list("cost_daily/")}
    assert len(before) == 2
    again = attribute(settings, DAY, NEXT)
    assert [r.is_changed for r in again] == [False, False]
    assert {info.key: (info.etag, info.modified_at) for info in lake.storage.list("cost_daily/")} == before
    assert sum(r.cost_usd for r in again) == total([r for r in read(lake, "llm_calls").to_pylist() if r["cost_usd"]], "cost_usd")


def test_late_calls_change_their_day_alone_and_a_day_without_calls_is_removed(settings: Settings, lake: Lake) -> None:
    publish(lake, "a", call(), call(day=NEXT))
    attribute(settings, DAY, NEXT)
    publish(lake, "late", call())
    assert [r.is_changed for r in attribute(settings, DAY, NEXT)] == [True, False]
    for info in list(lake.storage.list(f"llm_calls/dt={NEXT}/")):
        lake.storage.delete(info.key)
    assert [(r.day, r.n_rows, r.is_changed) for r in attribute(settings, DAY, NEXT)] == [(DAY, 1, False), (NEXT, 0, True)]
    assert read(lake, "cost_daily", ["usage_date", "n_calls"]).to_pylist() == [{"usage_date": DAY, "n_calls": 2}]
    assert attribute(settings, date(2025, 1, 1), date(2025, 12, 31)) == []


def test_an_unpriced_model_is_named_before_anything_is_written(settings: Settings, lake: Lake) -> None:
    publish(lake, "a", call(), call(day=NEXT) | {"model": "acme/new-model"})
    with pytest.raises(Unpriced, match=r"acme/new-model.* 2026-11-21"):
        attribute(settings, DAY, NEXT)
    assert list(lake.storage.list("cost_daily/")) == []


def test_a_range_that_ends_before_it_begins_is_refused(settings: Settings, lake: Lake) -> None:
    with pytest.raises(ConfigError, match="2026-11-21 to 2026-11-20"):
        attribute(settings, NEXT, DAY)


def test_the_bill_of_another_days_expert_price_is_that_days(settings: Settings, lake: Lake, tmp_path: Path) -> None:
    profile = tmp_path / "own" / "profile.yaml"
    profile.parent.mkdir()
    text = Path(settings.profile).read_text("utf-8")
    profile.write_text(text, "utf-8")
    prices = Path(settings.profile).with_name("prices.csv").read_text("utf-8").splitlines()
    ended = [f"{line[: line.index(',,')]},{NEXT},t" if "sim-expert" in line else line for line in prices]
    dearer = [f"x{line.replace('2020-01-01,,', f'{NEXT},,').replace(',0.', ',1.')}" for line in prices if "sim-expert" in line]
    profile.with_name("prices.csv").write_text("\n".join([*ended, *dearer]) + "\n", "utf-8")
    publish(lake, "a", call(), call(day=NEXT))
    attribute(replace(settings, profile=str(profile)), DAY, NEXT)
    baseline = {row["usage_date"]: row["baseline_usd"] for row in read(lake, "cost_daily").to_pylist()}
    assert baseline[DAY] < 1 < 100 < baseline[NEXT]
