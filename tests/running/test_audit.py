"""Audits against the simulator: what is drawn, asked, compared, paid and written, and what a second try does."""

import shutil
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from skillyard.errors import RunIncomplete, RunLocked
from skillyard.gateway.state import ANSWERS, open_state, reading
from skillyard.lake.lake import Lake
from skillyard.lake.read import read
from skillyard.running import audit as audits
from skillyard.running.audit import audit, auditable, is_submitted, submit_audit
from skillyard.running.audit_sample import TOP_RATE, Candidate, draw
from skillyard.running.evidence import gather
from skillyard.running.pipeline import run_skill
from skillyard.running.plan import plan_run
from skillyard.running.runs import PlanRequest
from skillyard.settings import Settings
from tests.conftest import settings_in
from tests.running.batching import with_batches
from tests.running.lake_of import mails, publish_texts
from tests.simulator import Simulator

SKILL = "tag-document"
N = 12


@pytest.fixture
def lake(settings: Settings, simulator: Simulator) -> Lake:
    """A lake with N results, all served by the fast tier."""
    publish_texts(settings, mails(N))
    go(settings)
    simulator.reset()
    return Lake(settings.lake)


def go(settings: Settings, run_id: str = "r1", skill: str = SKILL, **options: object) -> None:
    run_skill(settings, plan_run(settings, PlanRequest(**({"skill": skill, "run_id": run_id} | options))), lambda _: None)


def rows(lake: Lake, audit_id: str | None = None) -> list[dict[str, object]]:
    found = read(lake, "audits").to_pylist()
    return [row for row in found if audit_id in (None, row["audit_id"])]


def calls(lake: Lake, purpose: str) -> list[dict[str, object]]:
    return [c for c in read(lake, "llm_calls").to_pylist() if c["purpose"] == purpose]


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_every_sampled_result_is_answered_on_every_other_tier_and_compared(settings: Settings, lake: Lake, simulator: Simulator) -> None:
    simulator.configure(models={"sim-standard": {"wrong": 1.0}})
    report = audit(settings, SKILL, "2026-01-01", n=5)
    assert (report.state, report.n_candidates, report.n_sampled, report.n_audited) == ("done", N, 5, 5)
    found = rows(lake)
    assert Counter(row["tier"] for row in found) == {"fast": 5, "standard": 5, "expert": 5}
    assert {row["tier"] for row in found if row["is_served"]} == {"fast"}
    assert all(row["agreement"] == 1 for row in found if row["tier"] != "standard"), "models that are right agree"
    assert report.agreement["standard"] < 1 == report.agreement["fast"]
    assert Counter(call["model"] for call in simulator.calls()) == {"sim-standard": 5, "sim-expert": 5}


def test_the_audit_is_paid_by_the_owner_under_its_own_purpose_and_the_ledger_agrees(
    settings: Settings, lake: Lake, simulator: Simulator
) -> None:
    report = audit(settings, SKILL, "2026-01-01", n=5)
    asked, found = calls(lake, "audit"), rows(lake)
    assert {(c["run_id"], c["team"], c["dag_id"]) for c in asked} == {(report.audit_id, "records", "cli")}
    paid = sum((c["cost_usd"] for c in asked), Decimal(0))
    assert (
        Decimal(report.cost_usd) == paid == sum((r["audit_cost_usd"] for r in found), Decimal(0)) == Decimal(simulator.bill()["total_usd"])
    )
    served = {r["item_id"]: r for r in found if r["is_served"]}
    results = {r["item_id"]: r for r in read(lake, f"results/{SKILL}").to_pylist()}
    assert all(row["cost_usd"] == results[i]["cost_usd"] > 0 == row["audit_cost_usd"] for i, row in served.items())
    assert all(row["cost_usd"] == row["audit_cost_usd"] > 0 for row in found if not row["is_served"])


def test_the_same_audit_again_asks_and_adds_nothing(settings: Settings, lake: Lake, simulator: Simulator) -> None:
    first = audit(settings, SKILL, "2026-01-01", n=5)
    n_calls, before = len(simulator.calls()), read(lake, "audits")
    assert audit(settings, SKILL, "2026-01-01", n=5) == first
    assert len(simulator.calls()) == n_calls and read(lake, "audits").equals(before)


