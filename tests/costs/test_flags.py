"""Red flags: each is raised by the numbers it is about and by nothing else, and a day's partition says what was found."""

import re
from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from skillyard.costs import rules
from skillyard.costs.classifier import ENOUGH, Balance
from skillyard.costs.flags import flag_day, read_flags
from skillyard.costs.ledger.operations import Operation, read_operations
from skillyard.costs.rules import (
    ALL_SKILLS,
    LEAST_AUDITED,
    LEAST_CACHED,
    LEAST_ITEMS,
    find_all_on_top,
    find_cached_high_complexity,
    find_cheap_tier_fails,
    find_classifier_cost,
    find_dominated,
    find_expert_share,
    find_latency,
    find_retention,
)
from skillyard.errors import ConfigError
from skillyard.lake.lake import Lake
from skillyard.lake.publish import append, replace_partition
from skillyard.lake.results import to_results
from skillyard.lake.tables import AUDITS, LLM_CALLS, QUALITY_DAILY
from skillyard.settings import Settings
from tests.conftest import ROOT
from tests.costs.audited import audit, quality
from tests.costs.ledger import DAY, call, ledger

TOPS = {"tag-document": "expert"}
COST = {"fast": Decimal(1), "standard": Decimal(4), "expert": Decimal(10)}


def operation(*tiers: str, latency_s: float | None = 1.0, is_cached: bool = False, item_id: str = "item") -> Operation:
    """Return an operation that was asked on these tiers, the last of which answered."""
    costs = {tier: Decimal(0) if is_cached else COST[tier] for tier in tiers}
    return Operation("op", "tag-document", "f", item_id, item_id, costs, tiers[-1], is_cached, Decimal(0), latency_s)


def of(*groups: tuple[int, Operation]) -> dict[str, Sequence[Operation]]:
    """Return so many of each operation, as one skill's."""
    return {"tag-document": [made for n, made in groups for _ in range(n)]}


def test_everything_on_the_top_tier_is_a_flag() -> None:
    (flag,) = find_all_on_top(of((LEAST_ITEMS, operation("expert"))), TOPS)
    assert (flag.flag, flag.skill, flag.value) == ("all_on_top", "tag-document", 1.0)
    assert "started on expert" in flag.message and "skillyard quality audit tag-document" in flag.message


def test_one_item_in_ten_below_the_top_or_too_few_items_are_none() -> None:
    assert find_all_on_top(of((90, operation("expert")), (10, operation("fast"))), TOPS) == []
    assert find_all_on_top(of((LEAST_ITEMS - 1, operation("expert"))), TOPS) == []


def test_a_skill_with_one_tier_cannot_have_everything_on_top() -> None:
    assert find_all_on_top(of((LEAST_ITEMS, operation("expert"))), {}) == []


@pytest.mark.parametrize(("n_expert", "n_flags"), [(30, 0), (31, 1)])
def test_the_expert_share_may_be_30_per_cent_and_no_more(n_expert: int, n_flags: int) -> None:
    mix = of((n_expert, operation("fast", "expert")), (100 - n_expert, operation("fast")))
    flags = find_expert_share(mix)
    assert [(flag.skill, flag.value) for flag in flags] == [(ALL_SKILLS, n_expert / 100)] * n_flags


def test_three_calls_raise_no_flag() -> None:
    few = of((3, operation("fast", "expert", latency_s=9.0)))
    assert find_expert_share(few) == find_cheap_tier_fails(few) == find_latency(few, TOPS, {"tag-document": [1.0] * 3}) == []
    assert find_dominated([audit(t, q, n) for n in range(3) for t, q in (("fast", 1.0), ("standard", 0.0), ("expert", 1.0))]) == []
    assert find_retention([quality(0.5, 0.1, 0.6, n_audited=3)]) == []


def test_a_classifier_that_costs_more_than_it_saves_is_a_flag_once_enough_items_say_so() -> None:
    loss, gain, few = Balance(ENOUGH, Decimal(3), Decimal(2)), Balance(ENOUGH, Decimal(2), Decimal(3)), Balance(3, Decimal(3), Decimal(0))
    (flag,) = find_classifier_cost({"a": loss, "b": gain, "c": few})
    assert (flag.skill, flag.value, flag.bound) == ("a", 3.0, 2.0) and "take routing out" in flag.message


