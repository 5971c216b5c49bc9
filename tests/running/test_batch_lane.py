"""The batch lane through the engine against the simulator: what a batch answers, what it leaves, and what that costs."""

import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import yaml
from sqlalchemy import select

from skillyard.errors import ConfigError, RunIncomplete, UnknownName
from skillyard.gateway.files import BatchUnavailable
from skillyard.gateway.state import BATCHES, open_state, reading
from skillyard.lake.lake import Lake
from skillyard.lake.read import read
from skillyard.running import lanes as lanes_module
from skillyard.running.batch import answer_batch, submit_shard
from skillyard.running.pipeline import run_skill
from skillyard.running.plan import plan_run
from skillyard.running.publish import RunReport, finish_run, publish_run
from skillyard.running.route import lane_shards, route_run
from skillyard.running.runs import PlanRequest, RunPlan
from skillyard.settings import Settings
from tests.conftest import ROOT
from tests.running.batching import check_bill, lanes, ledger, with_batches
from tests.running.lake_of import mails, publish_texts
from tests.simulator import Simulator

SKILL = "tag-document"
N = 20


@pytest.fixture
def batching(settings: Settings, simulator: Simulator, tmp_path: Path) -> Settings:
    """An installation whose deployments offer batches, with N documents on its lake."""
    publish_texts(settings, mails(N))
    return with_batches(settings, tmp_path)


def plan(settings: Settings, run_id: str = "r1", **options: object) -> RunPlan:
    """Plan as one DAG does, so that a later run takes over from one that died."""
    return plan_run(settings, PlanRequest(**({"skill": SKILL, "run_id": run_id, "dag_id": f"skill.{SKILL}", "lane": "batch"} | options)))


def go(settings: Settings, run_id: str = "r1", say: Callable[[str], None] = print, **options: object) -> RunReport:
    return run_skill(settings, plan(settings, run_id, **options), say)


def test_a_batch_answers_every_item_at_half_the_price(batching: Settings, simulator: Simulator) -> None:
    report = go(batching)
    assert (report.n_results, report.n_pending) == (N, 0)
    assert lanes(batching) == {("batch", "settled"): N}
    check_bill(batching, simulator)
    results = read(Lake(batching.lake), f"results/{SKILL}").to_pylist()
    assert all(r["route_reason"].endswith("; batch: asked for, 0.50 of the live price") for r in results)
    assert sum(r["cost_usd"] for r in results) == Decimal(simulator.bill()["total_usd"]) == Decimal(report.cost_usd)


def test_the_route_sends_a_tiers_queue_to_the_batch_when_the_deadline_allows_and_says_why(batching: Settings, simulator: Simulator) -> None:
    publish_texts(batching, mails(120) | {f"long-{i}.txt": f"Report {i}. " + "It goes on and on. " * 1500 for i in range(3)})
    profile = yaml.safe_load(Path(batching.profile).read_text())
    profile["tiers"]["fast"][0]["context_tokens"] = 4000
    Path(batching.profile).write_text(yaml.safe_dump(profile))
    report = go(batching, lane="auto", deadline=datetime.now(UTC) + timedelta(hours=30))
    assert report.tiers == {"fast": 120, "standard": 3}
    assert lanes(batching) == {("batch", "settled"): 120, ("live", "settled"): 3}
    reasons = {r["tier"]: r["route_reason"] for r in read(Lake(batching.lake), f"results/{SKILL}").to_pylist()}
    assert reasons["fast"].endswith("; batch: the deadline in 30 h allows it, 0.50 of the live price")
    assert reasons["standard"].endswith("; live: 3 items are too few for a batch")
    check_bill(batching, simulator)


def test_each_tier_has_batches_of_its_own_none_larger_than_allowed(
    batching: Settings, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes_module, "MOST_ITEMS", 8)
    publish_texts(batching, {f"long-{i}.txt": f"Report {i}. " + "It goes on and on. " * 1500 for i in range(3)})
    profile = yaml.safe_load(Path(batching.profile).read_text())
    profile["tiers"]["fast"][0]["context_tokens"] = 4000
    Path(batching.profile).write_text(yaml.safe_dump(profile))
    report = go(batching)
    assert report.tiers == {"fast": N, "standard": 3}
    assert sorted(batch_sizes(batching)) == [("fast", 4), ("fast", 8), ("fast", 8), ("standard", 3)]
    assert lanes(batching) == {("batch", "settled"): N + 3}
    check_bill(batching, simulator)


def test_what_needs_more_bytes_than_a_batch_takes_is_cut(batching: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes_module, "MOST_BYTES", 20_000)
    assert go(batching).n_results == N
    assert len(batch_sizes(batching)) > 2


