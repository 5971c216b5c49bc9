"""A run above its team's threshold waits for a person under a real scheduler: approved it goes on, refused it ends without a call."""

import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest

from skillyard.errors import RunLocked
from skillyard.local.client import Run
from skillyard.local.setup import Wanted
from skillyard.running.plan import plan_run
from skillyard.running.runs import PlanRequest
from skillyard.settings import Settings
from tests.local.server import Server
from tests.running.lake_of import mails, publish_texts
from tests.simulator import Simulator

POOLS = {"default_pool": 4, "parse": 1, "lane_library": 1, "lane_fast": 1, "lane_standard": 1, "lane_expert": 1, "lane_batch": 1}
DAG = "skill.tag-document"


@pytest.mark.timeout(300)
def test_a_run_above_the_threshold_waits_for_a_person(
    airflow_server: Callable[..., Server], settings: Settings, simulator: Simulator, tmp_path: Path
) -> None:
    own = replace(settings, include=shutil.copytree(settings.include, tmp_path / "include"))
    teams = own.include / "teams.yaml"
    teams.write_text(teams.read_text().replace('approval_above_usd: "5"', 'approval_above_usd: "0.000001"'))
    publish_texts(own, mails(4))
    server = airflow_server(own, target=Wanted(POOLS, (DAG,)))
    refused_it_ends_without_a_call_and_frees_its_lease(server, own, simulator)
    approved_it_goes_on(server, own, simulator)


def refused_it_ends_without_a_call_and_frees_its_lease(server: Server, settings: Settings, simulator: Simulator) -> None:
    run = server.client.trigger(DAG)
    asked = wait_for_question(server, run)
    assert asked["options"] == ["Approve", "Reject"] and "4 items" in asked["body"] and "needs approval" in asked["body"]
    pool = server.client.call("GET", "pools/default_pool")
    assert pool["occupied_slots"] == 0, "whoever waits for a person holds no slot"
    with pytest.raises(RunLocked, match=r"airflow:skill\.tag-document"):
        plan_run(settings, PlanRequest("tag-document", "meanwhile"))
    answer(server, run, "Reject")
    run = server.wait(run)
    states = server.states(run)
    assert run.state == "success", server.explain(run)
    skipped = {"route", "shards_fast", "lane_fast", "publish"}
    assert {states[name] for name in skipped} == {"skipped"} and states["finish"] == "success"
    finish = next(t for t in server.client.tasks(run) if t.task_id == "finish")
    assert "not approved, nothing was asked: declined by admin" in "\n".join(server.client.log_tail(run, finish, 60))
    assert simulator.calls() == []
    assert plan_run(settings, PlanRequest("tag-document", "after", is_dry_run=True)).n_planned == 4


def approved_it_goes_on(server: Server, settings: Settings, simulator: Simulator) -> None:
    run = server.client.trigger(DAG)
    wait_for_question(server, run)
    answer(server, run, "Approve")
    run = server.wait(run)
    assert run.state == "success", server.explain(run)
    assert server.states(run)["publish"] == "success" and len(simulator.calls()) == 4


def wait_for_question(server: Server, run: Run) -> dict[str, object]:
    deadline = time.monotonic() + 60
    while server.states(run).get("approve") != "awaiting_input":
        assert time.monotonic() < deadline, server.states(run)
        time.sleep(0.2)
    time.sleep(
        3
    )  # an answer before the scheduler has seen the first part end is taken for a failure, and asked for again: apache/airflow#72716
    found: dict[str, object] = server.client.call("GET", f"{address(run)}/hitlDetails")
    return found


def answer(server: Server, run: Run, option: str) -> None:
    server.client.call("PATCH", f"{address(run)}/hitlDetails", {"chosen_options": [option], "params_input": {}})


def address(run: Run) -> str:
    return f"dags/{run.dag_id}/dagRuns/{quote(run.run_id, safe='')}/taskInstances/approve/-1"
