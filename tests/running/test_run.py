"""A skill's run through the engine against the simulator: counts, money, what a second run does."""

import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from skillyard.errors import ConfigError, MissingKey, RunIncomplete, RunLocked, UnknownName, Unpriced
from skillyard.gateway.state import open_state
from skillyard.lake.lake import Lake
from skillyard.lake.read import read
from skillyard.running.lease import release_lease
from skillyard.running.ledger import drain_idle
from skillyard.running.pipeline import run_skill
from skillyard.running.plan import plan_run
from skillyard.running.publish import RunReport, finish_run, publish_run
from skillyard.running.route import lane_shards, route_run
from skillyard.running.runs import PlanRequest, RunPlan
from skillyard.running.shard import run_shard
from skillyard.settings import Settings
from tests.conftest import settings_in
from tests.running.lake_of import mails, publish_texts
from tests.s3_server import S3Server
from tests.simulator import Simulator

SKILL = "tag-document"
N = 12


@pytest.fixture
def lake(settings: Settings, simulator: Simulator) -> Lake:
    publish_texts(settings, mails(N))
    return Lake(settings.lake)


def plan(settings: Settings, run_id: str = "r1", **options: object) -> RunPlan:
    return plan_run(settings, PlanRequest(**({"skill": SKILL, "run_id": run_id} | options)))


def go(settings: Settings, run_id: str = "r1", **options: object) -> RunReport:
    return run_skill(settings, plan(settings, run_id, **options), lambda _: None)


def settled_usd(lake: Lake) -> Decimal:
    rows = read(lake, "llm_calls", ["status", "cost_usd"]).to_pylist()
    return sum((r["cost_usd"] for r in rows if r["status"] == "settled"), Decimal(0))


def test_every_item_gets_a_result_and_the_ledger_is_the_providers_bill(settings: Settings, lake: Lake, simulator: Simulator) -> None:
    report = go(settings)
    assert (report.n_planned, report.n_results, report.n_rejects, report.n_pending) == (N, N, 0, 0)
    results = read(lake, f"results/{SKILL}").to_pylist()
    assert len(results) == N and {r["tier"] for r in results} == {"fast"}
    assert all(r["tags"] and r["route_reason"].startswith("easy") and not r["is_stale"] for r in results)
    bill = simulator.bill()
    assert settled_usd(lake) == Decimal(bill["total_usd"]) == sum((r["cost_usd"] for r in results), Decimal(0)) > 0


def test_a_second_run_asks_nothing_and_changes_no_table(settings: Settings, lake: Lake, simulator: Simulator) -> None:
    go(settings)
    n_calls, before = len(simulator.calls()), read(lake, f"results/{SKILL}")
    again = plan(settings, "r2")
    assert again.is_empty and again.n_done == N and "no call is made" in again.message
    assert len(simulator.calls()) == n_calls
    assert read(lake, f"results/{SKILL}").equals(before)


def test_limit_means_the_first_items_by_item_id_whatever_is_done(settings: Settings, lake: Lake) -> None:
    go(settings, "r1", limit=4)
    ids = sorted(read(lake, "documents")["doc_id"].to_pylist())
    assert sorted(read(lake, f"results/{SKILL}")["item_id"].to_pylist()) == ids[:4]
    assert plan(settings, "r2", limit=4).is_empty
    assert plan(settings, "r3", limit=6, is_dry_run=True).n_planned == 2


def test_a_failed_answer_escalates_and_at_the_highest_tier_becomes_a_reject(settings: Settings, lake: Lake, simulator: Simulator) -> None:
    simulator.configure(models={"sim-fast": {"faults": {"breaks_schema": 1.0}}, "sim-standard": {"faults": {"not_json": 1.0}}})
    report = go(settings, "r1", limit=5)
    assert (report.tiers, report.n_escalations, report.n_calls) == ({"expert": 5}, 10, 15)
    simulator.configure(models={m: {"faults": {"breaks_schema": 1.0}} for m in ("sim-fast", "sim-standard", "sim-expert")})
    report = go(settings, "r2", limit=8)
    assert (report.n_planned, report.rejects) == (3, {"schema_error": 3})
    rejects = read(lake, "rejects").to_pylist()
    assert {(r["stage"], r["skill"], r["tier"], r["error_kind"]) for r in rejects} == {("answer", SKILL, "expert", "schema_error")}
    assert settled_usd(lake) == Decimal(simulator.bill()["total_usd"])


def test_a_reject_is_final_until_its_kind_is_retried(settings: Settings, lake: Lake, simulator: Simulator) -> None:
    simulator.configure(faults={"breaks_schema": 1.0})
    go(settings, "r1", limit=3)
    simulator.configure(faults={})
    assert plan(settings, "r2", limit=3).is_empty
    report = go(settings, "r3", limit=3, retry_rejects="schema_error")
    assert (report.n_planned, report.n_results) == (3, 3)


