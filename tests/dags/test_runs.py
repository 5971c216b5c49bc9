"""Skill DAGs under a real scheduler: a killed lane, a lost shard, an edited skill, a form that refuses."""

import os
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import insert, select, text

from skillyard.errors import AirflowFailed
from skillyard.gateway.state import LEASES, open_state, reading
from skillyard.lake.lake import Lake
from skillyard.lake.read import read
from skillyard.local.setup import Wanted
from skillyard.running.routers import champion
from skillyard.settings import Settings
from tests.local.server import Server
from tests.running.audits_of import publish_audit
from tests.running.lake_of import mails, publish_texts
from tests.simulator import Simulator

N = 240
POOLS = {"default_pool": 6, "parse": 1, "lane_library": 2, "lane_fast": 2, "lane_standard": 2, "lane_expert": 2}


@pytest.mark.timeout(400)
def test_runs_under_a_real_scheduler(
    airflow_server: Callable[..., Server], settings: Settings, simulator: Simulator, tmp_path: Path
) -> None:
    """One server for all of it: starting one takes half a minute."""
    own = replace(settings, include=shutil.copytree(settings.include, tmp_path / "include"))
    publish_texts(own, mails(N))
    server = airflow_server(
        own, target=Wanted(POOLS, ("skill.tag-document", "skill.classify-urgency", "lake_maintenance", "router_training"))
    )
    a_killed_lane_is_retried_and_pays_no_finished_call_again(server, own, simulator)
    an_edited_skill_makes_no_call(server, own, simulator)
    one_lost_shard_of_three_leaves_its_items_pending_and_the_run_red(server, own, simulator)
    a_night_of_maintenance_deletes_a_lease_that_ran_out_and_no_recent_call(server, own)
    a_training_promotes_what_has_proven_its_target(server, own)
    with pytest.raises(AirflowFailed, match="400"):
        server.client.trigger("skill.tag-document", {"first_tier": "huge"})


