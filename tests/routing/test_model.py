"""The scorer of one family: what it returns, and how long it takes."""

import time
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillyard.routing.decide import Traits
from skillyard.routing.features import extract_features
from skillyard.routing.model import DENSE, FamilyModel, describe, family_of
from skillyard.routing.ngrams import N_BUCKETS
from skillyard.tiers import TIERS

TRAITS = Traits("fast", "expert", n_labels=4, n_fields=2, n_prompt_tokens=200, n_output_tokens=50)
RNG = np.random.default_rng(0)
SPANS = RNG.normal(size=(N_BUCKETS, len(TIERS) + 1)).astype(np.float32)
SPANS[:, -1] = SPANS[:, -1] ** 2
MODEL = FamilyModel(TIERS, SPANS, RNG.normal(size=(len(DENSE), 3)), {"classify-things": (1.0, 2.0, 3.0)}, (0.0, 0.0, 0.0), {})
WORDS = [f"{prefix}{stem}{ending}" for prefix in ("", "un", "re") for stem in range(3000) for ending in ("", "ing", "ed?", ",")]


def score(text: str, skill: str = "classify-things") -> dict[str, float]:
    return MODEL.score(skill, TRAITS, extract_features(text, "en"), text)


@given(st.text(max_size=200))
def test_every_tier_gets_a_probability(text: str) -> None:
    assert tuple(score(text)) == TIERS
    assert all(0 <= p <= 1 for p in score(text).values())


def test_a_score_is_the_same_whatever_was_scored_before() -> None:
    before = score("The total is 12.50")
    for n in range(50):
        score(f"another text {n}")
    assert score("The total is 12.50") == before


def test_a_skill_has_its_own_level_and_an_unknown_one_that_of_the_family() -> None:
    features = extract_features("text", "en")
    own, other = (MODEL.decision(skill, TRAITS, features, "text") for skill in ("classify-things", "classify-new"))
    assert np.subtract(own, other).tolist() == pytest.approx([1.0, 2.0, 3.0])


def test_a_family_that_knows_no_span_scores_by_its_level() -> None:
    empty = FamilyModel(TIERS, np.zeros_like(SPANS), np.zeros((len(DENSE), 3)), {}, (0.0, 2.0, -2.0), {})
    assert empty.decision("tag-x", TRAITS, extract_features("a", None), "a") == [0.0, 2.0, -2.0]


def test_dense_features_have_a_name_each() -> None:
    assert len(describe(TRAITS, extract_features("text", None))) == len(DENSE)


def test_a_family_is_the_verb() -> None:
    assert [family_of(skill) for skill in ("tag-document", "plan")] == ["tag", "plan"]


def seconds_of(decide: Callable[[str], object], n_chars: int, n_texts: int) -> list[float]:
    """Return sorted CPU times of texts that are all different: what others do on the machine does not count."""
    rng = np.random.default_rng(1)
    made = [" ".join(rng.choice(WORDS, n_chars // 4))[:n_chars] for _ in range(n_texts)]
    seconds = []
    for text in made:
        start = time.thread_time()
        decide(text)
        seconds.append(time.thread_time() - start)
    return sorted(seconds)


def test_a_decision_with_its_features_takes_well_under_a_millisecond() -> None:
    """Five times the goals of bench/routing.py."""
    short, long = seconds_of(score, 170, 1000), seconds_of(score, 6400, 200)
    assert short[500] <= 5 * 0.05e-3
    assert short[989] <= 5 * 0.2e-3
    assert long[197] <= 5 * 1e-3
