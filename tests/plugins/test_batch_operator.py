"""BatchOperator and its trigger over a really planned run, and under a real scheduler with a real triggerer."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred

from skillyard.lake.lake import Lake
from skillyard.lake.read import read
from skillyard.local.setup import Wanted
from skillyard.routing.lane import LANES
from skillyard.running.plan import plan_run
from skillyard.running.route import lane_shards, route_run
from skillyard.running.runs import PlanRequest
from skillyard.settings import Settings
from skillyard.skills import Catalogue
from skillyard.skills.teams import load_teams
from skillyard_airflow.batch_operator import BatchOperator
from skillyard_airflow.batch_trigger import BatchTrigger
from skillyard_airflow.forms import skill_form
from tests.local.server import Server
from tests.running.batching import check_bill, lanes, with_batches
from tests.running.lake_of import mails, publish_texts
from tests.simulator import Simulator

SKILL = "tag-document"
N = 6


@pytest.fixture
def installation(settings: Settings, simulator: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    own = with_batches(settings, tmp_path)
    for name in ("lake", "inbox", "profile", "state", "include", "home"):
        monkeypatch.setenv(f"SKILLYARD_{name.upper()}", str(getattr(own, name)))
    return own


@pytest.fixture
def operator(installation: Settings) -> BatchOperator:
    """The task of a routed run's only batch."""
    publish_texts(installation, mails(N))
    plan = plan_run(installation, PlanRequest(SKILL, "r1", f"skill.{SKILL}", lane="batch"))
    route_run(installation, plan.run_key)
    [shard] = lane_shards(installation, plan.run_key, "batch")
    return BatchOperator(task_id="lane_batch", shard_key=shard)


def defer(operator: BatchOperator) -> TaskDeferred:
    context: Any = {}
    with pytest.raises(TaskDeferred) as deferred:
        operator.execute(context)
    return deferred.value


def fire(deferred: TaskDeferred) -> dict[str, str]:
    """Return the event of the trigger, made again from what it serialises to, as a triggerer does."""
    _, names = deferred.trigger.serialize()
    trigger = BatchTrigger(**json.loads(json.dumps(names)))

    async def first() -> dict[str, str]:
        return await anext(event.payload async for event in trigger.run())  # type: ignore[no-any-return]

    return asyncio.run(first())


def test_it_defers_until_the_batch_is_over_then_answers_the_rest(operator: BatchOperator, simulator: Simulator) -> None:
    simulator.configure(batch={"expire_share": 0.5})
    context: Any = {}
    deferred = defer(operator)
    assert (deferred.method_name, deferred.timeout is not None and deferred.timeout > timedelta(hours=23)) == ("resume", True)
    event = fire(deferred)
    assert event == {"status": "expired"}
    assert operator.resume(context, event) == {"n_items": N, "n_results": N, "n_rejects": 0, "n_pending": 0}
    assert Counter(call["lane"] for call in simulator.calls() if call["is_billed"]).total() == N
    assert operator.execute(context)["n_results"] == N, "a task that is cleared after its end counts what is there"


def test_a_try_after_a_lost_one_re_attaches(operator: BatchOperator, simulator: Simulator) -> None:
    first, second = defer(operator), defer(operator)
    assert first.trigger.serialize() == second.trigger.serialize()
    context: Any = {}
    operator.resume(context, fire(second))
    assert len(simulator.bill()["lines"]) == N


def test_the_trigger_keeps_names_alone_and_downloads_nothing(operator: BatchOperator, simulator: Simulator) -> None:
    deferred = defer(operator)
    path, names = deferred.trigger.serialize()
    assert path == "skillyard_airflow.batch_trigger.BatchTrigger"
    assert set(names) == {"profile", "tier", "deployment", "provider_batch_id", "until"}
    assert "sk-simulated" not in json.dumps(names) and simulator.url not in json.dumps(names)
    simulator.configure(rules=[{"fault": "server_error", "on": "GET /v1/files/*/content"}])
    assert fire(deferred) == {"status": "completed"}


def test_the_trigger_fires_when_the_time_is_up(operator: BatchOperator, simulator: Simulator) -> None:
    simulator.configure(batch={"outcome": "stuck"})
    deferred = defer(operator)
    deferred.trigger.until = (datetime.now(UTC) + timedelta(seconds=0.5)).isoformat()
    assert fire(deferred) == {"status": "time is up"}


def test_a_key_that_the_triggerer_lacks_is_named(operator: BatchOperator, monkeypatch: pytest.MonkeyPatch) -> None:
    deferred = defer(operator)
    monkeypatch.delenv("SIMULATOR_KEY")
    with pytest.raises(Exception, match="needs SIMULATOR_KEY"):
        fire(deferred)


def test_a_shard_that_does_not_exist_fails_the_task_at_once(installation: Settings) -> None:
    context: Any = {}
    with pytest.raises(AirflowFailException, match="ObjectMissing"):
        BatchOperator(task_id="x", shard_key="_runs/skill.tag-document/nothing/lanes/batch/fast-0000.parquet").execute(context)


def test_the_form_offers_the_lanes_of_skills_that_ask_models(settings: Settings) -> None:
    catalogue, teams = Catalogue(settings.include), load_teams(settings.include / "teams.yaml")
    assert tuple(skill_form(catalogue.load(SKILL), teams)["lane"].schema["enum"]) == LANES
    assert "lane" not in skill_form(catalogue.load("detect-language"), teams)


@pytest.mark.timeout(300)
def test_under_a_real_scheduler_the_second_try_re_attaches_and_a_triggerer_waits(
    airflow_server: Callable[..., Server], installation: Settings, simulator: Simulator
) -> None:
    publish_texts(installation, mails(N))
    made_but_not_told = [{"fault": "cut_after", "on": "POST /v1/batches", "nth": [1]}]
    simulator.configure(batch={"seconds": 18, "expire_share": 0.3}, rules=made_but_not_told)
    pools = dict.fromkeys(("lane_fast", "lane_standard", "lane_expert", "lane_batch"), 1) | {"default_pool": 6}
    server = airflow_server(installation, target=Wanted(pools, (f"skill.{SKILL}",)))
    deadline = (datetime.now(UTC) + timedelta(hours=3)).isoformat()
    run = server.client.trigger(f"skill.{SKILL}", {"lane": "batch", "deadline": deadline})
    wait_until(lambda: server.states(run).get("lane_batch[0]") == "deferred")
    run = server.wait(run)
    states = server.states(run)
    assert run.state == "success", server.explain(run)
    assert states["lane_batch[0]"] == states["publish"] == states["finish"] == "success"
    assert states["lane_fast"] == "skipped"
    assert next(t for t in server.client.tasks(run) if t.task_id == "lane_batch").try_number == 2
    assert read(Lake(installation.lake), f"results/{SKILL}").num_rows == N
    counted = lanes(installation)
    assert counted["batch", "settled"] + counted["batch", "failed"] == N, "there was one batch"
    assert counted["live", "settled"] == counted["batch", "failed"] > 0
    check_bill(installation, simulator)


def wait_until(is_true: Callable[[], bool], timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not is_true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.2)
