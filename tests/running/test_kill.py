"""SIGKILL anywhere in a run: what was answered is never paid again, what was in flight is known to be unknown, nothing is lost.

``bench/kill.py`` is the long form. What is shown is the death of a process, not a loss of power.
"""

import random
from decimal import Decimal
from pathlib import Path

import pytest

from skillyard.lake.lake import Lake
from skillyard.running.plan import plan_run
from skillyard.running.publish import publish_run
from skillyard.running.route import lane_shards, route_run
from skillyard.running.runs import PlanRequest, outcome_key
from skillyard.running.shard import run_shard
from skillyard.settings import Settings
from tests.running.lake_of import mails, publish_texts
from tests.running.trials import N_WORKERS, SKILL, Kills, Trial, installation, judge, n_deadlocks, seed, start
from tests.simulator import Simulator

N = 200
N_SHARED = 100
STEPS_S = {"plan": 0.6, "route": 0.3, "publish": 1.0}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("store", ["sqlite", "postgres"])
def test_killed_processes_lose_nothing_double_nothing_and_pay_again_only_what_was_in_flight(
    tmp_path: Path, simulator: Simulator, store: str, request: pytest.FixtureRequest
) -> None:
    simulator.configure(
        latency={"kind": "uniform", "low_ms": 50, "high_ms": 400},
        models={"sim-fast": {"faults": {"breaks_schema": 0.05, "server_error": 0.01}}},
    )
    rng = random.Random(f"kill {store}")
    kills = Kills.draw(rng, N, 2, STEPS_S)
    with installation(tmp_path, request.getfixturevalue("postgres_url") if store == "postgres" else None) as settings:
        seed(settings, N)
        trial = Trial(tmp_path, settings, simulator, rng, shards_per_worker=2)
        trial.go(kills)
        verdict = judge(trial, N)
    assert any(k.step == "worker" for k in trial.killed)
    assert verdict.is_clean, f"{kills}: {verdict}"


@pytest.mark.timeout(300)
@pytest.mark.parametrize("store", ["sqlite", "postgres"])
def test_workers_on_the_same_shard_ask_for_each_item_once(
    tmp_path: Path, simulator: Simulator, store: str, request: pytest.FixtureRequest
) -> None:
    simulator.configure(latency={"kind": "uniform", "low_ms": 5, "high_ms": 60})
    with installation(tmp_path, request.getfixturevalue("postgres_url") if store == "postgres" else None) as settings:
        seed(settings, N_SHARED)
        key = plan_run(settings, PlanRequest(SKILL, "shared", f"skill.{SKILL}")).run_key
        route_run(settings, key)
        (shard,) = lane_shards(settings, key, "fast")
        n_before = n_deadlocks(settings)
        workers = [start(run_shard, settings, shard) for _ in range(N_WORKERS)]
        for worker in workers:
            worker.join(200)
        assert [worker.exitcode for worker in workers] == [0] * N_WORKERS
        assert n_deadlocks(settings) == n_before
        report = publish_run(settings, key)
    assert report.n_results == N_SHARED == len(simulator.calls())
    assert Decimal(report.cost_usd) == Decimal(simulator.bill()["total_usd"])


def test_a_worker_that_was_given_up_and_ends_after_the_publish_changes_nothing(
    settings: Settings, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_texts(settings, mails(4))
    plan = plan_run(settings, PlanRequest(SKILL, "given-up"))
    route_run(settings, plan.run_key)
    (shard,) = lane_shards(settings, plan.run_key, "fast")
    run_shard(settings, shard)
    report = publish_run(settings, plan.run_key)
    before = Lake(settings.lake).read_frame(outcome_key(shard))
    with monkeypatch.context() as early:
        early.setattr(Lake, "has", lambda *_: False)  # as it was when it began
        run_shard(settings, shard)
    assert Lake(settings.lake).read_frame(outcome_key(shard)).equals(before)
    assert publish_run(settings, plan.run_key).n_results == report.n_results == 4
