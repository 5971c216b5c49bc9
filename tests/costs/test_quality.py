"""Retained quality: an interval around what the audits show, from those that still hold."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from skillyard.costs.quality import held_rows, quality_daily, retained_of
from skillyard.lake.lake import Lake
from skillyard.lake.publish import append
from skillyard.lake.read import read
from skillyard.lake.results import to_results
from skillyard.lake.tables import AUDITS, LLM_CALLS
from skillyard.settings import Settings
from tests.costs.audited import audit
from tests.costs.ledger import DAY, call, ledger

SHA = "a" * 64


def night(day: date, served: list[float], **changes: Any) -> list[dict[str, Any]]:
    """Return the rows of what was served in one night, one document each."""
    at = datetime.combine(day, time(3), UTC)
    more = {"audit_id": f"audit-{day}", "fingerprint": SHA, "audited_at": at, "audited_on": day}
    rows = [audit("fast", share, n, **(more | changes)) for n, share in enumerate(served)]
    return [row | {"item_id": f"{day}-{row['item_id']}", "doc_id": f"{day}-{row['item_id']}"} for row in rows]


def test_the_interval_holds_the_estimate_and_narrows_with_more_audits() -> None:
    few, many = (retained_of(held_rows(night(DAY, [1.0, 1.0, 1.0, 1.0, 0.5] * n)), DAY) for n in (4, 80))
    assert few["retained"] == pytest.approx(0.9) == many["retained"]
    assert few["retained_lower"] < many["retained_lower"] < 0.9 < many["retained_upper"] < few["retained_upper"]
    assert many["retained_upper"] - many["retained_lower"] < 0.09


def test_the_interval_misses_the_truth_in_at_most_one_night_of_twenty() -> None:
    rng, n_missed = np.random.default_rng(5), 0
    for _ in range(200):
        shares = np.where(rng.random(60) < 0.85, 1.0, 0.4)
        found = retained_of(held_rows(night(DAY, shares.tolist())), DAY)
        n_missed += not found["retained_lower"] <= 0.91 <= found["retained_upper"]
    assert n_missed <= 200 * 0.05 + 6


def test_weights_count() -> None:
    rows = night(DAY, [1.0, 0.0])
    rows[0]["weight"], rows[1]["weight"] = 1.5, 0.5
    assert retained_of(held_rows(rows), DAY)["retained"] == 0.75


def test_pages_of_one_document_count_as_one_when_it_comes_to_certainty() -> None:
    rows = night(DAY, [1.0, 1.0, 1.0, 0.5] * 20)
    apart = retained_of(held_rows(rows), DAY)
    together = retained_of(held_rows([row | {"doc_id": f"doc-{n % 8}"} for n, row in enumerate(rows)]), DAY)
    assert together["retained"] == apart["retained"] and together["retained_lower"] < apart["retained_lower"]


def test_audits_before_a_change_of_what_was_served_do_not_hold_and_those_before_a_recovery_do() -> None:
    before, drifted, after = [1.0] * 40, [0.2] * 40, [1.0] * 40
    days = [DAY - timedelta(days=n) for n in (2, 1, 0)]
    down = retained_of(held_rows([*night(days[0], before), *night(days[1], drifted)]), days[1])
    assert (down["n_audited"], down["n_audited_today"], round(down["retained"], 2)) == (40, 40, 0.2)
    rows = [row for day, served in zip(days, (before, drifted, after), strict=True) for row in night(day, served)]
    up = retained_of(held_rows(rows), DAY)
    assert (up["n_audited"], up["n_audited_today"], up["retained"]) == (80, 40, 1.0)


def test_a_day_is_a_partition_with_the_targets_and_costs_of_the_skills(settings: Settings) -> None:
    lake = Lake(settings.lake)
    append(lake, AUDITS, to_results(AUDITS, night(DAY, [1.0] * 20)), "p")
    costs = [
        call(purpose="audit", skill="tag-document", cost_usd=Decimal("0.25")),
        call(purpose="judge", skill="tag-document", cost_usd=Decimal("0.5")),
        call(skill="tag-document", cost_usd=Decimal(7)),
    ]
    append(lake, LLM_CALLS, ledger(costs), "p")
    [row] = quality_daily(settings, DAY)
    assert read(lake, "quality_daily").to_pylist() == [row]
    assert (row["skill"], row["router_version"], row["target"], row["audit_cost_usd"]) == (
        "tag-document",
        "heuristic",
        0.95,
        Decimal("0.75"),
    )
    assert (row["n_audited"], row["retained"], row["retained_upper"]) == (20, 1.0, 1.0) and 0.7 < row["retained_lower"] < 1
    quality_daily(settings, DAY)
    assert read(lake, "quality_daily").num_rows == 1, "doing it again changes nothing"
    assert quality_daily(settings, DAY - timedelta(days=1)) == []
