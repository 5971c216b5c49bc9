"""A router's decision, and its form as bytes."""

import io
import json
import math
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from skillyard.routing.decide import HEURISTIC, Decision, Traits, choose_tier
from skillyard.routing.features import extract_features
from skillyard.routing.model import DENSE, FamilyModel
from skillyard.routing.ngrams import N_BUCKETS, hash_spans
from skillyard.routing.policy import SkillPolicy
from skillyard.routing.router import FORMAT, Router, RouterUnusable, load_router, save_router
from skillyard.tiers import TIERS

TRAITS = Traits("fast", "expert", n_labels=4, n_fields=2, n_prompt_tokens=200, n_output_tokens=50)
WINDOWS = {"fast": 2_000, "standard": 8_000, "expert": 100_000}
COSTS = {"fast": 0.001, "standard": 0.005, "expert": 0.02}
SKILL = "classify-things"
HARD = "ambiguous"


def family() -> FamilyModel:
    """Return a model that finds every text good on every tier, but one with the word HARD bad on fast."""
    of_the_word = np.setdiff1d(hash_spans(HARD), hash_spans(""))
    spans = np.zeros((N_BUCKETS, 4), np.float32)
    spans[of_the_word] = [-5.0, 0.0, 0.0, 1.0]
    return FamilyModel(TIERS, spans, np.zeros((len(DENSE), 3)), {SKILL: (4.0, 4.0, 5.0)}, (0.0, 0.0, 0.0), {"fast": {"n": 412}})


POLICY = SkillPolicy(
    skill=SKILL,
    target=0.95,
    threshold=0.97,
    calibration=dict.fromkeys(TIERS, (1.0, 0.0)),
    pass_rates={"fast": 0.9, "standard": 0.95, "expert": 0.99},
    quality_top=0.99,
    n_evidence=412,
    n_calibrate=120,
    retained_lower=0.96,
    reason="keeps 96.0% or more of expert (n=412)",
    tiers=TIERS,
    mean_cost_usd=COSTS,
)
MOMENT = datetime(2026, 4, 1, tzinfo=UTC)
ROUTER = Router("v1", "training", None, MOMENT, (MOMENT, MOMENT), 412, "ab12", {"n": 1}, TIERS, {"classify": family()}, {SKILL: POLICY})


def decide(
    text: str, router: Router = ROUTER, traits: Traits = TRAITS, skill: str = SKILL, first_tier: str | None = None, **windows: int
) -> Decision:
    return router.decide(skill, traits, extract_features(text, "en"), text, COSTS, WINDOWS | windows, first_tier)


def with_policy(**changes: Any) -> Router:
    return replace(ROUTER, policies={SKILL: replace(POLICY, **changes)})


def test_an_easy_text_starts_on_the_cheapest_tier_and_the_decision_says_what_it_expects() -> None:
    decision = decide("the parcel arrived")
    assert (decision.tier, decision.router_version) == ("fast", "v1")
    assert decision.expected_quality == pytest.approx(0.98, abs=0.02)
    assert decision.expected_cost_usd == pytest.approx(0.001 + 0.018 * 0.005, rel=0.1)
    assert "(n=412)" in decision.reason


def test_a_hard_text_starts_higher_and_scores_harder() -> None:
    easy, hard = decide("the parcel arrived"), decide(HARD)
    assert hard.tier == "standard"
    assert hard.score > 0.5 > easy.score


def test_with_too_little_evidence_the_safe_tier_is_taken_and_the_reason_says_so() -> None:
    router = with_policy(threshold=math.inf, reason="not enough evidence (n=17)")
    decision = decide("the parcel arrived", router)
    assert decision.tier == "expert"
    assert "not enough evidence (n=17)" in decision.reason


def test_a_skill_without_evidence_starts_by_its_declared_traits_and_the_reason_says_so() -> None:
    decision = decide("the parcel arrived", skill="tag-document")
    assert (decision.tier, decision.router_version, decision.expected_quality) == ("fast", HEURISTIC, None)
    assert decision.reason == "no evidence for tag-document: easy (nothing special)"


