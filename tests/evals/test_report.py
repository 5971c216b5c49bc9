"""What verdicts say together of the tiers."""

from decimal import Decimal

import pytest

from skillyard.evals.report import EvalReport, Verdict, quantile


def verdicts(tier: str, n_right: int, n_wrong: int, first: int = 0) -> list[Verdict]:
    """Cases that took 10, 20, 30 … ms and a cent each."""
    rights = [True] * n_right + [False] * n_wrong
    return [
        Verdict(f"case-{first + n}", tier, "m", True, is_right, None, Decimal("0.01"), 10 * (n + 1)) for n, is_right in enumerate(rights)
    ]


def report(*found: list[Verdict], least: float = 0.8, decided_on: str = "fast", unasked: tuple[str, ...] = ()) -> EvalReport:
    return EvalReport("name-mood", "eval-1", least, decided_on, tuple(v for own in found for v in own), unasked)


def test_a_tier_has_its_rate_with_an_interval_its_cost_and_its_latency() -> None:
    (score,) = report(verdicts("fast", 15, 5)).scores
    assert (score.n_cases, score.n_right, score.pass_rate) == (20, 15, 0.75)
    assert (score.lower, score.upper) == pytest.approx((0.5313, 0.8881), abs=1e-4)
    assert (score.cost_usd, score.median_ms, score.p95_ms) == (Decimal("0.20"), 100, 190)


def test_what_a_mixed_skills_library_settles_counts_on_every_tier_and_costs_none_of_them() -> None:
    found = report(verdicts("none", 6, 0), verdicts("fast", 3, 1, 6), verdicts("expert", 4, 0, 6))
    assert [(s.tier, s.n_right, s.n_cases, s.cost_usd) for s in found.scores] == [
        ("fast", 9, 10, Decimal("0.04")),
        ("expert", 10, 10, Decimal("0.04")),
    ]


def test_the_verdict_names_the_cheapest_proven_tier_or_how_many_cases_are_lacking() -> None:
    proven = report(verdicts("fast", 20, 20), verdicts("standard", 40, 0), verdicts("expert", 40, 0))
    assert proven.proven == "standard" and "standard is the cheapest tier proven to reach 80%" in proven.verdict
    assert proven.verdict.startswith("fast is proven not to reach 80%")
    few = report(verdicts("fast", 8, 0))
    assert (few.proven, few.is_good) == (None, True), "good enough as far as it was seen, and not proven"
    assert few.verdict == "no tier is proven to reach 80%: 8 cases, all right, prove 68%; 16, all right, would be needed"


def test_a_library_is_judged_by_the_same_interval() -> None:
    found = report(verdicts("none", 5, 0), decided_on="none")
    assert [s.tier for s in found.scores] == ["none"] and found.is_good
    assert found.verdict == "the library is not proven to reach 80%: 5 cases, all right, prove 57%; 16, all right, would be needed"
    assert "the library is proven to reach 80%" in report(verdicts("none", 30, 0), decided_on="none").verdict


def test_a_mixed_skill_whose_library_settles_everything_has_a_rate_on_the_tier_that_decides() -> None:
    found = report(verdicts("none", 8, 0))
    assert [(s.tier, s.n_right, s.cost_usd) for s in found.scores] == [("fast", 8, Decimal(0))] and found.is_good


def test_without_verdicts_nothing_is_good() -> None:
    found = report(unasked=("fast case-0: the hard limit is reached",))
    assert (found.scores, found.is_good, found.proven) == ([], False, None)
    assert not report(verdicts("fast", 8, 0), unasked=("fast case-9: down",)).is_good
    assert quantile([], 0.5) is None and quantile([7], 0.95) == 7
