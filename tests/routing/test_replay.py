"""What a replay measures, and when a challenger is better."""

import math
from dataclasses import replace

import pytest

from skillyard.routing.evidence import Evidence, Observation, split_of
from skillyard.routing.replay import ALL, compare, replay
from skillyard.routing.router import Router
from skillyard.routing.training import train
from tests.routing.rows import COSTS, row
from tests.routing.test_training import EASY, NOW, SKILL, TARGETS, TRAITS, signal

WRONG_ON_FAST = {"fast": 0.0, "standard": 1.0, "expert": 1.0}


@pytest.fixture(scope="module")
def rows() -> list[Evidence]:
    return signal(2500)


@pytest.fixture(scope="module")
def trained(rows: list[Evidence]) -> Router:
    return train(rows, TRAITS, TARGETS, None, NOW)


def safe(router: Router) -> Router:
    """Return the router with everything on the top tier, proven."""
    policies = {skill: replace(policy, threshold=math.inf) for skill, policy in router.policies.items()}
    return replace(router, version="safe", policies=policies)


def reckless(router: Router) -> Router:
    """Return the router with everything where it is cheapest, said to be proven."""
    policies = {skill: replace(policy, threshold=0.0) for skill, policy in router.policies.items()}
    return replace(router, version="reckless", policies=policies)


def test_everything_on_the_top_tier_saves_nothing_and_keeps_all(rows: list[Evidence], trained: Router) -> None:
    measured = replay(safe(trained), rows, TRAITS, TARGETS).skills[SKILL]
    assert (measured.saved.value, measured.retained.value) == pytest.approx((0.0, 1.0))
    assert measured.shares["expert"] == 1.0


def test_only_the_replay_split_is_looked_at(rows: list[Evidence], trained: Router) -> None:
    assert replay(trained, rows, TRAITS, TARGETS).skills[SKILL].n_rows == sum(split_of(r.group) == "replay" for r in rows)


def test_a_replay_counts_what_escalates(trained: Router) -> None:
    groups = [n for n in range(50) if split_of(f"document-{n}") == "replay"]
    failing = [
        replace(row(n, {}, text=EASY), outcomes={t: Observation(t != "fast", float(t != "fast"), c) for t, c in COSTS.items()})
        for n in groups
    ]
    measured = replay(reckless(trained), failing, TRAITS, TARGETS).skills[SKILL]
    assert measured.shares["fast"] == 1.0
    assert measured.retained.value == 1.0
    assert measured.saved.value == pytest.approx(1 - (COSTS["fast"] + COSTS["standard"]) / COSTS["expert"])


def test_weights_count(trained: Router) -> None:
    groups = [n for n in range(100) if split_of(f"document-{n}") == "replay"]
    mixed = [
        row(n, WRONG_ON_FAST if heavy else dict.fromkeys(COSTS, 1.0), weight=3.0 if heavy else 1.0, text=EASY)
        for heavy, n in zip([True, False] * 50, groups[: len(groups) // 2 * 2], strict=False)
    ]
    measured = replay(reckless(trained), mixed, TRAITS, TARGETS).skills[SKILL]
    assert measured.retained.value == pytest.approx(0.25)


def test_the_heuristics_can_be_replayed(rows: list[Evidence]) -> None:
    made = replay(None, rows, TRAITS, TARGETS)
    assert made.version == "heuristic"
    assert made.skills[SKILL].shares["fast"] == 1.0


def test_intervals_hold_the_value_and_narrow_with_more_rows(rows: list[Evidence], trained: Router) -> None:
    few, many = (replay(trained, some, TRAITS, TARGETS).skills[SKILL].saved for some in (rows[:300], rows))
    for interval in (few, many):
        assert interval.low < interval.value < interval.high
    assert many.high - many.low < few.high - few.low


def test_a_challenger_that_saves_at_the_same_quality_is_better(rows: list[Evidence], trained: Router) -> None:
    compared = compare(safe(trained), trained, rows, TRAITS, TARGETS)
    assert compared.is_better
    assert compared.reason.startswith("beside the champion it saves +")
    assert compared.saved_more[ALL].low > 0


def test_the_champion_is_not_better_than_itself(rows: list[Evidence], trained: Router) -> None:
    compared = compare(trained, trained, rows, TRAITS, TARGETS)
    assert not compared.is_better
    assert compared.saved_more[SKILL].value == 0
    assert compared.reason.endswith("neither is enough with confidence")


def test_a_challenger_that_saves_by_losing_quality_is_not_better(rows: list[Evidence], trained: Router) -> None:
    compared = compare(trained, reckless(trained), rows, TRAITS, TARGETS)
    assert not compared.is_better
    assert compared.reason.startswith("it keeps too little of the top tier's quality: classify-things")


def test_a_challenger_that_keeps_the_target_is_better_than_a_champion_that_does_not(rows: list[Evidence], trained: Router) -> None:
    for champion in (None, reckless(trained)):
        compared = compare(champion, trained, rows, TRAITS, TARGETS)
        assert compared.is_better
        assert compared.reason.endswith("; the champion misses the target")
        assert compared.kept_more[ALL].low > 0


def test_a_challenger_of_too_little_evidence_never_wins_and_says_so() -> None:
    few = signal(80)
    untrained = train(few, TRAITS, TARGETS, None, NOW)
    for rows in (few, signal(2500, seed=8)):
        compared = compare(None, untrained, rows, TRAITS, TARGETS)
        assert not compared.is_better
        assert compared.reason.startswith("not enough evidence")


def test_a_few_rows_that_all_went_well_prove_nothing(rows: list[Evidence], trained: Router) -> None:
    groups = [n for n in range(200) if split_of(f"document-{n}") == "replay"][:25]
    lucky = [row(n, dict.fromkeys(COSTS, 1.0), text=EASY) for n in groups]
    compared = compare(safe(trained), trained, lucky, TRAITS, TARGETS)
    assert compared.challenger.skills[SKILL].retained.low == 1.0
    assert compared.challenger.skills[SKILL].retained_lower < 0.95
    assert not compared.is_better
    assert compared.reason == "not enough evidence (n=25 documents to replay, 30 are needed)"


def test_a_skill_that_is_ruined_is_not_paid_for_by_the_others(rows: list[Evidence], trained: Router) -> None:
    ruined = "classify-letters"
    wrong = [
        replace(r, skill=ruined, text=EASY, weight=0.05, outcomes={t: Observation(True, WRONG_ON_FAST[t], c) for t, c in COSTS.items()})
        for r in signal(1000, seed=5)
    ]
    traits = TRAITS | {ruined: TRAITS[SKILL]}
    own = trained.policies[SKILL]
    champion = replace(
        safe(trained), policies={SKILL: replace(own, threshold=math.inf), ruined: replace(own, threshold=math.inf, skill=ruined)}
    )
    challenger = replace(trained, policies={SKILL: own, ruined: replace(own, skill=ruined)})
    compared = compare(champion, challenger, rows + wrong, traits, TARGETS)
    assert not compared.is_better
    assert f"{ruined} 0.0%" in compared.reason


def test_no_row_in_the_replay_split_is_nothing_to_compare_on(trained: Router) -> None:
    fit_only = [r for r in signal(50) if split_of(r.group) == "fit"]
    compared = compare(None, trained, fit_only, TRAITS, TARGETS)
    assert not compared.is_better
    assert compared.reason.startswith("not enough evidence (n=0")
    assert compared.challenger.overall is None