def test_hard_items_answered_from_the_cache_are_a_flag_and_easy_ones_are_not() -> None:
    cached = [operation("fast", is_cached=True, item_id=f"item-{n}") for n in range(LEAST_CACHED)]
    hard = {("tag-document", f"item-{n}"): 0.45 for n in range(LEAST_CACHED)}
    (flag,) = find_cached_high_complexity({"tag-document": cached}, hard)
    assert (flag.flag, flag.value) == ("cached_high_complexity", LEAST_CACHED)
    assert find_cached_high_complexity({"tag-document": cached}, {**hard, ("tag-document", "item-0"): 0.44}) == []
    assert find_cached_high_complexity(of((LEAST_CACHED, operation("fast", item_id="item-0"))), hard) == []


@pytest.mark.parametrize(("cheap_s", "n_flags"), [(0.4, 0), (2.0, 1)])
def test_a_routed_mix_as_slow_as_the_top_tier_alone_is_a_flag(cheap_s: float, n_flags: int) -> None:
    flags = find_latency(of((40, operation("fast", latency_s=cheap_s))), TOPS, {"tag-document": [2.0] * 40})
    assert [flag.flag for flag in flags] == ["latency"] * n_flags


def test_a_slow_tail_is_a_flag_although_the_median_is_fast() -> None:
    mix = of((80, operation("fast", latency_s=0.4)), (20, operation("fast", "expert", latency_s=2.6)))
    (flag,) = find_latency(mix, TOPS, {"tag-document": [2.0] * 40})
    assert "95th percentile" in flag.message and flag.numbers["p50_s"] == 0.4


def test_a_skill_that_is_all_on_the_top_tier_has_its_own_flag_and_none_for_latency() -> None:
    assert find_latency(of((40, operation("expert", latency_s=2.0))), TOPS, {"tag-document": [2.0] * 40}) == []


@pytest.mark.parametrize(("n_failed", "n_flags"), [(90, 0), (91, 1)])
def test_a_cheap_tier_pays_until_its_failures_reach_one_less_the_cost_ratio(n_failed: int, n_flags: int) -> None:
    mix = of((n_failed, operation("fast", "expert")), (100 - n_failed, operation("fast")))  # fast costs a tenth of expert
    assert [flag.flag for flag in find_cheap_tier_fails(mix)] == ["cheap_tier_fails"] * n_flags


def test_a_tier_that_costs_more_and_agrees_less_is_dominated() -> None:
    rows = [audit("fast", 0.9, n, "1") for n in range(LEAST_AUDITED)] + [audit("expert", 1.0, n, "9") for n in range(LEAST_AUDITED)]
    rows += [audit("standard", 0.7 + 0.01 * (n % 3), n, "4") for n in range(LEAST_AUDITED)]
    (flag,) = find_dominated(rows)
    assert (flag.numbers["tier"], flag.numbers["other"], flag.numbers["n_items"]) == ("standard", "fast", LEAST_AUDITED)


def test_a_dearer_tier_that_is_better_or_only_unluckily_worse_is_not_dominated() -> None:
    better = [audit("fast", 0.8, n, "1") for n in range(40)] + [audit("standard", 0.9, n, "4") for n in range(40)]
    noisy = [audit("fast", float(n % 2 == 0), n, "1") for n in range(40)] + [
        audit("standard", float(n % 2 == 1 and n > 2), n) for n in range(40)
    ]
    top = [audit("expert", 1.0, n, "9") for n in range(40)]
    assert find_dominated(better + top) == find_dominated(noisy + top) == []


def test_retention_says_whether_the_target_is_missed_or_not_yet_proven() -> None:
    figures = ((0.8, 0.7, 0.9), (0.97, 0.93, 0.99), (0.98, 0.96, 1.0))
    missed, unproven, kept = (find_retention([quality(*three, n_audited=120)]) for three in figures)
    assert "misses its target" in missed[0].message and "skillyard router train" in missed[0].message
    assert "not proven" in unproven[0].message and (unproven[0].value, unproven[0].bound) == (0.93, 0.95)
    assert kept == []