def test_faults_that_pass_are_retried_and_every_attempt_stands_in_the_ledger(settings: Settings, lake: Lake, simulator: Simulator) -> None:
    simulator.configure(rules=[{"fault": "rate_limited", "nth": [1, 2]}, {"fault": "server_error", "nth": [3]}], retry_after_s=0.1)
    report = go(settings, "r1", limit=4)
    statuses = sorted(read(lake, "llm_calls")["status"].to_pylist())
    assert report.n_results == 4
    assert len(statuses) == len(simulator.calls()) and statuses.count("failed") == 3
    assert settled_usd(lake) == Decimal(simulator.bill()["total_usd"])


def test_a_cut_answer_is_unknown_and_the_bill_is_the_ledger_plus_exactly_those(
    settings: Settings, lake: Lake, simulator: Simulator
) -> None:
    simulator.configure(rules=[{"fault": "cut_after", "nth": [2]}])
    report = go(settings, "r1", limit=4)
    calls = read(lake, "llm_calls").to_pylist()
    unknown = {c["call_id"] for c in calls if c["status"] == "unknown"}
    bill = simulator.bill()
    extra = sum((Decimal(line["amount_usd"]) for line in bill["lines"] if line["call_id"] in unknown), Decimal(0))
    assert (report.n_unknown, len(unknown)) == (1, 1)
    assert all(c["cost_usd"] is None and c["reserved_usd"] >= extra for c in calls if c["status"] == "unknown")
    assert settled_usd(lake) + extra == Decimal(bill["total_usd"])


def test_a_provider_that_stays_down_leaves_items_pending_and_the_run_red(settings: Settings, lake: Lake, simulator: Simulator) -> None:
    simulator.configure(rules=[{"fault": "unavailable", "contains": "message 3 "}])
    with pytest.raises(RunIncomplete, match="1 provider_unavailable"):
        go(settings)
    assert read(lake, f"results/{SKILL}").num_rows == N - 1
    simulator.configure(rules=[])
    assert go(settings, "r2").n_planned == 1


def test_one_failed_shard_of_three_still_publishes_the_other_two(settings: Settings, lake: Lake, simulator: Simulator) -> None:
    made = plan(settings, "r1", shard_items=4)
    assert route_run(settings, made.run_key) == {"fast": 3, "standard": 0, "expert": 0, "batch": 0}
    first, lost, third = lane_shards(settings, made.run_key, "fast")
    for shard in (first, third):
        run_shard(settings, shard)
    report = publish_run(settings, made.run_key)
    assert (report.n_results, report.pending) == (8, {"failed_shard": 4})
    with pytest.raises(RunIncomplete, match="4 failed_shard"):
        finish_run(settings, made.run_key)
    run_shard(settings, lost)
    assert publish_run(settings, made.run_key).n_results == 12
    assert finish_run(settings, made.run_key).n_pending == 0
    assert read(lake, f"results/{SKILL}").num_rows == 12
    assert read(lake, "llm_calls").num_rows == len(simulator.calls()) == 12


def test_publishing_twice_changes_nothing(settings: Settings, lake: Lake) -> None:
    made = plan(settings)
    route_run(settings, made.run_key)
    for shard in lane_shards(settings, made.run_key, "fast"):
        run_shard(settings, shard)
    assert publish_run(settings, made.run_key) == publish_run(settings, made.run_key)
    assert read(lake, f"results/{SKILL}").num_rows == read(lake, "llm_calls").num_rows == N


def test_answers_that_were_never_published_are_found_by_another_run(settings: Settings, lake: Lake, simulator: Simulator) -> None:
    dead = plan(settings, "dead", dag_id="skill.tag-document")
    route_run(settings, dead.run_key)
    for shard in lane_shards(settings, dead.run_key, "fast"):
        run_shard(settings, shard)
    report = go(settings, "r2", dag_id="skill.tag-document")
    assert report.n_results == N and len(simulator.calls()) == N
    assert settled_usd(lake) == Decimal(simulator.bill()["total_usd"]), "its ledger came to the lake with the other run's"
    assert sum(r["cost_usd"] for r in read(lake, f"results/{SKILL}").to_pylist()) == Decimal(simulator.bill()["total_usd"])


def test_the_ledger_of_a_run_that_nobody_publishes_is_taken_to_the_lake_by_itself(
    settings: Settings, lake: Lake, simulator: Simulator
) -> None:
    dead = plan(settings, "dead")
    route_run(settings, dead.run_key)
    for shard in lane_shards(settings, dead.run_key, "fast"):
        run_shard(settings, shard)
    assert drain_idle(settings) == {}, "its lease is held: it may be at work"
    release_lease(open_state(settings.state), dead.lease, dead.lease_owner)
    assert drain_idle(settings) == {SKILL: N} and drain_idle(settings) == {}
    assert settled_usd(lake) == Decimal(simulator.bill()["total_usd"])