@pytest.mark.parametrize(
    ("how", "rows"),
    [
        ({"expire_share": 0.3}, {("batch", "failed", "batch_expired")}),
        ({"fail_share": 0.3}, {("batch", "failed", "server_error")}),
        ({"outcome": "expired"}, {("batch", "failed", "batch_expired")}),
        ({"outcome": "cancelled"}, {("batch", "failed", "batch_cancelled")}),
        ({"outcome": "failed"}, {("batch", "failed", "batch_failed")}),
    ],
)
def test_what_a_batch_does_not_answer_is_asked_live(
    batching: Settings, simulator: Simulator, how: dict[str, object], rows: set[tuple[str, str, str]]
) -> None:
    simulator.configure(batch=how)
    said: list[str] = []
    report = go(batching, say=said.append)
    calls = ledger(batching)
    assert (report.n_results, report.n_pending, report.n_unknown) == (N, 0, 0)
    assert {(c["lane"], c["status"], c["error_kind"]) for c in calls if c["status"] != "settled"} == rows
    assert all(c["cost_usd"] == 0 for c in calls if c["status"] == "failed")
    assert Counter(c["lane"] for c in calls)["live"] == sum(c["status"] == "failed" for c in calls) > 0
    check_bill(batching, simulator)
    if how == {"outcome": "failed"}:
        assert any("is failed, 0 of 20 answered (Enqueued token limit reached" in line for line in said)


@pytest.mark.parametrize("fault", ["cut_after", "broken_body"])
def test_a_row_that_was_billed_and_lost_is_unknown_and_asked_live(batching: Settings, simulator: Simulator, fault: str) -> None:
    simulator.configure(rules=[{"fault": fault, "contains": "message 3 ", "times": 1}])
    report = go(batching)
    assert (report.n_results, report.n_unknown) == (N, 1)
    assert lanes(batching) == {("batch", "settled"): N - 1, ("batch", "unknown"): 1, ("live", "settled"): 1}
    check_bill(batching, simulator)


def test_a_wrong_answer_of_a_batch_escalates_live(batching: Settings, simulator: Simulator) -> None:
    simulator.configure(models={"sim-fast": {"faults": {"breaks_schema": 1.0}}})
    report = go(batching, limit=10)
    assert (report.tiers, report.n_escalations) == ({"standard": 10}, 10)
    assert lanes(batching) == {("batch", "settled"): 10, ("live", "settled"): 10}
    check_bill(batching, simulator)


