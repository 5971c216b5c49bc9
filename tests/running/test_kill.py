"""SIGKILL in mid-shard: what was answered is never paid again, what was in flight is known to be unknown."""

import os
import signal
import subprocess
import sys
import time
from decimal import Decimal

from skillyard.lake.lake import Lake
from skillyard.lake.read import read
from skillyard.running.plan import plan_run
from skillyard.running.publish import finish_run, publish_run
from skillyard.running.route import lane_shards, route_run
from skillyard.running.runs import PlanRequest
from skillyard.running.shard import run_shard
from skillyard.settings import Settings
from tests.conftest import ROOT
from tests.running.lake_of import mails, publish_texts
from tests.simulator import Simulator

N = 200
WORKER = """
import sys
from skillyard.running.shard import run_shard
from skillyard.settings import Settings
run_shard(Settings.from_env(), sys.argv[1])
"""


def start_worker(settings: Settings, shard: str) -> subprocess.Popen[bytes]:
    variables = {
        "SKILLYARD_HOME": str(settings.home),
        "SKILLYARD_LAKE": settings.lake,
        "SKILLYARD_STATE": settings.state,
        "SKILLYARD_PROFILE": settings.profile,
    }
    return subprocess.Popen([sys.executable, "-c", WORKER, shard], env=os.environ | variables, cwd=ROOT)


def wait_for_calls(simulator: Simulator, n: int) -> None:
    deadline = time.monotonic() + 60
    while len(simulator.calls()) < n and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(simulator.calls()) >= n


def test_a_killed_shard_pays_no_finished_call_again(settings: Settings, simulator: Simulator) -> None:
    simulator.configure(latency={"kind": "uniform", "low_ms": 50, "high_ms": 400})
    publish_texts(settings, mails(N))
    plan = plan_run(settings, PlanRequest("tag-document", "killed"))
    route_run(settings, plan.run_key)
    (shard,) = lane_shards(settings, plan.run_key, "fast")

    worker = start_worker(settings, shard)
    wait_for_calls(simulator, N // 2)
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    n_before = len(simulator.calls())
    run_shard(settings, shard)
    report = publish_run(settings, plan.run_key)
    finish_run(settings, plan.run_key)

    lake = Lake(settings.lake)
    calls = read(lake, "llm_calls").to_pylist()
    settled = {c["call_id"]: c["cost_usd"] for c in calls if c["status"] == "settled"}
    unknown = {c["call_id"] for c in calls if c["status"] == "unknown"}
    billed = {line["call_id"]: Decimal(line["amount_usd"]) for line in simulator.bill()["lines"]}
    assert (report.n_planned, report.n_results + report.n_rejects + report.n_pending) == (N, N)
    assert read(lake, "results/tag-document").num_rows == report.n_results == N
    assert n_before < N or unknown, "the kill came too late to prove anything"
    asked = [c["call_id"] for c in simulator.calls()]
    assert len(settled) == N and set(asked) - unknown == set(settled), "only what was in flight is asked again"
    assert len(asked) == len(set(asked)) <= N + len(unknown)
    assert {call: usd for call, usd in billed.items() if call not in unknown} == settled
    assert set(billed) - set(settled) <= unknown
    assert all(c["cost_usd"] is None and c["error_kind"] == "process_died" for c in calls if c["status"] == "unknown")
