"""What a training and a recalibration make of evidence."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from skillyard.routing.decide import Traits
from skillyard.routing.evidence import Evidence, EvidenceError, still_valid
from skillyard.routing.features import extract_features
from skillyard.routing.router import Router
from skillyard.routing.training import digest, recalibrate, train
from tests.routing.rows import audited_night, row

SKILL = "classify-things"
TRAITS = {SKILL: Traits("fast", "expert", n_labels=4, n_fields=2, n_prompt_tokens=200, n_output_tokens=50)}
TARGETS = {SKILL: 0.95}
NOW = datetime(2026, 4, 1, tzinfo=UTC)
EASY, HARD = "the parcel arrived and the total was paid in full", "an ambiguous clause refers to the annex which contradicts itself"


def signal(n_rows: int, seed: int = 0, fast_on_easy: float = 0.99) -> list[Evidence]:
    """Return rows of which the words say whether the fast tier is good."""
    rng = np.random.default_rng(seed)
    rows = []
    for n in range(n_rows):
        is_easy = rng.random() < 0.6
        chances = {"fast": fast_on_easy if is_easy else 0.3, "standard": 0.97 if is_easy else 0.8, "expert": 1.0}
        quality = {tier: float(rng.random() < chance) for tier, chance in chances.items()}
        rows.append(row(10_000 * seed + n, quality, text=f"{EASY if is_easy else HARD} {rng.integers(1000)}", night=n % 20))
    return rows


def decide(router: Router, text: str) -> tuple[str, str]:
    windows = dict.fromkeys(("fast", "standard", "expert"), 100_000)
    decision = router.decide(SKILL, TRAITS[SKILL], extract_features(text, "en"), text, {}, windows)
    return decision.tier, decision.reason


@pytest.fixture(scope="module")
def trained() -> Router:
    return train(signal(2500), TRAITS, TARGETS, None, NOW)


def test_training_learns_which_texts_are_easy_and_proves_what_it_saves(trained: Router) -> None:
    assert trained.policies[SKILL].is_proven
    assert decide(trained, EASY)[0] == "fast"
    assert decide(trained, HARD)[0] != "fast"


def test_a_router_says_what_it_was_made_of(trained: Router) -> None:
    rows = signal(2500)
    assert (trained.kind, trained.parent, trained.n_evidence) == ("training", None, 2500)
    assert trained.window == (min(r.observed_at for r in rows), max(r.observed_at for r in rows))
    assert trained.trained_on == digest(list(reversed(rows)))
    assert trained.version.endswith(trained.trained_on[:8])


def test_training_twice_on_the_same_rows_decides_the_same(trained: Router) -> None:
    again = train(list(reversed(signal(2500))), TRAITS, TARGETS, None, NOW)
    assert again.version == trained.version
    assert again.policies[SKILL].threshold == trained.policies[SKILL].threshold


def test_false_accepts_are_estimated(trained: Router) -> None:
    assert trained.metrics["false_accepts"][SKILL]["fast"] == pytest.approx(0.6 * 0.01 + 0.4 * 0.7, abs=0.03)


def test_too_little_evidence_is_said_and_saves_nothing() -> None:
    router = train(signal(60), TRAITS, TARGETS, None, NOW)
    assert f"{SKILL}: not enough evidence (n=" in router.metrics["warnings"][0]
    tier, reason = decide(router, EASY)
    assert tier == "expert"
    assert "not enough evidence (n=" in reason


def test_one_class_alone_is_said() -> None:
    rows = [replace(r, outcomes={t: replace(o, quality=1.0) for t, o in r.outcomes.items()}) for r in signal(400)]
    router = train(rows, TRAITS, TARGETS, None, NOW)
    assert "classify: every outcome on fast has quality 1, one class only" in router.metrics["warnings"]


def test_recalibration_moves_a_skill_up_in_the_first_night_of_a_drift(trained: Router) -> None:
    drifted = [replace(r, text=EASY) for r in audited_night(30, 40, 0.5)]
    router = recalibrate(trained, drifted, TRAITS, TARGETS, NOW)
    assert (router.kind, router.parent) == ("calibration", trained.version)
    assert router.families is trained.families
    assert decide(router, EASY)[0] == "expert"


def test_recalibration_on_the_same_rows_still_proves_a_saving(trained: Router) -> None:
    router = recalibrate(trained, signal(2500), TRAITS, TARGETS, NOW)
    assert router.policies[SKILL].is_proven
    assert decide(router, EASY)[0] == "fast"


def test_recalibration_keeps_the_policy_of_a_skill_without_rows(trained: Router) -> None:
    traits = TRAITS | {"classify-letters": TRAITS[SKILL]}
    other = [replace(r, skill="classify-letters") for r in signal(300, seed=3)]
    router = recalibrate(trained, other, traits, TARGETS, NOW)
    assert router.policies[SKILL] == trained.policies[SKILL]
    assert set(router.policies) == {SKILL, "classify-letters"}


def test_a_family_that_the_champion_does_not_know_waits_for_a_training(trained: Router) -> None:
    rows = [replace(r, skill="tag-letters") for r in signal(50, seed=3)]
    assert recalibrate(trained, rows, {"tag-letters": TRAITS[SKILL]}, TARGETS, NOW) is trained


def test_a_skill_that_was_deleted_loses_its_policy(trained: Router) -> None:
    traits = {"classify-letters": TRAITS[SKILL]}
    other = [replace(r, skill="classify-letters") for r in signal(300, seed=3)]
    assert set(recalibrate(trained, other, traits, TARGETS, NOW).policies) == {"classify-letters"}


def test_rows_that_the_highest_tier_did_not_answer_do_not_hide_those_that_it_did(trained: Router) -> None:
    cases = [replace(r, source="eval", outcomes={"fast": r.outcomes["fast"]}) for r in signal(4000, seed=4)]
    router = recalibrate(trained, [*signal(2500), *cases], TRAITS, TARGETS, NOW)
    assert router.policies[SKILL].tiers == ("fast", "standard", "expert")
    assert router.policies[SKILL].n_calibrate == trained.policies[SKILL].n_calibrate


def test_a_skill_whose_highest_tier_never_answered_has_no_policy() -> None:
    rows = [replace(r, outcomes={t: o for t, o in r.outcomes.items() if t != "expert"}) for r in signal(300)]
    assert train(rows, TRAITS, TARGETS, None, NOW).policies == {}


def test_evidence_of_unknown_skills_alone_teaches_nothing() -> None:
    with pytest.raises(EvidenceError, match="not in the catalogue \\(classify-things\\)"):
        train(signal(10), {}, {}, None, NOW)


def test_a_bad_row_stops_a_training_before_anything_is_fitted() -> None:
    rows = signal(10)
    bad = replace(rows[3], outcomes={t: replace(o, quality=float("nan")) for t, o in rows[3].outcomes.items()})
    with pytest.raises(EvidenceError, match="quality on fast is nan"):
        train([*rows, bad], TRAITS, TARGETS, None, NOW)


def test_a_skill_moves_up_when_its_fast_tier_gets_worse_and_back_when_it_recovers(trained: Router) -> None:
    chances = [0.995] * 20 + [0.5] * 3 + [0.995] * 2
    router, history, tiers = trained, list[Evidence](), []
    for night, chance in enumerate(chances):
        history += [replace(r, text=EASY) for r in audited_night(night, 40, chance)]
        router = recalibrate(router, still_valid(history, "v1"), TRAITS, TARGETS, NOW)
        tiers.append(decide(router, EASY)[0])
    assert "fast" not in tiers[:4]  # 160 audits prove nothing yet
    assert set(tiers[12:20]) == {"fast"}
    assert "fast" not in tiers[20:23]
    assert tiers[23:] == ["fast", "fast"]
