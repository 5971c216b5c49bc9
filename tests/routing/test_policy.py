"""What a policy expects, chooses and has proven."""

import math
from collections.abc import Iterable, Mapping

import numpy as np
import pytest

from skillyard.routing.bounds import Floats
from skillyard.routing.calibration import calibrated, fit_calibration
from skillyard.routing.evidence import Evidence, Observation
from skillyard.routing.outcomes import Outcomes, replayable, tabulate
from skillyard.routing.policy import THRESHOLDS, SkillPolicy, choose_starts, fit_policy
from skillyard.tiers import TIERS
from tests.routing.rows import COSTS, row

RAW = {"fast": 0.9, "standard": 0.95, "expert": 0.99}


def policy(threshold: float = 0.95, pass_rates: Mapping[str, float] | None = None) -> SkillPolicy:
    return SkillPolicy(
        skill="classify-things",
        target=0.95,
        threshold=threshold,
        calibration=dict.fromkeys(TIERS, (1.0, 0.0)),
        pass_rates=pass_rates or dict.fromkeys(TIERS, 1.0),
        quality_top=0.99,
        n_evidence=100,
        n_calibrate=30,
        retained_lower=0.95,
        reason="tested",
        tiers=TIERS,
        mean_cost_usd=COSTS,
    )