def test_a_person_may_choose_the_first_tier() -> None:
    decision = decide("the parcel arrived", first_tier="standard")
    assert (decision.tier, decision.reason) == ("standard", "asked to start on standard")


def test_a_tier_whose_window_the_item_does_not_fit_is_passed_over() -> None:
    decision = decide("the parcel arrived", fast=100)
    assert decision.tier == "standard"
    assert decision.reason.endswith("tokens do not fit fast")
    nowhere = decide("the parcel arrived", fast=100, standard=100, expert=100)
    assert nowhere.tier == "expert"
    assert "more than any allowed tier's window" in nowhere.reason


def test_no_decision_goes_above_the_skills_highest_tier() -> None:
    capped = replace(TRAITS, tier_max="standard")
    assert decide(HARD, with_policy(threshold=math.inf), capped).tier == "standard"


def test_a_skill_whose_highest_tier_has_no_evidence_starts_by_its_declared_traits() -> None:
    decision = decide("the parcel arrived", with_policy(tiers=("fast", "standard")))
    assert decision.reason.startswith("no evidence for classify-things on expert: ")
    assert decision.router_version == HEURISTIC


def test_a_router_goes_through_bytes_and_back_unchanged() -> None:
    router = with_policy(threshold=math.inf)
    data = save_router(router)
    again = load_router(data)
    assert save_router(again) == data
    assert again.policies == router.policies
    for text in ("the parcel arrived", HARD, "", "請求書 " * 50):
        assert decide(text, again) == decide(text, router)
    assert (again.version, again.created_at, again.window, again.metrics) == ("v1", MOMENT, (MOMENT, MOMENT), {"n": 1})


def rewrite(data: bytes, **header: Any) -> bytes:
    """Return the bytes with another header, as somebody would who edits the archive."""
    arrays = dict(np.load(io.BytesIO(data), allow_pickle=False))
    held = json.loads(arrays["header"].tobytes()) | header
    arrays["header"] = np.frombuffer(json.dumps(held).encode(), np.uint8)
    made = io.BytesIO()
    np.savez_compressed(made, **arrays)
    return made.getvalue()


DATA = save_router(ROUTER)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "0 bytes are no router"),
        (b"not an archive at all", "no router, or it is broken"),
        (DATA[: len(DATA) // 2], "broken"),
        (DATA[:400] + bytes([DATA[400] ^ 255]) + DATA[401:], "broken"),
        (rewrite(DATA, n_evidence=9999), "was changed after it was made"),
        (rewrite(DATA, format=FORMAT + 1), f"has format {FORMAT + 1}; this Skillyard reads up to {FORMAT}"),
    ],
)
def test_what_is_no_usable_router_is_refused_with_the_cause_and_what_to_do(data: bytes, says: str) -> None:
    with pytest.raises(RouterUnusable) as refused:
        load_router(data)
    assert says in str(refused.value)
    assert "skillyard router train" in str(refused.value)


def test_a_router_made_with_other_features_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("skillyard.routing.router.DENSE", ("tokens",))
    with pytest.raises(RouterUnusable, match="other features"):
        load_router(DATA)


def test_an_archive_with_a_pickle_in_it_is_refused() -> None:
    held = io.BytesIO()
    np.savez(held, header=np.array([{"format": 1}], dtype=object))
    with pytest.raises(RouterUnusable, match="broken"):
        load_router(held.getvalue())


def test_a_router_for_other_tiers_is_refused() -> None:
    with pytest.raises(RouterUnusable, match="made for the tiers fast, standard, expert; they are small, large now"):
        load_router(DATA, ("small", "large"))


def test_a_decision_without_a_router_is_the_heuristics() -> None:
    features = extract_features("the parcel arrived", "en")
    assert choose_tier(TRAITS, features, WINDOWS).router_version == HEURISTIC
