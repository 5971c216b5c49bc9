"""RouteOperator over a really planned run."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from skillyard.running.plan import plan_run
from skillyard.running.route import lane_shards
from skillyard.running.runs import PlanRequest
from skillyard.settings import Settings
from skillyard_airflow.route_operator import RouteOperator
from tests.running.lake_of import mails, publish_texts
from tests.simulator import Simulator


@pytest.fixture
def environment(settings: Settings, simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name in ("lake", "inbox", "profile", "state", "include", "home"):
        monkeypatch.setenv(f"SKILLYARD_{name.upper()}", str(getattr(settings, name)))
    return settings


def test_it_writes_the_lanes_and_hands_on_how_many_shards_each_has(environment: Settings) -> None:
    publish_texts(environment, mails(3))
    plan = plan_run(environment, PlanRequest("tag-document", "manual__1", first_tier="standard"))
    context: Any = {}
    shards = RouteOperator(task_id="route", run_key=plan.run_key).execute(context)
    assert shards == {"fast": 0, "standard": 1, "expert": 0, "batch": 0}
    assert len(lane_shards(environment, plan.run_key, "standard")) == 1


def test_the_task_asks_the_classifier_of_a_skill_that_has_one(
    environment: Settings, simulator: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = replace(environment, include=shutil.copytree(environment.include, tmp_path / "include"))
    monkeypatch.setenv("SKILLYARD_INCLUDE", str(own.include))
    file = own.include / "skills" / "tag-document" / "skill.yaml"
    file.write_text(f"{file.read_text()}routing: {{classifier: true}}\n")
    publish_texts(own, mails(9))
    plan = plan_run(own, PlanRequest("tag-document", "manual__1"))
    context: Any = {}
    shards = RouteOperator(task_id="route", run_key=plan.run_key).execute(context)
    assert sum(shards.values()) > 1 and len(simulator.calls()) == 9


def test_a_run_that_was_never_planned_fails_the_task_at_once(environment: Settings) -> None:
    context: Any = {}
    with pytest.raises(AirflowFailException, match="ObjectMissing"):
        RouteOperator(task_id="route", run_key="_runs/skill.tag-document/nothing").execute(context)


def test_the_run_key_is_templated() -> None:
    assert RouteOperator.template_fields == ("run_key",)