def draw(n_rows: int, chances: Mapping[str, float], seed: int = 0, spread: float = 1.0) -> list[Evidence]:
    """Return rows whose text says how hard they are, harder ones being good less often below the top tier."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(n_rows):
        ease = rng.normal(0, spread)
        good = {t: float(rng.random() < 1 / (1 + math.exp(-(math.log(c / (1 - c)) + ease * (t != "expert"))))) for t, c in chances.items()}
        rows.append(row(number, good, text=f"{ease:.3f}"))
    return rows


def score(rows: list[Evidence], chances: Mapping[str, float], stretch: float = 1.0) -> list[dict[str, float]]:
    """Return the probabilities of a model that sees how hard each row is; ``stretch`` 1 is the truth."""
    return [
        {t: 1 / (1 + math.exp(-stretch * (math.log(c / (1 - c)) + float(r.text) * (t != "expert")))) for t, c in chances.items()}
        for r in rows
    ]


def table(rows: list[Evidence], scores: list[dict[str, float]], tiers: Iterable[str]) -> Outcomes:
    """Return the arrays of rows in the order of their groups."""
    score_of = {r.item_id: one for r, one in zip(rows, scores, strict=True)}
    ordered = replayable(rows, list(tiers))
    return tabulate(ordered, list(tiers), [score_of[r.item_id] for r in ordered])


def arrays(n_rows: int, chances: Mapping[str, float], seed: int = 0, stretch: float = 1.0, spread: float = 1.0) -> Outcomes:
    rows = draw(n_rows, chances, seed, spread)
    return table(rows, score(rows, chances, stretch), chances)


def test_expected_quality_and_cost_count_the_escalation_in() -> None:
    expected = policy(pass_rates={"fast": 0.8, "standard": 1.0, "expert": 1.0}).expected(
        {"fast": 0.6, "standard": 0.9, "expert": 0.99}, {"fast": 1.0, "standard": 5.0, "expert": 20.0}
    )
    assert expected["fast"] == pytest.approx((0.6 + 0.2 * 0.9, 1.0 + 0.2 * 5.0))
    assert expected["standard"] == pytest.approx((0.9, 5.0))


def test_what_is_good_has_passed_so_quality_stays_below_one() -> None:
    expected = policy(pass_rates=dict.fromkeys(TIERS, 0.5)).expected(dict.fromkeys(TIERS, 0.98), {})
    assert all(quality <= 1 for quality, _ in expected.values())


def test_the_cheapest_tier_that_meets_the_threshold_is_chosen() -> None:
    assert policy(0.9).choose(RAW, {})[0] == "fast"
    assert policy(0.95).choose(RAW, {})[0] == "standard"
    assert policy(math.inf).choose(RAW, {})[0] == "expert"


def test_a_dominated_tier_is_never_chosen() -> None:
    tier, _ = policy(0.5).choose(RAW, {"fast": 0.03, "standard": 0.02, "expert": 0.01})
    assert tier == "expert"


def test_a_cascade_that_does_not_pay_is_not_chosen() -> None:
    rates = {"fast": 0.1, "standard": 1.0, "expert": 1.0}
    assert (
        policy(0.5, rates).choose({"fast": 0.1, "standard": 0.95, "expert": 0.99}, {"fast": 0.2, "standard": 1.0, "expert": 5.0})[0]
        == "standard"
    )


def test_the_reason_says_what_is_expected() -> None:
    assert policy(0.9).choose(RAW, {})[1] == "expects 0.90, expert 0.99; tested"


@pytest.mark.parametrize("threshold", [math.inf, 1.0, 0.95, 0.5, 0.0])
def test_one_decision_and_many_agree(threshold: float) -> None:
    chosen = policy(threshold, {"fast": 0.8, "standard": 0.9, "expert": 0.99})
    raw: Floats = np.random.default_rng(5).random((300, 3))
    (starts,) = choose_starts(chosen, raw, [threshold])
    assert [TIERS[n] for n in starts] == [chosen.choose(dict(zip(TIERS, one, strict=True)), {})[0] for one in raw.tolist()]


def test_calibration_finds_how_far_probabilities_are_off() -> None:
    rng = np.random.default_rng(6)
    truth = rng.uniform(0.05, 0.95, 20_000)
    said = calibrated(truth, 2.5, 1.0)  # overconfident, and too high
    slope, intercept = fit_calibration(said, (rng.random(20_000) < truth).astype(float), np.ones(20_000))
    assert (slope, intercept) == pytest.approx((0.4, -0.4), abs=0.05)


def test_a_given_slope_stays() -> None:
    slope, intercept = fit_calibration(np.full(500, 0.97), np.full(500, 0.5), np.ones(500), slope=1.3)
    assert slope == 1.3
    assert calibrated(np.array([0.97]), slope, intercept)[0] == pytest.approx(0.5, abs=0.02)


def test_without_rows_the_model_is_taken_at_its_word() -> None:
    assert fit_calibration(np.array([]), np.array([]), np.array([])) == (1.0, 0.0)


def test_a_cheap_tier_that_is_as_good_is_used_once_that_is_proven() -> None:
    chances = {"fast": 0.97, "standard": 0.97, "expert": 0.97}
    found = fit_policy("classify-things", 0.95, arrays(800, chances), arrays(500, chances, 1))
    assert found.is_proven
    assert found.choose(score(draw(1, chances, 2), chances)[0], {})[0] == "fast"
    assert found.reason.startswith("keeps 9")


def test_too_little_evidence_is_the_safe_tier_and_says_so() -> None:
    chances = {"fast": 0.99, "standard": 0.99, "expert": 0.99}
    found = fit_policy("classify-things", 0.95, arrays(50, chances), arrays(30, chances, 1))
    assert (found.threshold, found.is_proven, found.reason) == (math.inf, False, "not enough evidence (n=80)")
    tier, reason = found.choose(RAW, {})
    assert tier == "expert"
    assert reason.endswith("; not enough evidence (n=80)")


def test_no_held_out_row_at_all_is_the_safe_tier() -> None:
    chances = {"fast": 0.9, "expert": 0.99}
    empty = table([], [], chances)
    assert fit_policy("classify-things", 0.95, empty, empty).reason == "not enough evidence (n=0)"
    assert fit_policy("classify-things", 0.95, arrays(20, chances), empty).reason == "not enough evidence (n=20)"


def test_a_bad_cheap_tier_is_not_used_however_the_model_praises_it() -> None:
    chances = {"fast": 0.5, "expert": 0.99}
    rows = draw(900, chances, spread=0.0)
    praise = [{"fast": 0.999, "expert": 0.5}] * len(rows)
    half = table(rows[:400], praise[:400], chances), table(rows[400:], praise[400:], chances)
    found = fit_policy("classify-things", 0.95, *half)
    assert found.threshold == math.inf
    assert found.reason == "nothing below expert is proven to keep 95% (n=900)"


def test_a_threshold_sends_the_easy_down_and_the_hard_up() -> None:
    chances = {"fast": 0.9, "expert": 0.97}
    found = fit_policy("classify-things", 0.95, arrays(3000, chances, spread=3), arrays(2000, chances, 1, spread=3))
    assert 0 < found.threshold < math.inf
    easy, hard = ({"fast": p, "expert": 0.97} for p in (0.999, 0.1))
    assert (found.choose(easy, {})[0], found.choose(hard, {})[0]) == ("fast", "expert")


def test_rows_of_one_document_count_as_one_piece_of_evidence() -> None:
    chances = {"fast": 0.99, "expert": 0.99}
    rows = draw(400, chances)
    same = [Evidence(**{name: getattr(r, name) for name in r.__slots__} | {"group": f"document-{n // 40}"}) for n, r in enumerate(rows)]
    fit = arrays(400, chances, 1)
    assert fit_policy("classify-things", 0.95, fit, table(rows, score(rows, chances), chances)).is_proven
    assert not fit_policy("classify-things", 0.95, fit, table(same, score(same, chances), chances)).is_proven


def test_what_fails_its_checks_is_served_by_the_next_tier() -> None:
    failed = row(1, {"fast": 0.0, "expert": 0.9})
    failed = Evidence(
        **{name: getattr(failed, name) for name in failed.__slots__}
        | {"outcomes": {"fast": Observation(False, 0.0, 1.0), "expert": Observation(True, 0.9, 10.0)}}
    )
    quality, cost = tabulate([failed], ["fast", "expert"]).served()
    assert quality.tolist() == [[0.9, 0.9]]
    assert cost.tolist() == [[11.0, 10.0]]


def test_candidates_go_from_everything_on_the_top_tier_to_the_cheapest() -> None:
    assert THRESHOLDS[0] == math.inf
    assert list(THRESHOLDS) == sorted(THRESHOLDS, reverse=True)
    assert THRESHOLDS[-1] == 0