def test_an_error_that_concerns_all_items_stops_the_shard_but_not_the_calls_that_are_paid(
    settings: Settings, lake: Lake, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulator.configure(latency={"kind": "uniform", "low_ms": 20, "high_ms": 300})
    made = plan(settings)
    route_run(settings, made.run_key)
    (shard,) = lane_shards(settings, made.run_key, "fast")
    judged = iter(range(N))

    def fails_once(*given: object, **named: object) -> None:
        if next(judged) == 3:
            raise ConfigError("a full disk")

    monkeypatch.setattr("skillyard.running.answer._pass_checks", fails_once)
    with pytest.raises(ConfigError, match="a full disk"):
        run_shard(settings, shard)
    publish_run(settings, made.run_key)
    assert set(read(lake, "llm_calls", ["status"])["status"].to_pylist()) == {"settled"}


def test_one_run_of_a_skill_at_a_time(settings: Settings, lake: Lake) -> None:
    plan(settings, "r1", dag_id="skill.tag-document")
    with pytest.raises(RunLocked, match=r"airflow:skill\.tag-document"):
        plan(settings, "r2")


def test_a_run_is_planned_once(settings: Settings, lake: Lake) -> None:
    go(settings, "r1", limit=1)
    with pytest.raises(ConfigError, match="the run 'r1' of tag-document exists"):
        plan(settings, "r1")


def test_items_not_begun_by_the_deadline_stay_pending_without_failing_the_run(settings: Settings, lake: Lake, simulator: Simulator) -> None:
    report = go(settings, deadline=datetime.now(UTC) - timedelta(seconds=1))
    assert report.pending == {"deadline": N} and simulator.calls() == []


def test_editing_a_skill_asks_nothing_marks_old_results_stale_and_quotes_the_price(
    settings: Settings, lake: Lake, simulator: Simulator, tmp_path: Path
) -> None:
    include = shutil.copytree(settings.include, tmp_path / "include")
    own = replace(settings, include=include)
    go(own)
    text = (include / "skills" / SKILL / "SKILL.md").read_text()
    (include / "skills" / SKILL / "SKILL.md").write_text(text.replace("Never invent a label.", "Never make up a label."))
    n_calls = len(simulator.calls())
    after = plan(own, "r2")
    assert after.is_empty and after.n_stale == N and Decimal(after.reprocess_quote_usd) > 0
    assert f"{N} results are stale" in after.message and "--reprocess stale" in after.message
    assert len(simulator.calls()) == n_calls
    assert set(read(lake, f"results/{SKILL}")["is_stale"].to_pylist()) == {True}
    report = go(own, "r3", reprocess="sample:5")
    assert report.n_results == 5
    assert sorted(read(lake, f"results/{SKILL}")["is_stale"].to_pylist()) == [False] * 5 + [True] * (N - 5)


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"skill": "tag-documents"}, UnknownName, "Did you mean 'tag-document'"),
        ({"team": "nobody"}, UnknownName, "unknown team 'nobody'"),
        ({"first_tier": "huge"}, UnknownName, "Allowed: expert, fast, standard"),
        ({"reprocess": "some"}, ConfigError, "none, stale, all, sample:N"),
        ({"limit": 0}, ConfigError, "limit is 0"),
    ],
)
def test_a_request_that_is_not_allowed_is_refused_before_any_call(
    settings: Settings, lake: Lake, simulator: Simulator, options: dict[str, object], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        plan(settings, **options)
    assert simulator.calls() == []


def test_a_missing_key_names_its_variable_before_any_call(settings: Settings, lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SIMULATOR_KEY")
    with pytest.raises(MissingKey, match="SIMULATOR_KEY"):
        plan(settings)


def test_a_model_without_a_price_is_never_called(settings: Settings, lake: Lake, simulator: Simulator, tmp_path: Path) -> None:
    profile = tmp_path / "profile.yaml"
    profile.write_text(Path(settings.profile).read_text().replace("sim-expert", "sim-unpriced"))
    shutil.copy(Path(settings.profile).with_name("prices.csv"), tmp_path)
    with pytest.raises(Unpriced, match="sim-unpriced"):
        plan(replace(settings, profile=str(profile)))
    assert simulator.calls() == []


def test_a_lake_that_cannot_be_written_is_found_before_any_call(
    settings: Settings, lake: Lake, simulator: Simulator, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(Exception, match="file"):
        plan(replace(settings, lake=(tmp_path / "file" / "lake").as_uri()))
    assert simulator.calls() == []


def test_library_skills_are_free_and_ask_no_model(settings: Settings, lake: Lake, simulator: Simulator) -> None:
    report = go(settings, skill="detect-language")
    assert (report.n_results, report.tiers, report.cost_usd) == (N, {"none": N}, "0")
    assert {r["language"] for r in read(lake, "results/detect-language", ["language"]).to_pylist()} == {"en"}
    assert simulator.calls() == []


def test_the_same_run_works_on_s3_with_postgresql(tmp_path: Path, simulator: Simulator, s3: S3Server, postgres_url: str) -> None:
    settings = settings_in(tmp_path, SKILLYARD_LAKE=f"s3://{s3.bucket}/run-test", SKILLYARD_STATE=postgres_url)
    publish_texts(settings, mails(6))
    report = go(settings)
    assert report.n_results == 6
    assert plan(settings, "again").is_empty
    lake = Lake(settings.lake)
    assert settled_usd(lake) == Decimal(simulator.bill()["total_usd"]) > 0