@pytest.mark.parametrize(("n_audited", "n_missed", "n_unproven"), [(29, 0, 0), (30, 1, 0), (116, 1, 0), (117, 1, 1)])
def test_a_miss_is_a_flag_sooner_than_a_proof_that_is_missing(n_audited: int, n_missed: int, n_unproven: int) -> None:
    assert len(find_retention([quality(0.8, 0.7, 0.9, n_audited)])) == n_missed
    assert len(find_retention([quality(1.0, 0.94, 1.0, n_audited)])) == n_unproven


@pytest.fixture
def flagged(settings: Settings) -> Settings:
    """A week in which fast nearly always failed and expert answered, and an audit that says what is kept."""
    lake, rows = Lake(settings.lake), []
    for n in range(60):
        shared = {"operation_id": f"op-{n}", "item_id": f"item-{n}", "doc_id": f"item-{n}", "day": DAY - timedelta(days=n % 7)}
        rows.append(call(tier="fast", latency_ms=900, **shared))
        rows.append(call(tier="expert", latency_ms=900, attempt_no=2, **shared))
    append(lake, LLM_CALLS, ledger(rows), "a")
    replace_partition(lake, QUALITY_DAILY, DAY, to_results(QUALITY_DAILY, [quality(0.8, 0.7, 0.9)]))
    append(
        lake,
        AUDITS,
        to_results(AUDITS, [audit(t, 1.0, n, c) for n in range(30) for t, c in (("fast", "1"), ("standard", "2"), ("expert", "9"))]),
        "a",
    )
    return settings


def test_a_day_is_flagged_from_the_week_before_it_and_again_the_same(flagged: Settings) -> None:
    found = [flag.flag for flag in flag_day(flagged, DAY)]
    assert found == ["expert_share", "latency", "cheap_tier_fails", "dominated_tier", "retention"]
    rows = read_flags(flagged, DAY, DAY)
    assert sorted(row["flag"] for row in rows) == sorted(found) and all(row["message"] for row in rows)
    assert rows[0]["numbers"]["n_escalated"] == 60
    flag_day(flagged, DAY)
    assert read_flags(flagged, DAY, DAY) == rows


def test_flags_whose_cause_is_gone_are_gone_when_the_day_is_computed_again(flagged: Settings) -> None:
    flag_day(flagged, DAY)
    storage = Lake(flagged.lake).storage
    for found in [info for table in ("llm_calls", "quality_daily", "audits") for info in storage.list(f"{table}/")]:
        storage.delete(found.key)
    assert flag_day(flagged, DAY) == [] == read_flags(flagged, DAY, DAY)


def test_the_operations_guide_has_a_row_for_every_flag_that_can_be_raised() -> None:
    words = set(re.findall(r"""Flag\(\s*"([a-z_]+)\"""", Path(rules.__file__).read_text()))
    rows = set(re.findall(r"^\| `([a-z_]+)` \|", (ROOT / "docs" / "operations.md").read_text(), re.MULTILINE))
    assert len(words) == 8 and words <= rows


def test_a_turned_range_is_refused(settings: Settings) -> None:
    with pytest.raises(ConfigError, match="end before they begin"):
        read_flags(settings, date(2026, 11, 2), date(2026, 11, 1))


def test_an_operation_is_all_that_was_asked_for_an_item_in_a_run(settings: Settings) -> None:
    shared = {"operation_id": "op", "item_id": "item", "doc_id": "item"}
    rows = [
        call(tier="fast", latency_ms=400, **shared),
        call(tier="fast", status="failed", **shared),
        call(tier="standard", latency_ms=600, **shared),
        call(tier="expert", purpose="audit", **shared),
        call(tier="fast", purpose="vote", latency_ms=700, **shared),
        call(tier="fast", status="cached", operation_id="again", item_id="item"),
        call(tier="fast", status="unknown", operation_id="lost", item_id="lost"),
    ]
    append(Lake(settings.lake), LLM_CALLS, ledger(rows), "a")
    again, lost, op = read_operations(Lake(settings.lake), DAY, DAY)
    assert (list(op.costs_usd), op.first_tier, op.last_tier, op.latency_s) == (["fast", "standard"], "fast", "standard", 1.0)
    assert op.cost_usd == rows[0]["cost_usd"] + rows[2]["cost_usd"] + rows[4]["cost_usd"]
    assert again.is_cached and again.cost_usd == 0 and again.saved_usd > 0 and again.latency_s is None
    assert lost.last_tier is None