def test_when_the_deadline_nears_a_stuck_batch_is_cancelled_and_the_rest_is_asked_live(
    batching: Settings, simulator: Simulator, tmp_path: Path
) -> None:
    own = with_timeout(batching, tmp_path, 1)
    simulator.configure(batch={"outcome": "stuck"})
    deadline = datetime.now(UTC) + timedelta(seconds=14)
    report = go(own, deadline=deadline)
    assert datetime.now(UTC) < deadline + timedelta(seconds=15)
    assert (report.n_results, report.n_pending) == (N, 0)
    assert lanes(own) == {("batch", "settled"): N // 2, ("batch", "failed"): N // 2, ("live", "settled"): N // 2}
    check_bill(own, simulator)


def test_a_batch_that_cannot_even_be_cancelled_costs_no_deadline(batching: Settings, simulator: Simulator, tmp_path: Path) -> None:
    own = with_timeout(batching, tmp_path, 1)
    simulator.configure(batch={"outcome": "stuck"}, rules=[{"fault": "server_error", "on": "POST /v1/batches/*/cancel"}])
    report = go(own, deadline=datetime.now(UTC) + timedelta(seconds=14))
    assert (report.n_results, report.n_unknown) == (N, N)
    assert lanes(own) == {("batch", "unknown"): N, ("live", "settled"): N}
    check_bill(own, simulator)


def test_a_budget_bounds_a_batch_and_what_does_not_fit_goes_on_live(batching: Settings, simulator: Simulator, tmp_path: Path) -> None:
    own = replace(batching, include=shutil.copytree(batching.include, tmp_path / "include"))
    text = (own.include / "teams.yaml").read_text()
    hard = Decimal("0.0002")
    teams = yaml.safe_load(text)
    teams["teams"]["records"]["budgets"] = [{"per": "month", "hard_usd": str(hard)}]
    (own.include / "teams.yaml").write_text(yaml.safe_dump(teams))
    with pytest.raises(RunIncomplete, match="budget"):
        go(own)
    counted = lanes(own)
    assert 0 < counted["batch", "settled"] < N and counted["live", "settled"] > 0
    assert Decimal(simulator.bill()["total_usd"]) <= hard
    check_bill(own, simulator)
    teams["teams"]["records"]["budgets"] = []
    (own.include / "teams.yaml").write_text(yaml.safe_dump(teams))
    go(own, "r2")
    assert read(Lake(own.lake), f"results/{SKILL}").num_rows == N == len(simulator.bill()["lines"])


def test_the_answers_of_a_batch_are_found_by_a_live_run(batching: Settings, simulator: Simulator) -> None:
    first = plan(batching)
    [shard] = route(batching, first)
    answer_batch(batching, shard, print)  # and is never published
    report = go(batching, "r2", lane="live")
    assert (report.n_results, len(simulator.calls())) == (N, N)
    assert {c["lane"] for c in simulator.calls()} == {"batch"}


def test_a_later_run_takes_over_the_batch_of_one_that_is_gone(batching: Settings, simulator: Simulator) -> None:
    simulator.configure(batch={"seconds": 3})
    first = plan(batching, limit=15)
    [shard] = route(batching, first)
    assert submit_shard(batching, shard, print) is not None
    report = go(batching, "r2")
    assert (report.n_results, report.n_pending) == (N, 0)
    assert lanes(batching) == {("batch", "settled"): N}
    check_bill(batching, simulator)
    reasons = Counter("in that of run r1 since" in r["route_reason"] for r in read(Lake(batching.lake), f"results/{SKILL}").to_pylist())
    assert reasons == {True: 15, False: 5}
    assert {c["run_id"] for c in ledger(batching)} == {"r1", "r2"}


def test_a_run_that_is_asked_to_be_live_does_not_wait_for_the_batch_it_finds(batching: Settings, simulator: Simulator) -> None:
    simulator.configure(batch={"outcome": "stuck"})
    first = plan(batching)
    [shard] = route(batching, first)
    submit_shard(batching, shard, print)
    wait_until(lambda: len(simulator.calls()) == N // 2)
    report = go(batching, "r2", lane="live")
    assert report.n_results == N
    assert lanes(batching) == {("batch", "settled"): N // 2, ("batch", "failed"): N // 2, ("live", "settled"): N // 2}
    check_bill(batching, simulator)


def test_a_batch_that_never_came_into_being_is_decided_anew(batching: Settings, simulator: Simulator) -> None:
    simulator.configure(rules=[{"fault": "unavailable", "on": "POST /v1/files"}])
    [shard] = route(batching, plan(batching))
    with pytest.raises(BatchUnavailable):
        submit_shard(batching, shard, print)
    simulator.configure(rules=[])
    report = go(batching, "r2", lane="auto")
    assert report.n_results == N and lanes(batching) == {("batch", "failed"): N, ("live", "settled"): N}
    check_bill(batching, simulator)


def test_what_a_batch_of_another_lake_holds_stays_pending_until_it_is_collected(
    batching: Settings, simulator: Simulator, tmp_path: Path
) -> None:
    other = replace(batching, lake=(tmp_path / "other").as_uri())
    publish_texts(other, mails(N))
    [shard] = route(batching, plan(batching))
    submit_shard(batching, shard, print)
    report = go(other, "r2", lane="live")
    assert (report.n_results, report.pending) == (0, {"waiting_for_batch": N})
    answer_batch(batching, shard, print)
    assert go(other, "r3", lane="live").n_results == N
    assert len(simulator.bill()["lines"]) == N


def test_a_batch_asked_by_an_older_version_of_the_skill_is_left_alone(batching: Settings, simulator: Simulator, tmp_path: Path) -> None:
    first = plan(batching)
    [shard] = route(batching, first)
    submit_shard(batching, shard, print)
    edited = replace(batching, include=shutil.copytree(batching.include, tmp_path / "include"))
    body = edited.include / "skills" / SKILL / "SKILL.md"
    body.write_text(body.read_text().replace("Never invent", "Never make up"))
    report = go(edited, "r2", lane="live")
    assert report.n_results == N and lanes(edited) == {("live", "settled"): N}


def test_the_batch_of_a_deployment_that_left_the_profile_is_not_forgotten(batching: Settings, simulator: Simulator) -> None:
    [shard] = route(batching, plan(batching))
    submit_shard(batching, shard, print)
    renamed = Path(batching.profile).read_text().replace("name: sim-fast", "name: sim-faster")
    Path(batching.profile).write_text(renamed)
    with pytest.raises(UnknownName, match="which has a batch that is not collected yet, 'sim-fast'"):
        answer_batch(batching, shard, print)


def test_a_batch_that_nobody_offers_is_refused_before_any_call(settings: Settings, simulator: Simulator) -> None:
    publish_texts(settings, mails(2))
    with pytest.raises(ConfigError, match="set `batch: true`"):
        plan(settings)
    with pytest.raises(UnknownName, match="unknown lane 'bulk'"):
        plan(settings, lane="bulk")
    assert simulator.calls() == []


def test_only_an_openai_compatible_deployment_may_say_that_it_offers_batches(batching: Settings) -> None:
    Path(batching.profile).write_text(Path(batching.profile).read_text().replace("openai/sim-expert", "anthropic/claude-opus-5"))
    with pytest.raises(ConfigError, match=r"OpenAI-compatible.*not for anthropic/claude-opus-5"):
        plan(batching)


def test_a_provider_that_does_not_take_files_now_is_asked_again_and_pays_once(batching: Settings, simulator: Simulator) -> None:
    simulator.configure(rules=[{"fault": "unavailable", "on": "POST /v1/files", "times": 1}])
    said: list[str] = []
    report = go(batching, say=said.append)
    assert report.n_results == N and any(line.startswith("tried again later: deployment 'sim-fast'") for line in said)
    assert lanes(batching) == {("batch", "failed"): N, ("batch", "settled"): N}
    check_bill(batching, simulator)


def test_the_same_on_postgresql(batching: Settings, simulator: Simulator, postgres_url: str) -> None:
    own = replace(batching, state=postgres_url)
    simulator.configure(batch={"expire_share": 0.3})
    report = go(own, "on-postgresql")
    assert report.n_results == N
    assert lanes(own)["batch", "settled"] > 0
    check_bill(own, simulator)


KILLED = """
import os, signal, sys
from skillyard.gateway import batch, files
from skillyard.running.batch import answer_batch
from skillyard.settings import Settings

batch.CHUNK = 5
STEPS = {
    "prepared": (batch, "prepare", 1),
    "uploaded": (files, "upload", 1),
    "upload noted": (batch, "change_batch", 2),
    "created": (files, "create_batch", 1),
    "creation noted": (batch, "_submitted", 1),
    "seen": (files, "look_at", 1),
    "in the middle of the second part": (batch, "_take_in", 2),
    "before the third part": (files, "read_row", 6),
    "collected": (batch, "collect", 1),
}

def die_after(module, name, nth):
    real, calls = getattr(module, name), []
    def call(*args, **options):
        result = real(*args, **options)
        calls.append(name)
        if len(calls) == nth:
            os.kill(os.getpid(), signal.SIGKILL)
        return result
    setattr(module, name, call)

for step, (module, name, nth) in STEPS.items():
    if (pid := os.fork()) == 0:
        die_after(module, name, nth)
        answer_batch(Settings.from_env(), sys.argv[1], print)
        os._exit(0)
    status = os.waitpid(pid, 0)[1]
    print(step, os.WTERMSIG(status), flush=True)
"""


def test_processes_killed_at_one_step_after_the_other_pay_nothing_twice(batching: Settings, simulator: Simulator) -> None:
    made = plan(batching)
    [shard] = route(batching, made)
    command = [sys.executable, "-c", KILLED, shard]
    done = subprocess.run(command, env=os.environ | variables(batching), cwd=ROOT, check=True, capture_output=True, text=True)
    ends = [line.rsplit(" ", 1) for line in done.stdout.splitlines() if line.rsplit(" ", 1)[-1] in ("0", "9")]
    assert len(ends) == 9 and {number for _, number in ends} == {"9"}, done.stdout + done.stderr
    answer_batch(batching, shard, print)
    report = publish_run(batching, made.run_key)
    finish_run(batching, made.run_key)
    assert (report.n_results, report.n_pending, report.n_unknown) == (N, 0, 0)
    assert len(simulator.bill()["lines"]) == N, "each row is paid once"
    assert lanes(batching) == {("batch", "settled"): N, ("batch", "failed"): 3 * N}, "three batches never came into being"
    check_bill(batching, simulator)


def variables(settings: Settings) -> dict[str, str]:
    names = ("home", "include", "lake", "inbox", "state", "profile")
    return {f"SKILLYARD_{name.upper()}": str(getattr(settings, name)) for name in names}


def route(settings: Settings, made: RunPlan) -> list[str]:
    """Return the batch lane's shards."""
    route_run(settings, made.run_key)
    return lane_shards(settings, made.run_key, "batch")


def with_timeout(settings: Settings, folder: Path, timeout_s: int) -> Settings:
    """Return settings whose skill lets a call take so long."""
    include = shutil.copytree(settings.include, folder / "include")
    path = include / "skills" / SKILL / "skill.yaml"
    path.write_text(path.read_text().replace("timeout_s: 60", f"timeout_s: {timeout_s}"))
    return replace(settings, include=include)


def batch_sizes(settings: Settings) -> list[tuple[str, int]]:
    with reading(open_state(settings.state)) as connection:
        return [(row.tier, row.n_requests) for row in connection.execute(select(BATCHES))]


def wait_until(is_true: Callable[[], bool], timeout_s: float = 20.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not is_true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
