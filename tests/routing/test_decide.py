"""The declared-traits router as a pure decision."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from skillyard.routing.decide import VERY_HARD, Traits, choose_tier
from skillyard.routing.features import extract_features
from skillyard.tiers import TIERS
from skillyard.tokens import estimate_tokens, most_tokens

EASY = Traits("fast", "expert", n_labels=4, n_fields=2, n_prompt_tokens=200, n_output_tokens=50)
WINDOWS = {"fast": 2_000, "standard": 8_000, "expert": 100_000}


def test_a_short_plain_text_starts_on_the_default_tier() -> None:
    decision = choose_tier(EASY, extract_features("The parcel arrived.", "en"), WINDOWS)
    assert (decision.tier, decision.reason) == ("fast", "easy (nothing special)")


def test_a_text_longer_than_a_window_starts_on_the_first_tier_it_fits() -> None:
    decision = choose_tier(EASY, extract_features("word " * 3_000, "en"), WINDOWS)
    assert decision.tier == "standard"
    assert "do not fit fast" in decision.reason


def test_a_text_longer_than_every_window_says_so() -> None:
    decision = choose_tier(EASY, extract_features("word " * 200_000, "en"), WINDOWS)
    assert decision.tier == "expert"
    assert "more than any allowed tier's window" in decision.reason


def test_many_fields_and_labels_with_code_in_another_language_move_up_and_the_reason_names_them() -> None:
    traits = replace(EASY, n_labels=60, n_fields=20)
    text = "Was ist falsch? Warum nicht? Wieso?\n```\nif a == 3 < 4: x = 2 * 3\n```\n" + "Zeile | mit | Tabelle\n" * 200
    decision = choose_tier(traits, extract_features(text, "de"), WINDOWS)
    assert decision.score >= VERY_HARD and decision.tier == "expert"
    assert decision.reason.startswith("hard (") and "labels" in decision.reason


def test_a_person_may_choose_the_first_tier_but_not_above_the_skills_highest() -> None:
    features = extract_features("short", "en")
    assert choose_tier(EASY, features, WINDOWS, "expert").tier == "expert"
    assert choose_tier(replace(EASY, tier_max="standard"), features, WINDOWS, "expert").tier == "standard"


@given(text=st.text(max_size=6000), language=st.sampled_from([None, "en", "ja"]), ceiling=st.sampled_from(TIERS))
def test_every_text_gets_an_allowed_tier_and_a_score_between_0_and_1(text: str, language: str | None, ceiling: str) -> None:
    decision = choose_tier(replace(EASY, tier_max=ceiling), extract_features(text, language), WINDOWS)
    assert decision.tier in TIERS[: TIERS.index(ceiling) + 1]
    assert 0 <= decision.score <= 1


@given(st.text(max_size=3000))
def test_the_token_estimate_stays_within_its_bound(text: str) -> None:
    assert estimate_tokens(text) <= most_tokens(text) + 1