def test_a_try_that_died_after_its_answers_pays_nothing_twice(
    settings: Settings, lake: Lake, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(audits, "drain_ledger", dies)
        with pytest.raises(KeyboardInterrupt):
            audit(settings, SKILL, "2026-01-01", n=5)
    n_calls = len(simulator.calls())
    simulator.configure(models={"sim-standard": {"wrong": 1.0}})
    report = audit(settings, SKILL, "2026-01-01", n=9)
    assert (len(simulator.calls()), report.n_audited) == (n_calls, 5) and n_calls == 10
    assert Decimal(report.cost_usd) == Decimal(simulator.bill()["total_usd"])


def test_answers_of_an_audit_are_cache_entries_afterwards(settings: Settings, lake: Lake) -> None:
    audit(settings, SKILL, "2026-01-01", n=5)
    with reading(open_state(settings.state)) as connection:
        assert connection.scalars(ANSWERS.select().where(ANSWERS.c.published_at.is_(None))).all() == []


def test_the_next_audit_draws_new_results_first_and_none_twice(settings: Settings, lake: Lake) -> None:
    audit(settings, SKILL, "2026-01-01", n=5)
    publish_texts(settings, {f"new-{name}": f"{text} New." for name, text in mails(4).items()})
    go(settings, "r2")
    second = audit(settings, SKILL, "2026-01-02", n=6)
    strata = Counter(str(row["stratum"]).rsplit(" ", 1)[1] for row in rows(lake, second.audit_id) if row["tier"] == "expert")
    assert strata == {"new": 4, "old": 2}
    assert max(Counter(row["item_id"] for row in rows(lake) if row["tier"] == "expert").values()) == 1
    assert audit(settings, SKILL, "2026-01-03", n=100).n_sampled == N + 4 - 11
    last = audit(settings, SKILL, "2026-01-04")
    assert (last.state, last.message) == ("nothing", "every current result was drawn by an earlier audit")


def test_an_item_whose_expert_answer_fails_is_left_out_and_counted(settings: Settings, lake: Lake, simulator: Simulator) -> None:
    simulator.configure(models={"sim-expert": {"faults": {"breaks_schema": 0.5}}})
    report = audit(settings, SKILL, "2026-01-01", n=N)
    assert 0 < report.n_left_out < N and report.n_audited + report.n_left_out == N
    assert len(rows(lake)) == 3 * report.n_audited
    assert len(calls(lake, "audit")) == N + report.n_audited, "a failed reference: the other tiers are not asked"


def test_an_answer_that_fails_its_checks_agrees_with_nothing(settings: Settings, lake: Lake, simulator: Simulator) -> None:
    simulator.configure(models={"sim-standard": {"faults": {"not_json": 1.0}}})
    audit(settings, SKILL, "2026-01-01", n=4)
    failed = [row for row in rows(lake) if row["tier"] == "standard"]
    assert {(row["has_passed"], row["agreement"], row["error_kind"], row["answer"]) for row in failed} == {
        (False, 0.0, "schema_error", None)
    }
    assert all(row["cost_usd"] > 0 for row in failed)


def test_an_audit_is_evidence(settings: Settings, lake: Lake, simulator: Simulator) -> None:
    at = datetime(2026, 11, 20, 2, 30, tzinfo=UTC)
    audit(settings, SKILL, "2026-11-20", n=6, at=at)
    found = gather(settings, SKILL, now=at + timedelta(days=1))
    assert len(found.rows) == 6 and found.left_out == {}
    assert all(set(row.outcomes) == {"fast", "standard", "expert"} and row.observed_at == at for row in found.rows)
    assert sum(row.weight for row in found.rows) == pytest.approx(6)


def test_results_of_the_highest_tier_are_audited_on_the_cheaper_ones(settings: Settings, simulator: Simulator) -> None:
    publish_texts(settings, mails(4))
    go(settings, first_tier="expert")
    simulator.reset()
    audit(settings, SKILL, "2026-01-01")
    found = rows(Lake(settings.lake))
    assert {row["tier"] for row in found if row["is_served"]} == {"expert"} and len(found) == 12
    assert Counter(call["model"] for call in simulator.calls()) == {"sim-fast": 4, "sim-standard": 4}


def test_results_of_a_model_that_the_profile_no_longer_has_say_nothing(
    settings: Settings, lake: Lake, simulator: Simulator, tmp_path: Path
) -> None:
    profile = yaml.safe_load(Path(settings.profile).read_text())
    for tier, model in (("fast", "openai/sim-standard"), ("standard", "openai/sim-fast")):
        profile["tiers"][tier][0]["model"] = model
    (tmp_path / "other.yaml").write_text(yaml.safe_dump(profile))
    shutil.copy(Path(settings.profile).with_name("prices.csv"), tmp_path)
    told = audit(replace(settings, profile=str(tmp_path / "other.yaml")), SKILL, "2026-01-01")
    assert (told.state, simulator.calls()) == ("nothing", [])


def test_results_made_with_parameters_are_asked_again_with_them(settings: Settings, simulator: Simulator) -> None:
    publish_texts(settings, mails(3))
    go(settings, skill="answer-question", parameters={"question": "What is the order number?"})
    simulator.configure(keep_requests=True)
    simulator.reset()
    report = audit(settings, "answer-question", "2026-01-01")
    asked = [str(call["body"]) for call in simulator.calls()]
    assert report.n_audited == 3
    assert sum("What is the order number?" in body for body in asked) == 6


def test_a_judge_compares_free_text_under_its_own_purpose(settings: Settings, simulator: Simulator) -> None:
    publish_texts(settings, {name: text * 3 for name, text in mails(3).items()})
    simulator.configure(models={"sim-fast": {"wrong": 0.0}})
    go(settings, skill="summarise-document")
    simulator.configure(models={"sim-standard": {"wrong": 1.0}})
    report = audit(settings, "summarise-document", "2026-01-01")
    lake = Lake(settings.lake)
    judged = calls(lake, "judge")
    differing = [row for row in rows(lake) if row["has_passed"] and row["answer"] != row["expert_answer"]]
    assert len(judged) == len(differing) > 0 and {c["tier"] for c in judged} == {"expert"}
    assert {row["agreement"] for row in differing} <= {0.0, 0.5, 1.0}
    assert sum((r["audit_cost_usd"] for r in rows(lake)), Decimal(0)) == Decimal(report.cost_usd)


def test_a_dry_run_says_what_it_would_cost_and_writes_nothing(settings: Settings, lake: Lake, simulator: Simulator) -> None:
    told = audit(settings, SKILL, "2026-01-01", n=5, is_dry_run=True)
    assert (told.state, told.n_sampled, told.message) == ("dry_run", 5, "would ask standard 5 times, expert 5 times")
    assert simulator.calls() == [] and not list(lake.storage.list("_runs/audit."))
    done = audit(settings, SKILL, "2026-01-01", n=5)
    assert Decimal(done.cost_usd) < Decimal(told.cost_usd) < 20 * Decimal(done.cost_usd), (
        "without a history the longest answers are assumed"
    )


def test_nothing_to_audit_is_said(settings: Settings, lake: Lake, simulator: Simulator, tmp_path: Path) -> None:
    assert audit(settings, "detect-language", "x").message == "detect-language asks no model: there is nothing to compare"
    assert audit(settings, "classify-urgency", "x").message == "there are no current results yet"
    profile = yaml.safe_load(Path(settings.profile).read_text())
    one = dict.fromkeys(profile["tiers"], profile["tiers"]["fast"])
    (tmp_path / "one.yaml").write_text(yaml.safe_dump({"description": "one model", "tiers": one}))
    same = settings_in(tmp_path, SKILLYARD_PROFILE=str(tmp_path / "one.yaml"))
    assert "one tier in the profile one" in audit(same, SKILL, "x").message
    assert simulator.calls() == [] and auditable(settings) == [SKILL]


def test_an_audit_waits_for_no_run_and_spends_nothing_beside_it(settings: Settings, lake: Lake, simulator: Simulator) -> None:
    plan_run(settings, PlanRequest(SKILL, "r2", dag_id="skill.tag-document", force=True))
    with pytest.raises(RunLocked):
        audit(settings, SKILL, "2026-01-01")
    assert simulator.calls() == []


def test_when_nothing_can_be_asked_the_audit_fails_and_can_be_repeated(settings: Settings, lake: Lake, simulator: Simulator) -> None:
    simulator.configure(models={"sim-expert": {"faults": {"unavailable": 1.0}}}, retry_after_s=0.01)
    with pytest.raises(RunIncomplete, match=r"2 results could be asked for .*provider_unavailable"):
        audit(settings, SKILL, "2026-01-01", n=2)
    simulator.configure(models={})
    assert rows(lake) == []


def test_an_audit_goes_through_the_batch_lane_where_a_tier_offers_one(settings: Settings, simulator: Simulator, tmp_path: Path) -> None:
    publish_texts(settings, mails(N))
    go(settings)
    simulator.reset()
    simulator.configure(batch={"fail_share": 0.4})
    own, at = with_batches(settings, tmp_path), datetime(2026, 11, 20, 2, 30, tzinfo=UTC)
    night = (SKILL, "2026-11-20", 6, at, "quality_audit")
    assert submit_audit(own, *night) == 12 == submit_audit(own, *night), "handed over once"
    wait_until(lambda: not is_submitted(own, SKILL, "2026-11-20"))
    report = audit(own, *night)
    lake = Lake(own.lake)
    lanes = Counter((c["lane"], c["status"]) for c in calls(lake, "audit"))
    assert report.n_audited == 6 and lanes["batch", "settled"] + lanes["live", "settled"] == 12 and 0 < lanes["live", "settled"] < 12
    assert Decimal(report.cost_usd) == Decimal(simulator.bill()["total_usd"])
    asked = [row for row in rows(lake) if not row["is_served"]]
    halved = [row for row in asked if row["latency_ms"] is None]
    assert len(halved) == lanes["batch", "settled"] and all(row["audit_cost_usd"] < row["cost_usd"] for row in halved), (
        "live prices compare"
    )
    assert submit_audit(own, *night) == 0 and audit(own, *night) == report


def test_an_audit_stays_within_its_teams_budget_and_goes_on_when_there_is_more(
    settings: Settings, lake: Lake, simulator: Simulator, tmp_path: Path
) -> None:
    own = replace(settings, include=shutil.copytree(settings.include, tmp_path / "include"))
    teams = own.include / "teams.yaml"
    enough = teams.read_text()
    teams.write_text(enough.replace('{per: run, hard_usd: "25"}', '{per: run, hard_usd: "0.000001"}'))
    with pytest.raises(RunIncomplete, match="'budget': 4"):
        audit(own, SKILL, "2026-01-01", n=4)
    assert simulator.calls() == []
    teams.write_text(enough)
    assert audit(own, SKILL, "2026-01-01").n_audited == 4, "the sample of the first try"


CANDIDATES = st.lists(
    st.tuples(st.sampled_from(["fast", "standard", "expert"]), st.floats(0, 1), st.booleans()),
    max_size=60,
).map(lambda found: [Candidate(f"item-{n:02d}", *one) for n, one in enumerate(found)])


@given(CANDIDATES, st.integers(1, 40))
def test_a_draw_takes_as_many_as_asked_new_ones_first_with_mean_weight_1(candidates: list[Candidate], n: int) -> None:
    drawn = draw(candidates, n, "expert", "night")
    assert len({d.item_id for d in drawn}) == len(drawn) == min(n, len(candidates))
    n_new = sum(d.stratum.endswith("new") for d in drawn)
    assert n_new == min(n, sum(c.is_new for c in candidates))
    assert sum(d.weight for d in drawn) == pytest.approx(len(drawn)) and all(d.weight > 0 for d in drawn)


def test_a_draw_depends_on_its_name_and_not_on_the_order() -> None:
    candidates = [Candidate(f"item-{n:03d}", "fast", n / 100, True) for n in range(100)]
    assert draw(candidates, 10, "expert", "a") == draw(candidates[::-1], 10, "expert", "a") != draw(candidates, 10, "expert", "b")


def test_the_highest_tier_is_drawn_at_half_the_rate_and_counts_double() -> None:
    candidates = [Candidate(f"item-{n:03d}", "expert" if n < 300 else "fast", 0.5, True) for n in range(600)]
    drawn = draw(candidates, 60, "expert", "night")
    top = [d.weight for d in drawn if d.stratum.startswith("expert")]
    others = [d.weight for d in drawn if d.stratum.startswith("fast")]
    assert (len(top), len(others)) == (20, 40)
    assert top[0] / others[0] == pytest.approx(1 / TOP_RATE)
