"""What evidence may hold, how it is split, and which of it still holds."""

import math
from dataclasses import replace

import pytest

from skillyard.routing.evidence import Evidence, EvidenceError, Observation, check_evidence, split_of, still_valid
from tests.routing.rows import audited_night, row

GOOD = row(1, {"fast": 1.0, "expert": 1.0})
N_A_NIGHT = 40


def outcome(**fields: float) -> dict[str, Observation]:
    return {"fast": replace(Observation(True, 1.0, 0.001), **fields)}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (replace(GOOD, outcomes=outcome(quality=math.nan)), "quality on fast is nan; allowed: 0 to 1"),
        (replace(GOOD, outcomes=outcome(quality=1.2)), "quality on fast is 1.2; allowed: 0 to 1"),
        (replace(GOOD, outcomes=outcome(quality=-0.1)), "quality on fast is -0.1"),
        (replace(GOOD, outcomes=outcome(passed=False, quality=0.7)), "failed its checks; allowed: 0.0"),
        (replace(GOOD, outcomes=outcome(cost_usd=math.inf)), "cost_usd on fast is inf"),
        (replace(GOOD, outcomes={"turbo": Observation(True, 1.0, 0.1)}), "unknown tier 'turbo'; allowed: fast, standard, expert"),
        (replace(GOOD, outcomes={}), "no outcome on any tier"),
        (replace(GOOD, text=" \n"), "its text is empty"),
        (replace(GOOD, weight=0.0), "weight is 0.0"),
        (replace(GOOD, weight=math.nan), "weight is nan"),
        (replace(GOOD, observed_at=GOOD.observed_at.replace(tzinfo=None)), "without a zone"),
        (replace(GOOD, source="hearsay"), "source is 'hearsay'; allowed: audit, eval"),
    ],
)
def test_a_row_that_cannot_be_learned_from_is_named(bad: Evidence, said: str) -> None:
    with pytest.raises(EvidenceError) as caught:
        check_evidence([GOOD, replace(bad, item_id="item-2")])
    assert "evidence row 2 (skill 'classify-things', item 'item-2')" in str(caught.value)
    assert said in str(caught.value)


def test_no_evidence_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(EvidenceError, match="run an audit"):
        check_evidence([])


def test_evidence_of_two_skills_is_not_compared() -> None:
    with pytest.raises(EvidenceError, match="2 skills \\(classify-things, tag-things\\)"):
        still_valid([GOOD, replace(GOOD, skill="tag-things")], "v1")


def test_groups_are_split_half_three_tenths_two_tenths_and_never_divided() -> None:
    uses = [split_of(f"document-{n}") for n in range(5000)]
    assert [round(uses.count(use) / 5000, 1) for use in ("fit", "calibrate", "replay")] == [0.5, 0.3, 0.2]
    assert uses == [split_of(f"document-{n}") for n in range(5000)]


@pytest.mark.parametrize("seed", range(8))
def test_a_drift_is_seen_in_its_first_night(seed: int) -> None:
    rows = [r for night in range(10) for r in audited_night(night, N_A_NIGHT, 0.97, seed)] + audited_night(10, N_A_NIGHT, 0.5, seed)
    assert {r.observed_at.day for r in still_valid(rows, "v1")} == {11}


@pytest.mark.parametrize("seed", range(8))
def test_a_recovery_is_seen_in_its_first_night_and_brings_the_earlier_evidence_back(seed: int) -> None:
    chances = [0.97] * 10 + [0.5] * 3 + [0.97]
    rows = [r for night, chance in enumerate(chances) for r in audited_night(night, N_A_NIGHT, chance, seed)]
    days = {r.observed_at.day for r in still_valid(rows, "v1")}
    assert days >= {1, 5, 10, 14}
    assert not days & {11, 12, 13}


def test_a_slow_decline_does_not_hide_in_the_average() -> None:
    chances = [0.97] * 8 + [0.9, 0.8, 0.7, 0.6, 0.5]
    rows = [r for night, chance in enumerate(chances) for r in audited_night(night, N_A_NIGHT, chance)]
    held = still_valid(rows, "v1")
    assert sum(r.outcomes["fast"].quality for r in held) / len(held) < 0.75


def test_steady_nights_are_seldom_cut() -> None:
    shares = []
    for seed in range(40):
        rows = [r for night in range(15) for r in audited_night(night, 20, 0.9, seed)]
        shares.append(len(still_valid(rows, "v1")) / len(rows))
    assert sum(share < 1 for share in shares) <= 3


def test_one_bad_answer_in_a_small_night_is_no_drift() -> None:
    rows = [r for night in range(10) for r in audited_night(night, N_A_NIGHT, 0.97)]
    rows.append(row(99_999, {"fast": 0.0, "standard": 1.0, "expert": 1.0}, night=11))
    assert len(still_valid(rows, "v1")) == len(rows)


def test_one_bad_document_of_many_pages_is_no_drift() -> None:
    rows = [r for night in range(10) for r in audited_night(night, N_A_NIGHT, 0.97)]
    pages = [
        replace(row(n, {"fast": 0.0, "standard": 1.0, "expert": 1.0}, night=9), group="a long document") for n in range(90_000, 90_020)
    ]
    assert len(still_valid(rows + pages, "v1")) == len(rows) + len(pages)


def test_evidence_carries_over_to_a_new_fingerprint_until_audits_disagree() -> None:
    old = [r for night in range(5) for r in audited_night(night, N_A_NIGHT, 0.95)]
    assert len(still_valid(old, "v2")) == len(old)
    agreeing = audited_night(6, N_A_NIGHT, 0.95, fingerprint="v2")
    assert len(still_valid(old + agreeing, "v2")) == len(old) + N_A_NIGHT
    disagreeing = audited_night(6, N_A_NIGHT, 0.4, fingerprint="v2")
    assert {r.fingerprint for r in still_valid(old + disagreeing, "v2")} == {"v2"}


def test_an_item_without_a_tier_counts_for_the_tiers_it_has() -> None:
    rows = [r for night in range(4) for r in audited_night(night, N_A_NIGHT, 0.97)]
    half = [replace(r, outcomes={t: o for t, o in r.outcomes.items() if t != "fast"}) for r in audited_night(5, N_A_NIGHT, 0.5)]
    assert len(still_valid(rows + half, "v1")) == len(rows) + N_A_NIGHT


def test_harder_evals_do_not_pass_for_a_drift_and_old_ones_go_with_the_audits_of_their_time() -> None:
    evals = [replace(r, source="eval", item_id=f"case-{n}") for n, r in enumerate(audited_night(3, 40, 0.4, seed=7))]
    steady = [r for night in range(8) for r in audited_night(night, N_A_NIGHT, 0.97)]
    assert len(still_valid(steady + evals, "v1")) == len(steady) + len(evals)
    drifted = steady + audited_night(8, N_A_NIGHT, 0.5)
    assert {r.source for r in still_valid(drifted + evals, "v1")} == {"audit"}