def a_killed_lane_is_retried_and_pays_no_finished_call_again(server: Server, settings: Settings, simulator: Simulator) -> None:
    simulator.configure(latency={"kind": "uniform", "low_ms": 1000, "high_ms": 4000})
    run = server.client.trigger("skill.tag-document", {"shard_items": N})
    wait_until(lambda: sum(status == "settled" for status in statuses(settings)) >= N // 10)
    os.kill(worker_pid(settings), signal.SIGKILL)
    run = server.wait(run)
    assert run.state == "success", server.explain(run)
    lane = next(t for t in server.client.tasks(run) if t.task_id == "lane_fast")
    assert lane.try_number == 2

    lake = Lake(settings.lake)
    calls = read(lake, "llm_calls").to_pylist()
    settled = {c["call_id"]: c["cost_usd"] for c in calls if c["status"] == "settled"}
    unknown = {c["call_id"] for c in calls if c["status"] == "unknown"}
    billed = {line["call_id"]: Decimal(line["amount_usd"]) for line in simulator.bill()["lines"]}
    assert unknown, "the kill came too late to prove anything"
    assert len(settled) == N, "one paid answer an item"
    assert set(billed) - unknown == set(settled), "the bill is the settled ledger plus unknown attempts, nothing else"
    assert {call: usd for call, usd in billed.items() if call not in unknown} == settled
    report = lake.read_json(report_key(settings, "tag-document", run.run_id))
    assert report["n_planned"] == N == report["n_results"] + report["n_rejects"] + report["n_pending"]
    assert read(lake, "results/tag-document").num_rows == report["n_results"] == N


def an_edited_skill_makes_no_call(server: Server, settings: Settings, simulator: Simulator) -> None:
    body = settings.include / "skills" / "tag-document" / "SKILL.md"
    body.write_text(body.read_text().replace("Never invent", "Never make up"))
    n_calls = len(simulator.calls())
    run = server.run("skill.tag-document")
    states = server.states(run)
    assert (run.state, states["plan"], states["publish"], states["finish"]) == ("success", "success", "skipped", "skipped")
    assert len(simulator.calls()) == n_calls
    plan = next(t for t in server.client.tasks(run) if t.task_id == "plan")
    said = "\n".join(server.client.log_tail(run, plan, 60))
    assert f"{N} results are stale" in said and "--reprocess stale would ask them again for about $" in said
    assert set(read(Lake(settings.lake), "results/tag-document")["is_stale"].to_pylist()) == {True}


def one_lost_shard_of_three_leaves_its_items_pending_and_the_run_red(server: Server, settings: Settings, simulator: Simulator) -> None:
    simulator.configure(latency={"kind": "fixed", "ms": 20})
    server.client.set_pool("lane_fast", 0, "closed until one shard is lost")
    run = server.client.trigger("skill.classify-urgency", {"shard_items": N // 3})
    wait_until(lambda: server.states(run).get("shards_fast") == "success")
    lake = Lake(settings.lake)
    plan = next(info.key for info in lake.storage.list("_runs/skill.classify-urgency/") if info.key.endswith("/plan.json"))
    lake.storage.delete(plan.replace("plan.json", "lanes/fast/0001.parquet"))
    server.client.set_pool("lane_fast", 2, "open")
    run = server.wait(run)
    states = server.states(run)
    assert (run.state, states["publish"], states["finish"]) == ("failed", "success", "failed")
    assert sorted(state for task, state in states.items() if task.startswith("lane_fast[")) == ["failed", "success", "success"]
    report = lake.read_json(plan.replace("plan.json", "report.json"))
    assert (report["n_results"], report["pending"]) == (N - N // 3, {"failed_shard": N // 3})
    assert read(lake, "results/classify-urgency").num_rows == N - N // 3
    again = server.run("skill.classify-urgency")
    assert again.state == "success", server.explain(again)
    assert read(lake, "results/classify-urgency").num_rows == N


def a_night_of_maintenance_deletes_a_lease_that_ran_out_and_no_recent_call(server: Server, settings: Settings) -> None:
    state, n_calls = open_state(settings.state), len(statuses(settings))
    with state.begin() as connection:
        ended = datetime.now(UTC) - timedelta(minutes=1)
        connection.execute(insert(LEASES).values(name="left behind", owner="nobody", token=1, expires_at=ended))
    run = server.run("lake_maintenance")
    assert run.state == "success", server.explain(run)
    with reading(state) as connection:
        assert "left behind" not in connection.scalars(select(LEASES.c.name)).all()
    assert len(statuses(settings)) == n_calls


def a_training_promotes_what_has_proven_its_target(server: Server, settings: Settings) -> None:
    texts = {f"audited-{name}": text for name, text in mails(500).items()}
    good = {"fast": 1.0, "standard": 1.0, "expert": 1.0}
    publish_audit(settings, "classify-urgency", publish_texts(settings, texts), good, datetime.now(UTC))
    run = server.run("router_training")
    assert run.state == "success", server.explain(run)
    handed_on = server.client.xcom(run, "train")
    assert handed_on and handed_on["is_promoted"]
    assert handed_on["challenger"] == champion(Lake(settings.lake)).version


def statuses(settings: Settings) -> list[str]:
    with reading(open_state(settings.state)) as connection:
        return list(connection.execute(text("SELECT status FROM attempts")).scalars())


def worker_pid(settings: Settings) -> int:
    """The process that has calls in flight, as the ledger names it: host:pid:start."""
    with reading(open_state(settings.state)) as connection:
        owner = connection.execute(text("SELECT owner FROM attempts WHERE status = 'sent' LIMIT 1")).scalar_one()
    return int(owner.split(":")[1])


def report_key(settings: Settings, skill: str, run_id: str) -> str:
    from skillyard.running.runs import run_key

    return f"{run_key(skill, run_id)}/report.json"


def wait_until(is_true: Callable[[], bool], timeout_s: float = 120.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not is_true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.2)
